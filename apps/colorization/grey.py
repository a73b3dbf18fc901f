"""The grey tower: what the networks of colorization know of a picture."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.layers import ResidualBlock, SelfAttention, downsample, upsample


@dataclass(frozen=True)
class Grey:
    """What the tower read in a grey picture; everything after it is a function of this and z."""

    coarse: Tensor  # (B, 4W, h, w), h = H / 16
    middle: Tensor  # (B, 2W, 2h, 2w)
    fine: Tensor  # (B, W, 4h, 4w)
    guess: Tensor  # (B, 2, 4h, 4w): the tower's one best guess of the chroma, ab/128
    detail: Tensor  # (B, P, 8h, 8w): guides the colours at the size of the chroma

    def repeat(self, k: int) -> "Grey":
        """Each picture k times in a row, `(B, ...)` -> `(B k, ...)`."""
        return Grey(*(t.repeat_interleave(k, 0) for t in vars(self).values()))


class GreyTower(nn.Module):
    """Residual U-Net over lightness.

    The first convolution sees 4x4 pixels at once: full-size maps cost most and say least about
    colour. The edges that this loses come back through `detail`.

    Shapes: lightness `(B, 1, H, W)` in [-1, 1], H and W multiples of 16 -> `Grey`.
    """

    def __init__(self, *, width: int, detail: int = 8) -> None:
        super().__init__()
        w1, w2, w3 = width, 2 * width, 4 * width
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, w1, 3, padding=1))
        self.down1 = ResidualBlock(w1)
        self.to2 = downsample(w1, w2)
        self.down2 = nn.Sequential(ResidualBlock(w2), ResidualBlock(w2))
        self.to3 = downsample(w2, w3)
        self.bottom = nn.Sequential(
            ResidualBlock(w3), SelfAttention(w3), ResidualBlock(w3), SelfAttention(w3)
        )
        self.from3 = nn.Conv2d(w3, w2, 1)
        self.up2 = ResidualBlock(w2)
        self.from2 = nn.Conv2d(w2, w1, 1)
        self.up1 = ResidualBlock(w1)
        self.guess = nn.Conv2d(w1, 2, 1)
        self.from1 = nn.Conv2d(w1, detail, 1)
        self.edges = nn.Conv2d(4, detail, 3, padding=1)

    def forward(self, lightness: Tensor) -> Grey:
        x1 = self.down1(self.stem(lightness))
        x2 = self.down2(self.to2(x1))
        coarse = self.bottom(self.to3(x2))
        middle = self.up2(x2 + self.from3(upsample(coarse)))
        fine = self.up1(x1 + self.from2(upsample(middle)))
        edges = self.edges(F.pixel_unshuffle(lightness, 2))
        detail = torch.tanh(edges + upsample(self.from1(fine)))
        return Grey(coarse, middle, fine, self.guess(fine), detail)
