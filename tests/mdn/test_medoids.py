"""k-medoids against enumeration, and what an answer set must be."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from mdn.medoids import medoids


def cost(d: Tensor, chosen: list[int], weights: Tensor) -> float:
    return float((weights * d[:, chosen].amin(1)).sum() / weights.sum())


@pytest.mark.parametrize("seed", range(6))
def test_near_the_best_of_all_sets(seed: int) -> None:
    """No exchange of one helps; the best of all sets is at most a twentieth better."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    weights = torch.rand(12, generator=generator, dtype=torch.float64)
    d = torch.cdist(x, x)
    found, shares, labels = medoids(d, 3, weights=weights)
    reached = cost(d, found.tolist(), weights)
    for out in range(3):
        rest = [j for i, j in enumerate(found.tolist()) if i != out]
        assert all(cost(d, [*rest, j], weights) >= reached - 1e-9 for j in range(12))
    best = min(cost(d, list(some), weights) for some in combinations(range(12), 3))
    assert reached <= best * 1.05
    assert (labels == d[:, found].argmin(1)).all()
    expected = torch.stack([weights[labels == i].sum() for i in range(3)]) / weights.sum()
    assert torch.allclose(shares.double(), expected, atol=1e-6)
    assert (shares.diff() <= 0).all() and shares.sum().item() == pytest.approx(1)


def test_clusters_are_found_and_ordered_by_their_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [(20, 0.0), (50, 10.0), (30, -10.0)]
    x = torch.cat([torch.randn(n, 3, generator=generator) * 0.3 + at for n, at in parts])
    found, shares, labels = medoids(torch.cdist(x, x), 3)
    assert x[found].mean(1).round().tolist() == [10.0, -10.0, 0.0]
    assert shares.tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert labels.bincount().tolist() == [50, 30, 20]
    weights = torch.ones(100)
    weights[:20] = 100.0
    heavy, shares, _ = medoids(torch.cdist(x, x), 3, weights=weights)
    assert x[heavy[0]].mean().round() == 0 and shares[0] > 0.9


def test_samples_without_weight_are_no_reason_to_move() -> None:
    x = torch.tensor([0.0, 1.0, 2.0, 50.0])
    found, shares, _ = medoids((x[:, None] - x).abs(), 1, weights=torch.tensor([1.0, 1, 1, 0]))
    assert found.tolist() == [1] and shares.tolist() == [1.0]


def test_all_the_same_still_gives_k() -> None:
    found, shares, labels = medoids(torch.zeros(5, 5), 3)
    assert len(set(found.tolist())) == 3 and shares.sum().item() == pytest.approx(1)
    assert sorted(labels[found].tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    "d,k,weights,words",
    [
        (torch.zeros(3, 2), 1, None, r"expected \(N, N\)"),
        (torch.full((2, 2), torch.nan), 1, None, "none negative"),
        (torch.zeros(3, 3), 4, None, "expected 1 to 3"),
        (torch.zeros(3, 3), 1, torch.zeros(3), "not all 0"),
        (torch.zeros(3, 3), 1, torch.ones(2), "one a sample"),
    ],
)
def test_bad_input(d: Tensor, k: int, weights: Tensor | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        medoids(d, k, weights=weights)
