"""Answers that stand for draws: the sum they lessen, and what each of its parts asks for."""

from itertools import pairwise

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from mdn.medoids import medoids
from mdn.representatives import representatives

LEAST = 0.05


def cloud(seed: int, n: int = 40, places: int = 6, dims: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    means = 4 * torch.randn(3, places, dims, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, places, dims, generator=generator, dtype=torch.float64)
    return means[torch.arange(n) % 3] + noise


def huber(a: Tensor, b: Tensor) -> Tensor:
    d = torch.cdist(a.transpose(0, 1), b.transpose(0, 1))
    return torch.where(d < LEAST, d.square() / (2 * LEAST) + LEAST / 2, d).mean(0)


def misses(y: Tensor, a: Tensor, w: Tensor) -> float:
    """What the best of k misses by."""
    return float(w @ huber(y, a).amin(1))


def energy(y: Tensor, a: Tensor, w: Tensor) -> float:
    apart = huber(a, a).sum() / len(a) ** 2
    return float((w @ huber(y, a)).mean() - apart / 2)


@pytest.mark.parametrize("seed", range(4))
def test_no_round_makes_the_sum_larger(seed: int) -> None:
    y = cloud(seed)
    generator = torch.Generator().manual_seed(seed)
    w = torch.rand(len(y), generator=generator, dtype=torch.float64)
    w = w / w.sum()
    start = y[torch.randperm(len(y), generator=generator)[:5]]
    found = [
        representatives(y, start, weights=w, rounds=n, least=LEAST)[0] for n in (*range(12), 200)
    ]
    sums = [misses(y, a, w) + energy(y, a, w) for a in found]
    assert all(b <= a + 1e-9 for a, b in pairwise(sums))
    assert sums[4] < 0.98 * sums[0] and sums[4] - sums[-1] < sums[0] - sums[4]
    # energy falls, and the best of k is no farther off
    assert energy(y, found[4], w) < 0.98 * energy(y, found[0], w)
    assert misses(y, found[4], w) < 1.01 * misses(y, found[0], w)


def test_one_answer_is_the_geometric_median_of_every_place() -> None:
    y = cloud(1, places=2, dims=2)
    (answer,), shares, _ = representatives(y, y[:1], rounds=500, least=1e-4)
    for c in range(2):
        known = minimize(lambda a, c=c: (y[:, c] - torch.from_numpy(a)).norm(dim=1).sum(), [0, 0])
        assert answer[c].tolist() == pytest.approx(known.x.tolist(), abs=1e-3)
    assert shares.tolist() == pytest.approx([1.0])


def test_a_weight_is_so_many_copies() -> None:
    y = cloud(2, n=9)
    copies = torch.tensor([1, 3, 1, 2, 1, 1, 4, 1, 1])
    a, shares, _ = representatives(y, y[:3], weights=copies, least=LEAST)
    b, again, labels = representatives(y.repeat_interleave(copies, 0), y[:3], least=LEAST)
    assert torch.allclose(a, b) and torch.allclose(shares, again)
    assert torch.allclose(labels.bincount(minlength=3) / 15.0, again.float())


def test_whoever_shifts_the_draws_shifts_the_answers() -> None:
    y = cloud(3)
    shift = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, shares, labels = representatives(y, y[:4], least=LEAST)
    b, same, others = representatives(y + shift, y[:4] + shift, least=LEAST)
    assert torch.allclose(a + shift, b) and torch.equal(shares, same)
    assert torch.equal(labels, others)


def test_clusters_far_apart_are_answered_and_counted() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [(20, 0.0), (50, 100.0), (30, -100.0)]
    y = torch.cat([at + torch.randn(n, 4, 2, generator=generator) for n, at in parts])
    start, _, _ = medoids(torch.cdist(y.flatten(1), y.flatten(1)), 3)
    answers, shares, labels = representatives(y, y[start], least=LEAST)
    assert (answers.mean((1, 2)) - torch.tensor([100.0, -100.0, 0.0])).abs().max() < 20
    assert shares.tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert labels.bincount().tolist() == [50, 30, 20]


def test_no_rounds_only_count() -> None:
    y = cloud(4)
    answers, shares, labels = representatives(y, y[:2], rounds=0, least=LEAST)
    assert {tuple(a.flatten().tolist()) for a in answers} == {
        tuple(a.flatten().tolist()) for a in y[:2]
    }
    assert shares[0] >= shares[1] and labels.shape == (40,)


def test_all_the_same_is_no_reason_to_move() -> None:
    y = torch.ones(5, 2, 2)
    answers, shares, _ = representatives(y, y[:3], least=LEAST)
    assert torch.allclose(answers, y[:3]) and shares.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("draws", "start", "weights", "said"),
    [
        (torch.zeros(3, 2), torch.zeros(1, 2), None, r"\(N, C, D\)"),
        (torch.zeros(3, 2, 2), torch.zeros(1, 2, 3), None, r"\(1, 2, 3\)"),
        (torch.zeros(3, 2, 2), torch.zeros(1, 2, 2), torch.ones(2), "one a sample"),
        (torch.zeros(3, 2, 2), torch.zeros(1, 2, 2), torch.tensor([1, -1, 1]), "negative"),
        (torch.zeros(3, 2, 2), torch.zeros(1, 2, 2), torch.zeros(3), "not all 0"),
    ],
)
def test_what_does_not_go_together_is_said(
    draws: Tensor, start: Tensor, weights: Tensor | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        representatives(draws, start, weights=weights, least=LEAST)
