"""Modes and principal points with known answers."""

import math

import pytest
import torch
from torch import Tensor

from mdn.mixture import GaussianMixture
from mdn.modes import central, mixture_modes, principal_points


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(distance: float, kind: str, weights: tuple[float, float] = (0.5, 0.5)) -> GaussianMixture:
    """Two unit Gaussians on the x axis; their sum has two tops if they are > 2 apart."""
    logits = torch.tensor(weights).log()
    loc = torch.tensor([[-distance / 2, 0.0], [distance / 2, 0.0]])
    if kind == "diagonal":
        return GaussianMixture(logits, loc, scale=torch.ones(2, 2))
    tril = torch.eye(2) if kind == "tied" else torch.eye(2).expand(2, 2, 2)
    return GaussianMixture(logits, loc, scale_tril=tril)


@pytest.mark.parametrize("kind", ["diagonal", "full", "tied"])
def test_two_far_components_are_two_modes_densest_first(kind: str) -> None:
    points, density = pair(8, kind, (0.3, 0.7)).modes
    torch.testing.assert_close(points, torch.tensor([[4.0, 0], [-4.0, 0]]), atol=1e-3, rtol=0)
    peak = torch.tensor([0.7, 0.3]).log() - math.log(2 * math.pi)
    torch.testing.assert_close(density, peak, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["diagonal", "full", "tied"])
@pytest.mark.parametrize("distance", [0.5, 1.5, 1.95])
def test_two_near_components_are_one_mode(kind: str, distance: float) -> None:
    points, _ = mixture_modes(pair(distance, kind))
    assert points.shape == (1, 2)
    assert points.norm() < (0.3 if distance > 1.9 else 1e-3)  # flat there, so slow


def test_modes_are_stationary_and_above_their_surroundings() -> None:
    g = seeded(3)
    k, dim = 6, 3
    tril = 0.3 * torch.randn(k, dim, dim, generator=g).tril(-1)
    tril = tril + (0.5 + torch.rand(k, dim, generator=g)).diag_embed()
    loc = 2 * torch.randn(k, dim, generator=g)
    mixture = GaussianMixture(torch.randn(k, generator=g), loc, scale_tril=tril)
    points, density = mixture_modes(mixture, steps=500)
    assert 1 < len(points) <= k
    assert torch.equal(density, density.sort(descending=True).values)
    z = points.clone().requires_grad_()
    (slope,) = torch.autograd.grad(mixture.log_prob(z).sum(), z)
    assert slope.norm(dim=-1).max() < 1e-2
    around = points + 0.05 * torch.randn(500, 1, dim, generator=g)
    assert (mixture.log_prob(around) <= density + 1e-4).all()


def test_a_saddle_is_no_mode() -> None:
    # The middle component is too weak to make a top, and its mean is in balance by symmetry.
    logits = torch.tensor([0.0, -6.0, 0.0])
    loc = torch.tensor([[-2.0], [0.0], [2.0]])
    points, _ = GaussianMixture(logits, loc, scale=torch.ones(1)).modes
    assert sorted(points.flatten().sign().tolist()) == [-1.0, 1.0]


def test_modes_of_a_batch_are_refused() -> None:
    batch = GaussianMixture(torch.zeros(2, 1), torch.zeros(2, 1, 1), scale=torch.ones(2, 1, 1))
    with pytest.raises(ValueError, match="one by one"):
        mixture_modes(batch)


def clusters(sizes: list[int], dim: int = 5) -> tuple[Tensor, Tensor]:
    centres = 10 * torch.eye(dim)[: len(sizes)]
    noise = 0.1 * torch.randn(sum(sizes), dim, generator=seeded(1))
    return centres.repeat_interleave(torch.tensor(sizes), 0) + noise, centres


def test_known_clusters_are_found_largest_first() -> None:
    samples, centres = clusters([10, 40, 20])
    points, shares, labels = principal_points(samples, 3, generator=seeded())
    torch.testing.assert_close(points, centres[[1, 2, 0]], atol=0.1, rtol=0)
    torch.testing.assert_close(shares, torch.tensor([40, 20, 10]) / 70)
    assert labels.tolist() == [2] * 10 + [0] * 40 + [1] * 20
    for j in range(3):
        torch.testing.assert_close(points[j], samples[labels == j].mean(0), atol=1e-5, rtol=1e-5)


def test_weights_act_like_copies() -> None:
    samples, _ = clusters([6, 5, 4])
    copies = torch.randint(1, 9, (15,), generator=seeded())
    points, shares, _ = principal_points(samples, 3, weights=copies, generator=seeded())
    repeated = principal_points(samples.repeat_interleave(copies, 0), 3, generator=seeded())
    torch.testing.assert_close(points, repeated[0])
    torch.testing.assert_close(shares, repeated[1])


def test_samples_without_weight_do_not_count() -> None:
    samples, _ = clusters([5, 5, 5])
    weights = torch.tensor([1.0] * 10 + [0.0] * 5)
    points, shares, labels = principal_points(samples, 2, weights=weights, generator=seeded())
    assert (points[:, 2].abs() < 0.2).all()  # nothing near the third centre
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.5]))
    assert labels.shape == (15,)


def test_two_principal_points_of_the_normal_distribution() -> None:
    # Flury 1990: ±sqrt(2/pi), with mean squared error 1 - 2/pi.
    samples = torch.randn(200_000, 1, generator=seeded())
    points, shares, labels = principal_points(samples, 2, generator=seeded())
    torch.testing.assert_close(
        points.flatten().sort().values,
        torch.tensor([-1.0, 1.0]) * math.sqrt(2 / math.pi),
        atol=0.01,
        rtol=0,
    )
    torch.testing.assert_close(shares, torch.full((2,), 0.5), atol=0.01, rtol=0)
    error = (samples - points[labels]).square().mean().item()
    assert error == pytest.approx(1 - 2 / math.pi, abs=0.01)


def test_one_point_is_the_mean() -> None:
    samples = torch.randn(50, 4, generator=seeded()) + 100
    points, shares, labels = principal_points(samples, 1, generator=seeded())
    torch.testing.assert_close(points[0], samples.mean(0))
    assert shares.tolist() == [1.0] and not labels.any()


@pytest.mark.parametrize("k", [1, 2, 8, 31, 32])
def test_always_k_distinct_points_in_order(k: int) -> None:
    samples = torch.randn(32, 6, generator=seeded(5)) + 1000  # far from 0: rounding must not merge
    points, shares, labels = principal_points(samples, k, generator=seeded())
    assert points.shape == (k, 6) and len(points.unique(dim=0)) == k
    assert shares.sum().item() == pytest.approx(1, abs=1e-6)
    assert (shares > 0).all() and (shares.diff() <= 0).all()
    torch.testing.assert_close(labels.bincount(minlength=k) / 32, shares)


def test_more_points_never_stand_worse() -> None:
    samples = torch.randn(128, 10, generator=seeded())
    error = []
    for k in (1, 2, 4, 8, 16, 32, 64):
        points, _, labels = principal_points(samples, k, generator=seeded())
        error.append((samples - points[labels]).square().sum().item())
    assert error == sorted(error, reverse=True)


def test_too_few_distinct_samples_leave_spare_points_without_weight() -> None:
    samples = torch.tensor([[0.0, 1.0], [3.0, 4.0]]).repeat(5, 1)[:9]
    points, shares, labels = principal_points(samples, 4, generator=seeded())
    assert points.shape == (4, 2) and shares.shape == (4,)
    torch.testing.assert_close(shares, torch.tensor([5 / 9, 4 / 9, 0, 0]))
    torch.testing.assert_close(points[:2], samples[:2])
    assert torch.cdist(points, samples[:2]).min(1).values.max() < 1e-5
    torch.testing.assert_close(points[labels], samples)


def test_a_point_that_loses_its_samples_moves_to_the_farthest_one() -> None:
    # 30 equal samples and two far ones: whatever the seeding, no cluster stays empty.
    samples = torch.cat([torch.zeros(30, 1), torch.tensor([[50.0], [80.0]])])
    for seed in range(20):
        points, shares, _ = principal_points(samples, 3, generator=seeded(seed))
        assert points.flatten().sort().values.tolist() == pytest.approx([0, 50, 80], abs=1e-4)
        assert (shares > 0).all()


def test_the_generator_decides_alone() -> None:
    samples = torch.randn(100, 3, generator=seeded())
    before = torch.get_rng_state()
    first = principal_points(samples, 7, generator=seeded(1))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    for a, b in zip(first, principal_points(samples, 7, generator=seeded(1)), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], principal_points(samples, 7, generator=seeded(2))[0])


def test_half_precision_and_autocast_lose_nothing() -> None:
    samples = torch.randn(64, 8, generator=seeded())
    expected = principal_points(samples, 5, generator=seeded())
    with torch.autocast("cpu", torch.bfloat16):
        got = principal_points(samples, 5, generator=seeded())
    assert torch.equal(got[0], expected[0])
    points, shares, _ = principal_points(samples.bfloat16(), 5, generator=seeded())
    assert points.dtype == shares.dtype == torch.float32


def test_wrong_arguments_are_named() -> None:
    samples = torch.zeros(3, 2)
    with pytest.raises(ValueError, match=r"k = 4 for 3 samples.*draw more"):
        principal_points(samples, 4)
    with pytest.raises(ValueError, match="k = 0"):
        principal_points(samples, 0)
    with pytest.raises(ValueError, match=r"\(N, D\)"):
        principal_points(torch.zeros(3), 1)
    for weights in (torch.ones(2), torch.zeros(3), torch.tensor([1.0, -1.0, 1.0])):
        with pytest.raises(ValueError, match="weights"):
            principal_points(samples, 2, weights=weights)


def test_central_leaves_out_what_lies_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(100, 3, generator=generator)
    samples[[7, 42]] += 50
    kept = central(samples, 0.9)
    assert len(kept) == 90 and (kept.diff() > 0).all()
    assert not set(kept.tolist()) & {7, 42}
    assert torch.equal(central(samples, 1.0), torch.arange(100))
    with pytest.raises(ValueError, match="share 0"):
        central(samples, 0)
