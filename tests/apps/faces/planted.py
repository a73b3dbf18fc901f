"""Faces whose attributes are planted: cell i of an 8×8 grid is bright where attribute i is on.

A judge that reads the cells, and models that paint them as they are asked to, or do not; what a
figure must be is then known exactly.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.attributes import OFFERED
from apps.faces.frame import to_pixels
from apps.faces.judge import Judge
from apps.faces.rows import Row
from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.networks import StandardPrior

A, LATENT, CELLS = len(OFFERED), 8, 64
FREE = slice(40, 40 + LATENT)  # the cells that z paints
CPU = torch.device("cpu")


class CellReader(nn.Module):
    """Reads all cells; the first are the logits of the attributes."""

    def features(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x.mean(1, keepdim=True), 8).flatten(1)

    def last(self, features: Tensor) -> Tensor:
        return 4 * features[:, :A]


def paint(cells: Tensor) -> Tensor:
    """Faces in [-1, 1] of cells `(B, 64)`."""
    x = cells.view(-1, 1, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    return x.expand(-1, 3, -1, -1)


class Painter(nn.Module):
    """(z, requests) -> cells; `heard` `(A,)` weighs the requests, `spill` adds to other cells."""

    def __init__(self, heard: Tensor, spill: Tensor | None = None) -> None:
        super().__init__()
        self.heard, self.spill = heard, spill

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        y = y.repeat_interleave(len(z) // len(y), 0)
        cells = torch.zeros(len(z), CELLS)
        cells[:, :A] = 0.5 * y * self.heard
        if self.spill is not None:
            cells[:, :A] += y @ self.spill
        cells[:, FREE] = 0.5 * torch.tanh(z)
        return paint(cells)


class Read(nn.Module):
    """The posterior that knows z from its cells."""

    def forward(self, x: Tensor, y: Tensor) -> DiagonalNormal:
        cells = F.avg_pool2d(x.mean(1, keepdim=True), 8).flatten(1)[:, FREE]
        mean = torch.atanh((2 * cells).clamp(-0.999, 0.999))
        return DiagonalNormal(mean, torch.full_like(mean, -6.0))


def model(heard: float | Tensor = 1.0, spill: Tensor | None = None) -> CVAE:
    """One that paints what it is asked for, as far as it hears it."""
    return CVAE(
        condition=nn.Identity(),
        recognition=Read(),
        prior=StandardPrior(LATENT),
        generation=Painter(torch.as_tensor(heard) * torch.ones(A), spill),
    )


def row(heard: float | Tensor = 1.0, spill: Tensor | None = None) -> Row:
    return Row("planted", model(heard, spill), device=CPU)


def judge() -> Judge:
    return Judge(CellReader(), device=CPU)


def labels(n: int, *, unknown: float = 0.0, seed: int = 0) -> Tensor:
    """States of n faces, all attributes independent, `(n, A)`."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randint(2, (n, A), generator=generator) * 2.0 - 1
    return states * (torch.rand(n, A, generator=generator) >= unknown)


def faces(states: Tensor, *, seed: int = 0) -> Tensor:
    """Real faces of those states, uint8 `(n, 3, 64, 64)`, with grain and cells of chance."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(len(states), LATENT, generator=generator)
    x = Painter(torch.ones(A))(z, states)
    return to_pixels(x + 0.05 * torch.randn(x.shape, generator=generator))
