"""Resamples of whole groups, paired between rows; the jackknife against a formula."""

import math

import pytest
import torch

from apps.faces import resamples
from cvae.metrics import Interval, bootstrap

GROUPS = ["ann", "bob", "ann", "cid", "bob", "dan"]


def test_the_first_row_is_the_figure_and_groups_are_drawn_whole() -> None:
    weights = resamples.resampled(GROUPS, resamples=50)
    assert weights.shape == (51, 6) and torch.equal(weights[0], torch.ones(6).double())
    assert torch.equal(weights[:, 0], weights[:, 2]) and torch.equal(weights[:, 1], weights[:, 4])
    assert (weights[1:, [0, 1, 3, 5]].sum(1) == 4).all()
    assert not torch.equal(weights[1], weights[2])
    assert torch.equal(weights, resamples.resampled(GROUPS, resamples=50))
    assert not torch.equal(weights, resamples.resampled(GROUPS, resamples=50, seed=1))


def test_intervals_of_means_are_those_of_the_house() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    groups = [i // 3 for i in range(400)]
    weights = resamples.resampled(groups, resamples=2000)
    found = resamples.interval(resamples.mean(weights, values))
    expected = bootstrap(values, groups, generator=torch.Generator().manual_seed(1))
    assert found is not None
    for name in ("mean", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=0.01)


def test_means_keep_what_comes_after_the_pictures() -> None:
    weights = resamples.resampled(GROUPS, resamples=3)
    values = torch.arange(24.0).view(6, 2, 2)
    means = resamples.mean(weights, values)
    assert means.shape == (4, 2, 2)
    assert torch.allclose(means[0].float(), values.mean(0))
    alone = resamples.mean(weights, values[:, 1, 0])
    assert torch.allclose(means[:, 1, 0], alone)


def test_parts_are_left_out_by_group_and_each_once() -> None:
    keep = resamples.left_out(GROUPS, 2)
    assert keep[0].all() and ((~keep[1:]).sum(0) == 1).all()
    assert torch.equal(keep[:, 0], keep[:, 2]) and torch.equal(keep[:, 1], keep[:, 4])
    assert keep[1].tolist() == [False, True, False, False, True, True]


def test_the_jackknife_of_a_mean_has_its_standard_error() -> None:
    x = torch.randn(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    keep = resamples.left_out(range(100), 100)
    without = torch.stack([x[rows].mean() for rows in keep])
    draws = resamples.from_jackknife(without, resamples=4000)
    assert draws[0] == x.mean()
    assert draws[1:].std().item() == pytest.approx(x.std().item() / 10, rel=0.05)


def test_the_jackknife_is_paired() -> None:
    x = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    keep = resamples.left_out(range(40), 10)
    one, two = (
        resamples.from_jackknife(
            torch.stack([x[rows].mean() + shift for rows in keep]), resamples=50
        )
        for shift in (0.0, 3.0)
    )
    assert torch.allclose(two - one, torch.full((51,), 3.0).double())


def test_an_interval_passes_over_what_resamples_lack() -> None:
    draws = torch.tensor([0.5, math.nan, 0.0, 1.0])
    assert resamples.interval(draws, level=0.5) == Interval(0.5, 0.25, 0.75)
    assert resamples.interval(torch.tensor([math.nan, 1.0, 2.0])) is None
    assert resamples.interval(torch.tensor([1.0, math.nan, math.nan])) is None
