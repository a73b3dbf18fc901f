"""Small encoders and decoders: vector to vector, picture to vector, and vector to picture."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal
from cvae.layers import GroupNorm, ResidualBlock, downsample, upsample


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected network with SiLU between its layers and nothing after the last.

    Example:
        >>> import torch
        >>> mlp([5, 64, 2])(torch.zeros(3, 5)).shape
        torch.Size([3, 2])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def _coarsest(size: int, levels: int) -> int:
    if size % 2**levels:
        raise ValueError(
            f"got pictures of {size} pixels and {levels} levels that halve them, "
            f"expected a multiple of {2**levels}"
        )
    return size // 2**levels


class ConvEncoder(nn.Module):
    """Picture -> vector: a residual block a level, each level at half the size of the last.

    Shapes: `(B, channels, size, size)` -> `(B, outputs)`.

    Args:
        widths: channels of the levels, finest first; as many halvings.

    Example:
        >>> import torch
        >>> encoder = ConvEncoder(channels=1, size=28, widths=(16, 32), outputs=10)
        >>> encoder(torch.zeros(3, 1, 28, 28)).shape
        torch.Size([3, 10])
    """

    def __init__(
        self, *, channels: int, size: int, outputs: int, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        coarse = _coarsest(size, len(widths))
        self.levels = nn.Sequential()
        for inputs, width in zip((channels, *widths[:-1]), widths, strict=True):
            self.levels.extend([downsample(inputs, width), ResidualBlock(width)])
        self.norm = GroupNorm(widths[-1])
        self.out = nn.Linear(widths[-1] * coarse**2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.levels(x))

    def read(self, x: Tensor) -> Tensor:
        """The coarsest map -> vector."""
        return self.out(F.silu(self.norm(x)).flatten(1))


class ConvDecoder(nn.Module):
    """Vector -> picture, the mirror of `ConvEncoder`; the output is unbounded.

    Shapes: `(B, inputs)` -> `(B, channels, size, size)`.

    Example:
        >>> import torch
        >>> decoder = ConvDecoder(inputs=10, channels=1, size=28, widths=(16, 32))
        >>> decoder(torch.zeros(3, 10)).shape
        torch.Size([3, 1, 28, 28])
    """

    def __init__(
        self, *, inputs: int, channels: int, size: int, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        super().__init__()
        coarse = _coarsest(size, len(widths))
        self.shape = (widths[-1], coarse, coarse)
        self.start = nn.Linear(inputs, widths[-1] * coarse**2)
        self.blocks = nn.ModuleList([ResidualBlock(width) for width in reversed(widths)])
        narrower = (*reversed(widths[:-1]), widths[0])
        self.steps = nn.ModuleList(
            [
                nn.Conv2d(a, b, 3, padding=1)
                for a, b in zip(reversed(widths), narrower, strict=True)
            ]
        )
        self.norm = GroupNorm(widths[0])
        self.out = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.start(z).unflatten(1, self.shape)
        for block, step in zip(self.blocks, self.steps, strict=True):
            x = step(upsample(block(x)))
        return self.out(F.silu(self.norm(x)))


class StandardPrior(nn.Module):
    """The prior that knows nothing of the condition, N(0, I), for features `(B, ...)`.

    Example:
        >>> import torch
        >>> StandardPrior(3)(torch.zeros(2, 5)).mean.shape
        torch.Size([2, 3])
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def forward(self, features: Tensor) -> DiagonalNormal:
        zeros = features.new_zeros(len(features), self.latent)
        return DiagonalNormal(zeros, zeros)
