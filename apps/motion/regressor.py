"""One answer by regression, and a Gaussian around it: what a network without a latent can say."""

from pathlib import Path

import torch
from torch import Tensor, nn

from apps.motion.cells import REACH
from apps.motion.data import Windows
from apps.motion.dense import CellNetwork, sure_of, train_kept
from apps.motion.gaussian import COMPONENTS, LEAST, draw_common, fit_gaussian
from apps.motion.objective import Batch
from apps.motion.recipe import Recipe
from apps.motion.rows import SHAPE, Row, batches, evenly
from apps.motion.working import MOVES
from cvae.likelihoods import laplace
from flow.basis import COEFFICIENTS

NAME, NOISY = "regressor", "regressor + fitted noise"
FITTED = 2048  # training windows that the noise is fitted to


class Robust(nn.Module):
    r"""Objective of the regressor, in px² a cell.

    .. math:: \delta^2 \Big( \sqrt{1 + \|c - \hat c\|^2 / \delta^2} - 1 \Big), \quad
              \delta = 3\,\mathrm{px}

    over the ten coefficients of a cell, mean by confidence (pseudo-Huber; Charbonnier et al.
    1994). Beyond δ it grows as the distance that is scored, so that what flow gets wrong cannot
    take over, as it does under squares. Below δ it is quadratic and asks for a mean: the median
    of an L1 loss is no motion in every cell that more often stays than goes.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.model = CellNetwork(width=recipe.size.width, channels=2 * COEFFICIENTS)
        self.augment, self.least = recipe.augment, recipe.weights.least

    def forward(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        frames, motion, confidence = self.augment(*batch, generator)
        squares = (predicted(self.model, frames) - motion).square().sum((1, 2))  # (B, h, w)
        errors = MOVES**2 * ((1 + squares / MOVES**2).sqrt() - 1)
        loss = (errors * sure_of(confidence, self.least)).sum()
        return loss, {"error": squares.sqrt().mean().detach()}


def predicted(network: nn.Module, frames: Tensor) -> Tensor:
    """The one answer: stills in [-1, 1] -> coefficients `(B, 5, 2, h, w)` in px."""
    return REACH * network(frames).unflatten(1, (COEFFICIENTS, 2))


def train_regressor(
    windows: Windows,
    out: Path,
    *,
    recipe: Recipe,
    device: torch.device | None = None,
    progress: bool = True,
) -> CellNetwork:
    """The regressor of the run in `out`; see `train_kept`."""
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    return train_kept(
        Robust(recipe),
        windows,
        out,
        name=NAME,
        recipe=recipe,
        device=device,
        progress=progress,
    )


@torch.inference_mode()
def answer(network: nn.Module, frames: Tensor) -> Tensor:
    """`predicted` of stills as they are stored, uint8 `(B, 3, 160, 208)`."""
    return predicted(network, frames.float() / 127.5 - 1)


def residuals(network: nn.Module, windows: Windows, *, device: torch.device) -> Tensor:
    """What the answer leaves of the truth, `(N, 5, 2, 20, 26)` in px on the CPU."""
    parts = []
    for part in batches(windows):
        parts.append(part.coefficients.float() - answer(network, part.frames.to(device)).cpu())
    return torch.cat(parts)


class Regressor(Row):
    """The one answer; as a density Laplace's.

    Its scale is the mean absolute residual of each of the five coefficients on training windows
    `(N, 5, 2, 20, 26)`, both axes and all cells alike.
    """

    def __init__(self, network: nn.Module, left: Tensor) -> None:
        super().__init__(NAME)
        self.network = network
        self.scale = left.abs().mean((0, 2, 3, 4)).clamp_min(LEAST)[:, None, None, None]

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return answer(self.network, frames)[:, None]

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        left = residuals(self.network, windows, device=generator.device)
        return -laplace(torch.zeros_like(left), left, scale=self.scale)


class RegressorAndNoise(Row):
    """The regressor's answer first, then with noise, `apps.motion.gaussian` of the residuals."""

    def __init__(self, network: nn.Module, left: Tensor, *, components: int = COMPONENTS) -> None:
        super().__init__(NOISY)
        self.network = network
        self.noise = fit_gaussian(left.flatten(1), components=components)

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        first = answer(self.network, frames)[:, None]
        drawn = draw_common(self.noise, len(frames) * (k - 1), generator=generator)
        return torch.cat([first, first + drawn.reshape(len(frames), k - 1, *SHAPE)], 1)

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        left = residuals(self.network, windows, device=generator.device)
        return -self.noise.log_prob(left.flatten(1))


def regressor_rows(
    network: nn.Module, train: Windows, *, device: torch.device
) -> tuple[Regressor, RegressorAndNoise]:
    """Both rows, fitted to the residuals on evenly chosen training windows."""
    network = network.to(device).eval()
    left = residuals(network, evenly(train, FITTED), device=device)
    return Regressor(network, left), RegressorAndNoise(network, left)
