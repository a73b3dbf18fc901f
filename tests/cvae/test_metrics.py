"""Scores against slow copies of their formulas, and what makes them worth having."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from cvae.metrics import (
    best_of,
    bootstrap,
    energy_score,
    mean_absolute,
    paired_bootstrap,
    pairwise_distance,
    rank_of,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def naive_energy(samples: np.ndarray, truth: np.ndarray) -> float:
    k = len(samples)
    error = sum(np.linalg.norm(x - truth) for x in samples) / k
    apart = [np.linalg.norm(samples[i] - samples[j]) for i in range(k) for j in range(k) if i != j]
    return float(error - (0.5 * sum(apart) / (k * (k - 1)) if k > 1 else 0))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_energy_score_is_its_formula(k: int) -> None:
    samples, truth = some(3, k, 2, 4), some(3, 2, 4, seed=1)
    expected = [
        naive_energy(s.flatten(1).numpy().astype(float), t.flatten().numpy())
        for s, t in zip(samples, truth, strict=True)
    ]
    found = energy_score(samples, truth).double()
    torch.testing.assert_close(found, torch.tensor(expected).double(), atol=1e-5, rtol=1e-5)


def test_energy_score_is_smallest_for_the_true_distribution() -> None:
    truth, noise = some(4000, 2), some(4000, 4, 2, seed=1)
    score = energy_score(noise, truth)
    for wrong in (noise + 0.5, 1.7 * noise, 0.5 * noise, torch.zeros_like(noise)):
        worse = paired_bootstrap(
            energy_score(wrong, truth), score, resamples=200, generator=seeded()
        )
        assert worse.low > 0


def test_energy_score_does_not_depend_on_how_many_answers_are_drawn() -> None:
    truth, noise = some(20_000, 2), some(20_000, 8, 2, seed=1)
    two, eight = (energy_score(noise[:, :k], truth).mean().item() for k in (2, 8))
    assert two == pytest.approx(eight, abs=0.03)


def test_energy_score_has_a_gradient_where_answers_agree() -> None:
    samples = torch.ones(1, 3, 2, requires_grad=True)
    energy_score(samples, torch.ones(1, 2)).sum().backward()
    assert samples.grad is not None and samples.grad.isfinite().all()
    apart = some(1, 3, 2).requires_grad_()
    energy_score(apart, torch.ones(1, 2)).sum().backward()
    assert apart.grad is not None and (apart.grad != 0).all()


def test_best_of_takes_the_first_k() -> None:
    errors = torch.tensor([[3.0, 1.0, 0.5], [2.0, 4.0, 9.0]])
    assert [best_of(errors, k).tolist() for k in (1, 2, 3)] == [[3, 2], [1, 2], [0.5, 2]]
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"got k={k}, expected 1 to 3"):
            best_of(errors, k)


def test_pairwise_distance_is_the_mean_over_pairs() -> None:
    samples = some(2, 4, 3, 5)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    expected = torch.stack([(samples[:, i] - samples[:, j]).abs() for i, j in pairs])
    torch.testing.assert_close(pairwise_distance(samples), expected.mean((0, 2, 3)))

    def largest(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().flatten(2).amax(2)

    torch.testing.assert_close(
        pairwise_distance(samples, largest), expected.flatten(2).amax(2).mean(0)
    )
    assert mean_absolute(samples, samples).shape == (2, 4)
    with pytest.raises(ValueError, match="at least 2"):
        pairwise_distance(samples[:, :1])


def test_ranks_of_calibrated_answers_are_uniform_and_of_narrow_ones_not() -> None:
    truth, noise = some(6000), some(6000, 4, seed=1)
    counts = rank_of(truth, noise).bincount(minlength=5)
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.01
    narrow = rank_of(truth, 0.5 * noise).bincount(minlength=5)
    wide = rank_of(truth, 2 * noise).bincount(minlength=5)
    assert narrow[[0, 4]].min() > 1.3 * narrow[2]
    assert wide[[0, 4]].max() < 0.7 * wide[2]


def test_ranks_break_ties_by_lot() -> None:
    ranks = rank_of(torch.zeros(5000), torch.zeros(5000, 3), generator=seeded())
    assert scipy.stats.chisquare(ranks.bincount(minlength=4).numpy()).pvalue > 0.01
    assert rank_of(some(2, 3, 5), some(2, 7, 3, 5)).shape == (2, 3, 5)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    values = some(1000)
    found = bootstrap(values, generator=seeded())
    half = 1.96 * values.std().item() / 1000**0.5
    assert found.mean == pytest.approx(values.mean().item(), abs=1e-6)
    assert found.low == pytest.approx(found.mean - half, abs=0.15 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.15 * half)


def test_bootstrap_covers_the_truth_as_often_as_it_says() -> None:
    generator = seeded()
    hits = 0
    for _ in range(200):
        persons = torch.randn(60, generator=generator)
        values = persons.repeat_interleave(5) + 0.1 * torch.randn(300, generator=generator)
        groups = torch.arange(60).repeat_interleave(5)
        found = bootstrap(values, groups, resamples=300, level=0.9, generator=generator)
        hits += found.low <= 0 <= found.high
    assert 165 <= hits <= 195  # 180 expected; values taken as independent would give about 110


def test_bootstrap_draws_persons_not_photos() -> None:
    groups = [f"person {i // 10}" for i in range(200)]
    values = some(20).repeat_interleave(10)
    whole, single = (bootstrap(values, g, generator=seeded()) for g in (groups, None))
    assert whole.high - whole.low > 2.5 * (single.high - single.low)
    numbers = torch.arange(200) // 10
    assert bootstrap(values, numbers, generator=seeded()) == whole
    one = bootstrap(values, ["all"] * 200, generator=seeded())
    assert one.low == one.high == pytest.approx(one.mean)


def test_bootstrap_weighs_photos_not_persons() -> None:
    values = torch.tensor([0.0] * 9 + [1.0])
    found = bootstrap(values, ["a"] * 9 + ["b"], resamples=500, generator=seeded())
    assert (found.mean, found.low, found.high) == (pytest.approx(0.1), 0, 1)


def test_bootstrap_follows_its_generator() -> None:
    first, again = (bootstrap(some(50), generator=seeded(3)) for _ in range(2))
    assert first == again != bootstrap(some(50), generator=seeded(4))


def test_a_paired_difference_is_sharper_than_two_intervals() -> None:
    a = some(300)
    b = a + 0.1 + 0.05 * some(300, seed=1)
    found = paired_bootstrap(a, b, generator=seeded())
    assert found.low < found.mean < found.high < 0
    assert bootstrap(a, generator=seeded()).high > bootstrap(b, generator=seeded()).low


@pytest.mark.parametrize(("values", "groups"), [((0,), None), ((3, 2), None), ((3,), ["a", "b"])])
def test_bootstrap_refuses_what_it_cannot_mean(
    values: tuple[int, ...], groups: list[str] | None
) -> None:
    with pytest.raises(ValueError, match="expected N > 0"):
        bootstrap(torch.zeros(values), groups)
    with pytest.raises(ValueError, match="the same examples"):
        paired_bootstrap(torch.zeros(3), torch.zeros(4))
