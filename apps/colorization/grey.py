"""The grey tower: what the networks of colorization know of a picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.layers import upsample
from cvae.tower import Maps, Tower


@dataclass(frozen=True)
class Grey(Maps):
    """What the tower read in a grey picture; everything after it is a function of this and z."""

    guess: Tensor  # (B, 2, 4h, 4w): the tower's one best guess of the chroma, ab/128
    detail: Tensor  # (B, P, 8h, 8w): guides the colours at the size of the chroma


class GreyTower(Tower):
    """The image tower with a guess of the colours, and the edges that its stem loses.

    Shapes: lightness `(B, 1, H, W)` in [-1, 1], H and W multiples of 16 -> `Grey`.
    """

    def __init__(self, *, width: int, detail: int = 8) -> None:
        super().__init__(width=width)
        self.guess = nn.Conv2d(width, 2, 1)
        self.from1 = nn.Conv2d(width, detail, 1)
        self.edges = nn.Conv2d(4, detail, 3, padding=1)

    def forward(self, lightness: Tensor) -> Grey:
        seen = super().forward(lightness)
        edges = self.edges(F.pixel_unshuffle(lightness, 2))
        detail = torch.tanh(edges + upsample(self.from1(seen.fine)))
        return Grey(seen.coarse, seen.middle, seen.fine, self.guess(seen.fine), detail)
