"""The rivals do what their names say, in worlds where the right answer is known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from apps.colorization import baselines
from apps.colorization.data import Photo, Photos
from apps.colorization.regression import UNet, train_regression
from apps.colorization.rows import SHAPE, Row, score_row
from apps.colorization.truth import Truth
from cvae.training import Schedule

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos_of(grey: Tensor, chroma: Tensor) -> Photos:
    """Grey `(N, 1, 128, 128)` in [-1, 1] and chroma in ab/128, through the 8 bits of `Photos`."""
    lightness = ((grey[:, 0] + 1) * 127.5).round().to(torch.uint8)
    kept = tuple(Photo(Path(str(i)), "set", "train", str(i)) for i in range(len(grey)))
    return Photos(lightness, (chroma * 128).round().clamp(-128, 127).to(torch.int8), kept)


def truth_of(grey: Tensor, chroma: Tensor) -> Truth:
    groups = tuple(str(i) for i in range(len(grey)))
    return Truth(grey, chroma, 50 * (grey[:, 0, ::2, ::2] + 1), groups)


def pictures(count: int, *, seed: int = 0) -> Tensor:
    """Smooth random lightness: 4 x 4 numbers made large."""
    coarse = 1.6 * torch.rand(count, 1, 4, 4, generator=generator(seed)) - 0.8
    return coarse.repeat_interleave(32, 2).repeat_interleave(32, 3)


def linear_world(count: int, *, seed: int, noise: float = 0.0) -> tuple[Tensor, Tensor]:
    """Chroma that is an affine function of grey, plus one direction that grey knows nothing of."""
    grey = pictures(count, seed=seed)
    half = grey[:, :, ::2, ::2]
    chroma = torch.cat([0.1 + 0.3 * half, -0.2 * half.flip(3)], 1)
    hidden = torch.randn(count, 1, 1, 1, generator=generator(seed + 1))
    direction = torch.tensor([0.6, -0.8]).view(1, 2, 1, 1)
    return grey, chroma + noise * hidden * direction


@pytest.fixture(scope="module")
def world() -> tuple[Photos, Truth]:
    return photos_of(*linear_world(300, seed=0)), truth_of(*linear_world(20, seed=7))


def draw(row: Row, grey: Tensor, k: int, **options: float) -> Tensor:
    return row.draw(grey, k, generator=generator(), **options)


def test_the_grey_row_errs_by_the_truth_itself(world: tuple[Photos, Truth]) -> None:
    truth = world[1]
    scores = score_row(baselines.grey_row(), truth, device=CPU)
    size = truth.chroma.abs().mean((1, 2, 3))
    for k in (1, 2, 4, 8, 16):
        torch.testing.assert_close(scores[f"mae{k}"], size)
    expected = truth.chroma.flatten(1).norm(dim=1)
    torch.testing.assert_close(scores["energy"], expected, rtol=1e-4, atol=0)


def test_the_mean_row_is_the_mean(world: tuple[Photos, Truth]) -> None:
    train, truth = world
    row = baselines.mean_row(train)
    expected = train.chroma.double().mean(0).float() / 128
    for found in draw(row, truth.grey, 8)[:, 0]:
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_ridge_recovers_a_linear_world(world: tuple[Photos, Truth]) -> None:
    train, truth = world
    ridge = baselines.fit_ridge(train, truth)
    assert ridge.penalty == min(baselines.PENALTIES)
    error = (ridge(truth.grey) - truth.chroma).abs().mean()
    assert error < 0.004  # half of an 8-bit level of the training chroma is .0039


def test_the_penalty_is_chosen_on_val() -> None:
    """Where chroma has nothing to do with grey, the strongest penalty errs least."""
    chroma = 0.2 * torch.randn(60, *SHAPE, generator=generator(3))
    train = photos_of(pictures(60), chroma[:60])
    val = truth_of(pictures(30, seed=1), torch.zeros(30, *SHAPE))
    assert baselines.fit_ridge(train, val).penalty == max(baselines.PENALTIES)


def test_linear_gaussian_finds_what_grey_leaves_open() -> None:
    train = photos_of(*linear_world(300, seed=0, noise=0.1))
    grey, chroma = linear_world(20, seed=7)
    ridge = baselines.fit_ridge(train, truth_of(grey, chroma))
    gaussian = baselines.fit_residual(ridge, train, device=CPU)
    row = baselines.RegressionAndGaussian("linear-Gaussian", ridge, gaussian)
    drawn = draw(row, grey[:1], 400)[0]
    colours = drawn.mean((2, 3))  # (400, 2)
    expected = 0.1**2 * torch.tensor([[0.36, -0.48], [-0.48, 0.64]])
    torch.testing.assert_close(colours.T.cov(), expected, atol=0.0015, rtol=0)
    half = draw(row, grey[:1], 400, temperature=0.5)[0].mean((2, 3))
    torch.testing.assert_close(half.T.cov(), expected / 4, atol=0.0004, rtol=0)
    torch.testing.assert_close(drawn.mean(0), chroma[0], atol=0.05, rtol=0)


def test_residual_gaussian_has_the_covariance_of_its_data() -> None:
    basis = torch.linalg.qr(torch.randn(8192, 3, generator=generator(2)))[0]
    spread = torch.tensor([9.0, 4.0, 1.0])
    weights = torch.randn(500, 3, generator=generator(3)) * spread
    data = (weights @ basis.T).unflatten(1, SHAPE) + 0.5
    gaussian = baselines.ResidualGaussian.fit(data, components=3)
    torch.testing.assert_close(gaussian.mean, data.flatten(1).mean(0))
    found = gaussian.factor @ basis  # (3, 3)
    torch.testing.assert_close(found.T @ found, weights.T.cov(), atol=1e-2, rtol=1e-3)


def test_fits_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    data = torch.randn(10, *SHAPE, generator=generator())
    first, second = (baselines.ResidualGaussian.fit(data, components=4) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.factor, second.factor)


def test_the_nearest_neighbour_of_a_training_photo_is_itself() -> None:
    chroma = 0.2 * torch.randn(12, *SHAPE, generator=generator(5))
    grey = pictures(12)
    train = photos_of(grey, chroma)
    row = baselines.Neighbours(train)
    answers = draw(row, grey, 4)
    assert answers.shape == (12, 4, *SHAPE)
    assert torch.equal(answers[:, 0], train.chroma.float() / 128)
    darker = draw(row, 0.5 * grey - 0.2, 4)  # another exposure of the same picture
    assert torch.equal(darker[:, 0], answers[:, 0])
    assert draw(row, grey, 16).shape[1] == 12  # all there are


def test_random_chromas_are_training_photos() -> None:
    chroma = torch.arange(5.0).view(5, 1, 1, 1).expand(5, *SHAPE) / 128
    row = baselines.RandomChroma(photos_of(pictures(5), chroma))
    drawn = 128 * draw(row, pictures(40), 8)
    assert set(drawn.unique().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert drawn[0, :, 0, 0, 0].unique().numel() > 1
    assert torch.equal(128 * draw(row, pictures(40), 8), drawn)


def test_the_regression_learns_resumes_and_is_read_back(tmp_path: Path) -> None:
    grey = pictures(16)
    chroma = torch.full((16, *SHAPE), 0.25)
    train = photos_of(grey, chroma)
    schedule = Schedule(steps=30, batch=4, warmup=1, learning_rate=5e-3, ema=0.8)

    def run() -> UNet:
        return train_regression(train, tmp_path, schedule=schedule, widths=(4, 8), progress=False)

    model = run()
    assert not model.training
    with torch.no_grad():
        assert (model(grey) - chroma).abs().mean() < 0.1 < chroma.mean()
    written = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    again = run()
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == written
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="another cache"):
        train_regression(train, tmp_path, schedule=schedule, widths=(4, 4), progress=False)
