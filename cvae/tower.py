"""The image tower: a residual U-Net that reads a grey picture once for all answers."""

from dataclasses import dataclass

import torch.nn as nn
from torch import Tensor

from cvae.layers import ResidualBlock, SelfAttention, downsample, upsample


@dataclass(frozen=True)
class Maps:
    """What the tower read, at three scales; W is its width."""

    coarse: Tensor  # (B, 4W, h, w), h = H / 16
    middle: Tensor  # (B, 2W, 2h, 2w)
    fine: Tensor  # (B, W, 4h, 4w)

    def repeat(self, k: int) -> "Maps":
        """Each picture k times in a row, `(B, ...)` -> `(B k, ...)`."""
        return type(self)(*(t.repeat_interleave(k, 0) for t in vars(self).values()))


class Tower(nn.Module):
    """Residual U-Net over lightness, with attention on its coarsest map.

    The first convolution sees 4x4 pixels at once: full-size maps cost most and say least about
    what a picture shows.

    Shapes: lightness `(B, 1, H, W)` in [-1, 1], H and W multiples of 16 -> `Maps`.

    Example:
        >>> import torch
        >>> Tower(width=8)(torch.zeros(1, 1, 32, 48)).middle.shape
        torch.Size([1, 16, 4, 6])
    """

    def __init__(self, *, width: int) -> None:
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

    def forward(self, lightness: Tensor) -> Maps:
        x1 = self.down1(self.stem(lightness))
        x2 = self.down2(self.to2(x1))
        coarse = self.bottom(self.to3(x2))
        middle = self.up2(x2 + self.from3(upsample(coarse)))
        fine = self.up1(x1 + self.from2(upsample(middle)))
        return Maps(coarse, middle, fine)
