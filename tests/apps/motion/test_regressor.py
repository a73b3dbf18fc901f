"""The regressor, its robust loss and the noise around it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from apps.motion.augment import Augment
from apps.motion.data import Windows
from apps.motion.dense import CellNetwork
from apps.motion.gaussian import draw_common, fit_gaussian
from apps.motion.model import Size
from apps.motion.recipe import Recipe
from apps.motion.regressor import (
    Regressor,
    RegressorAndNoise,
    Robust,
    answer,
    regressor_rows,
    train_regressor,
)
from apps.motion.rows import SHAPE
from cvae.training import Schedule

Make = Callable[..., Windows]
CPU = torch.device("cpu")
TINY = Recipe(
    Size(width=8),
    Schedule(steps=40, batch=8, learning_rate=1e-2, warmup=5, ema=0.8),
    augment=Augment(crop=1.0, light=0.0),
)


class Says(nn.Module):
    """The same numbers `(10,)` for every cell, as a network says them."""

    def __init__(self, said: Tensor) -> None:
        super().__init__()
        self.said = nn.Parameter(said)

    def forward(self, frames: Tensor) -> Tensor:
        h, w = frames.shape[2] // 8, frames.shape[3] // 8
        return self.said[None, :, None, None].expand(len(frames), -1, h, w)


def lot(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def said(x: float) -> Tensor:
    """What a network says for x px in the first coefficient of x."""
    return torch.tensor([x / 4, *[0.0] * 9])


def planted(n: int) -> tuple[Tensor, Tensor]:
    """The bright half of a picture goes down by 8 px, which a mirror leaves: motion and frames."""
    frames = torch.full((n, 3, 160, 208), 40, dtype=torch.uint8)
    motion = torch.zeros(n, *SHAPE)
    for i in range(n):
        half = slice(0, 13) if i % 2 else slice(13, 26)
        frames[i, :, :, half.start * 8 : half.stop * 8] = 200
        motion[i, 0, 1, :, half] = 8.0
    return motion, frames


def robust(network: nn.Module) -> Robust:
    objective = Robust(TINY)
    objective.model = network  # type: ignore[assignment]
    objective.augment = lambda *batch: batch[:3]  # type: ignore[assignment]
    return objective


def test_the_loss_is_quadratic_near_and_linear_far() -> None:
    frames, sure = torch.zeros(1, 3, 32, 48), torch.ones(1, 4, 6)
    found = []
    for x in (0.3, 300.0, 600.0):
        loss, _ = robust(Says(said(x)))((frames, torch.zeros(1, 5, 2, 4, 6), sure), lot())
        found.append(loss.item())
    assert found[0] == pytest.approx(0.3**2 / 2, rel=0.01)
    assert found[2] - found[1] == pytest.approx(3 * 300, rel=0.01)


def test_a_minority_that_moves_is_not_forgotten() -> None:
    """Where one cell in three moves the median is rest, and the answer is not."""
    motion = torch.zeros(1, 5, 2, 2, 3)
    motion[:, 0, 0, :, 0] = 6.0
    network = Says(said(1.0))
    frames, sure = torch.zeros(1, 3, 16, 24), torch.ones(1, 2, 3)
    for _ in range(60):
        loss, _ = robust(network)((frames, motion, sure), lot())
        (slope,) = torch.autograd.grad(loss, network.said)
        network.said.data -= 0.1 * slope
    assert torch.linalg.vector_norm(slope) < 1e-2
    assert 0.5 < network.said[0].item() * 4 < 2.0


def test_what_is_not_sure_weighs_less() -> None:
    motion = torch.zeros(1, 5, 2, 4, 6)
    motion[:, 0, 0, 0, 0] = 50.0
    losses = []
    for confidence in (1.0, 0.0):
        sure = torch.ones(1, 4, 6)
        sure[0, 0, 0] = confidence
        batch = (torch.zeros(1, 3, 32, 48), motion, sure)
        losses.append(robust(Says(said(0.0)))(batch, lot())[0].item())
    share = TINY.weights.least / (23 + TINY.weights.least) * 24
    assert losses[1] == pytest.approx(losses[0] * share, rel=1e-4)


def test_rows_have_the_densities_of_scipy(make_windows: Make) -> None:
    torch.manual_seed(0)
    train = make_windows(torch.randn(30, *SHAPE))
    other = make_windows(torch.randn(2, *SHAPE) * 2)
    left = train.coefficients.float() - said(1.0).unflatten(0, (5, 2))[..., None, None] * 4
    network = Says(said(1.0))
    row, noisy = regressor_rows(network, train, device=CPU)
    scale = left.abs().mean((0, 2, 3, 4), keepdim=True)[0]
    mean = said(1.0).unflatten(0, (5, 2))[..., None, None] * 4
    truth = other.coefficients.float()
    wanted = -stats.laplace.logpdf(truth, loc=mean, scale=scale).sum((1, 2, 3, 4))
    np.testing.assert_allclose(row.nll(other, generator=lot()).numpy(), wanted, rtol=1e-4)
    normal = fit_gaussian(left.flatten(1))
    expected = -normal.log_prob((truth - mean).flatten(1))
    assert torch.allclose(noisy.nll(other, generator=lot()), expected, rtol=1e-3)


def test_the_gaussian_is_that_of_scipy() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 6) @ torch.randn(6, 6) + 3
    normal = fit_gaussian(x, components=2)
    cov = normal.covariance_matrix
    assert torch.allclose(cov.diagonal(), x.var(0), rtol=1e-3)  # nothing is lost of the variances
    point = torch.randn(3, 6) * 4
    expected = stats.multivariate_normal(normal.loc.numpy(), cov.double().numpy()).logpdf(point)
    np.testing.assert_allclose(normal.log_prob(point).numpy(), expected, rtol=1e-3)
    drawn = draw_common(normal, 4000, generator=lot())
    common = normal.cov_factor @ normal.cov_factor.T
    assert torch.allclose(drawn.T.cov(), common, atol=0.12 * float(common.abs().max()))


def test_noise_surrounds_the_answer(make_windows: Make) -> None:
    torch.manual_seed(0)
    left = torch.randn(40, 1, 1, 1, 1) * torch.randn(1, *SHAPE) * 3  # one way to be wrong
    frames = make_windows(left[:2]).frames
    row, noisy = Regressor(Says(said(2.0)), left), RegressorAndNoise(Says(said(2.0)), left)
    one, many = row.draw(frames, 5, generator=lot()), noisy.draw(frames, 9, generator=lot())
    assert one.shape == (2, 1, *SHAPE) and many.shape == (2, 9, *SHAPE)
    assert torch.equal(many[:, :1], one) and torch.equal(one[0, 0], answer(row.network, frames)[0])
    assert one[0, 0, 0, 0].unique().tolist() == [2.0]
    ways = (many[:, 1:] - one - left.mean(0)).flatten(2)
    parallel = torch.cosine_similarity(ways, left[0].flatten(), dim=-1).abs()
    assert parallel.min() > 0.99
    assert torch.equal(many, noisy.draw(frames, 9, generator=lot()))
    assert noisy.draw(frames, 1, generator=lot()).shape[1] == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "regressor"


def test_it_learns_what_moves_and_is_then_only_read(make_windows: Make, run: Path) -> None:
    windows = make_windows(*planted(32))
    network = train_regressor(windows, run, recipe=TINY, progress=False)
    found = answer(network, windows.frames[:4])[:, 0, 1]
    moves = windows.coefficients[:4, 0, 1] > 0
    assert found[moves].mean() > 3 + found[~moves].mean()
    before = {path: os.stat(path).st_mtime_ns for path in run.iterdir()}
    again = train_regressor(windows, run, recipe=TINY, progress=False)
    assert {path: os.stat(path).st_mtime_ns for path in run.iterdir()} == before
    assert torch.equal(answer(again, windows.frames[:4])[:, 0, 1], found)


def test_another_run_is_not_taken_for_this_one(make_windows: Make, tmp_path: Path) -> None:
    windows = make_windows(*planted(8))
    brief = replace(TINY, schedule=replace(TINY.schedule, steps=1))
    train_regressor(windows, tmp_path, recipe=brief, progress=False)
    with pytest.raises(ValueError, match="name another cache"):
        train_regressor(windows, tmp_path, recipe=TINY, progress=False)


def test_a_stopped_run_goes_on(make_windows: Make, tmp_path: Path) -> None:
    windows = make_windows(*planted(8))
    brief = replace(TINY, schedule=replace(TINY.schedule, steps=3, save_every=1))
    whole = train_regressor(windows, tmp_path / "a", recipe=brief, progress=False)

    class Stopped(Exception):
        pass

    class Cut(Windows):
        def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
            if not torch.is_tensor(rows) or next(counter) > 1:
                raise Stopped
            return super().tensors(rows)

        def take(self, rows: Tensor) -> Windows:  # of all of them: still cut
            return self

    counter = iter(range(9))
    with pytest.raises(Stopped):
        train_regressor(Cut(**vars(windows)), tmp_path / "b", recipe=brief, progress=False)
    resumed = train_regressor(windows, tmp_path / "b", recipe=brief, progress=False)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)
    )


@pytest.mark.parametrize("height,width", [(160, 208), (16, 48)])
def test_the_network_has_a_number_a_cell(height: int, width: int) -> None:
    network = CellNetwork(width=8, channels=10)
    frames = torch.rand(2, 3, height, width)
    assert network(frames).shape == (2, 10, height // 8, width // 8)
    network(frames).sum().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert all("backbone" in n or "hint" in n for n in silent), silent
