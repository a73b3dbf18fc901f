"""Rows that need no network: what they answer, and how many."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from apps.motion.baselines import Gaussian, ZeroFirst, mean_row, plain_rows, zero_row
from apps.motion.data import Windows
from apps.motion.retrieval import Neighbours, gradients, thumbnail
from apps.motion.rows import SHAPE, score_row

Make = Callable[..., Windows]


def motions(n: int, seed: int = 0) -> torch.Tensor:
    return 5 * torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(seed))


def lot() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def test_constant_rows(make_windows: Make) -> None:
    train = make_windows(motions(6))
    frames = train.frames[:2]
    assert torch.equal(zero_row().draw(frames, 5, generator=lot()), torch.zeros(2, 1, *SHAPE))
    mean = mean_row(train).draw(frames, 5, generator=lot())
    expected = train.coefficients.float().mean(0)
    assert mean.shape == (2, 1, *SHAPE) and torch.allclose(mean[1, 0], expected)


def test_the_gaussian_has_the_moments_of_its_data(make_windows: Make) -> None:
    # two directions of known spread around a known mean
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    mean, one, other = motions(3, seed=2) / 5
    x = mean + noise[:, 0, None, None, None, None] * 3 * one
    x = x + noise[:, 1, None, None, None, None] * other
    train = make_windows(x, torch.zeros(200, 3, 160, 208, dtype=torch.uint8))
    row = Gaussian(train, components=2)
    drawn = row.draw(train.frames[:2], 500, generator=lot())
    assert drawn.shape == (2, 500, *SHAPE)
    assert torch.allclose(drawn.mean((0, 1)), x.mean(0), atol=0.6)
    ratio = drawn.flatten(0, 1).var(0).sum() / x.var(0).sum()
    assert ratio.item() == pytest.approx(1, abs=0.1)
    again = row.draw(train.frames[:2], 500, generator=lot())
    assert torch.equal(drawn, again)


def test_the_planted_neighbour_comes_first(make_windows: Make) -> None:
    train = make_windows(motions(12))
    noise = torch.randint(-9, 10, train.frames.shape, generator=lot())
    # darker, and noisy: still the same picture
    seen = (0.7 * train.frames.float() + noise).clamp(0, 255).to(torch.uint8)
    row = Neighbours(train)
    wanted = torch.tensor([7, 3])
    assert torch.equal(row.nearest(seen[wanted], 1)[:, 0], wanted)
    drawn = row.draw(seen[wanted], 4, generator=lot())
    assert torch.equal(drawn[:, 0], train.coefficients[wanted].float())
    assert row.draw(seen[wanted], 50, generator=lot()).shape[1] == 12


def test_nearer_means_more_alike(make_windows: Make) -> None:
    train = make_windows(motions(8))
    row = Neighbours(train)
    features = row._features(train.frames[:1])
    order = row.nearest(train.frames[:1], 8)[0]
    likeness = (row.features @ features[0])[order]
    assert order[0] == 0 and (likeness.diff() <= 0).all()


def test_a_clip_answers_once_with_its_nearest_window(make_windows: Make) -> None:
    train = make_windows(motions(6))
    frames = train.frames.clone()
    frames[4] = (0.9 * frames[1] + 0.1 * frames[5]).to(torch.uint8)  # nearly, in the same clip
    clips = [replace(train.windows[i], clip=clip) for i, clip in enumerate("abcdbe")]
    row = Neighbours(replace(train, frames=frames, windows=tuple(clips)))
    found = row.nearest(frames[[1, 4]], 50).tolist()
    assert [order[0] for order in found] == [1, 4]
    assert sorted(found[0]) == [0, 1, 2, 3, 5] and sorted(found[1]) == [0, 2, 3, 4, 5]


def test_gradients_know_the_direction_and_not_the_sign() -> None:
    ramp = torch.arange(208).remainder(16).mul(15).to(torch.uint8)
    upright = ramp.expand(1, 3, 160, 208)
    lying = torch.arange(160).remainder(16).mul(15).to(torch.uint8)[:, None].expand(1, 3, 160, 208)
    a, b = gradients(upright), gradients(lying)
    assert a.shape == (1, 9 * 10 * 13)
    assert torch.allclose(gradients(255 - upright), a, atol=1e-5)
    assert (a * b).sum() < 0.2 and a.norm().item() == pytest.approx(1)


def test_a_thumbnail_forgets_exposure_and_contrast() -> None:
    coarse = torch.rand(1, 3, 10, 13, generator=lot()) * 100
    frame = coarse.repeat_interleave(16, 2).repeat_interleave(16, 3)
    assert torch.allclose(thumbnail(frame), thumbnail(1.8 * frame + 20), atol=1e-5)


def test_zero_comes_before_what_is_retrieved(make_windows: Make) -> None:
    train = make_windows(motions(6))
    other = Neighbours(train)
    row = ZeroFirst(other)
    drawn = row.draw(train.frames[:2], 5, generator=lot())
    assert drawn.shape == (2, 5, *SHAPE) and not drawn[:, 0].any()
    assert torch.equal(drawn[:, 1:], other.draw(train.frames[:2], 4, generator=lot()))
    assert torch.equal(row.draw(train.frames[:2], 1, generator=lot()), drawn[:, :1])


def test_every_row_is_scored_in_one_loop(make_windows: Make) -> None:
    train = make_windows(motions(6))
    moving = motions(3, seed=4)
    moving[..., :9] = 0  # some cells must be still for the AUC
    truth = make_windows(moving)
    for row in plain_rows(train):
        found = score_row(row, truth, device=torch.device("cpu"))
        squares = found.pop("squares")
        assert squares.shape[0] == 3 and squares.dtype == torch.float64
        assert all(value.shape == (3,) and value.isfinite().all() for value in found.values())
        if row.name == "zero motion":
            assert torch.equal(found["ed1"], found["ed50"])
            assert torch.allclose(found["energy"], found["mean_ed"])
