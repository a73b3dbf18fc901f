"""The networks of the faces: what is asked for, the encoder that reads a face, the decoder that
paints one. Requests reach every level of both: said once at the entrance they are soon forgotten.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal
from cvae.layers import GroupNorm, ResidualBlock, downsample, upsample
from cvae.networks import mlp

COARSEST = 4  # pixels of the map that a face grows from; four doublings make 64


class Requests(nn.Module):
    """Three-state attributes -> a context: whether each is stated, and what it says.

    Shapes: `(B, A)` with 1 on, -1 off, 0 open -> `(B, C)`.
    """

    def __init__(self, *, attributes: int, context: int) -> None:
        super().__init__()
        self.read = mlp([2 * attributes, context, context])

    def forward(self, y: Tensor) -> Tensor:
        return self.read(torch.cat([y, y.abs()], 1))


class FaceEncoder(nn.Module):
    """Recognition network q(z | x, y).

    Shapes: face `(B, 3, 64, 64)` in [-1, 1], context `(B, C)` -> normal over `(B, D)`.
    """

    def __init__(self, *, width: int, latent: int, context: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        self.stem = nn.Conv2d(12, width, 3, padding=1)
        self.blocks = nn.ModuleList([ResidualBlock(w, context=context) for w in widths])
        self.steps = nn.ModuleList(
            [downsample(a, b) for a, b in zip(widths, (*widths[1:], widths[-1]), strict=True)]
        )
        self.norm = GroupNorm(widths[-1])
        self.out = nn.Linear(widths[-1] * COARSEST**2, 2 * latent)

    def forward(self, x: Tensor, context: Tensor) -> DiagonalNormal:
        x = self.stem(F.pixel_unshuffle(x, 2))
        for block, step in zip(self.blocks, self.steps, strict=True):
            x = step(block(x, context))
        mean, logvar = self.out(F.silu(self.norm(x)).flatten(1)).chunk(2, 1)
        return DiagonalNormal(mean, logvar)


class FaceDecoder(nn.Module):
    """Generation network: (z, requests) -> face.

    Full-size maps are thin, or they would cost as much as all the others together. They come of
    interpolation: channels rearranged into pixels leave a lattice once a game asks for texture.

    Shapes: z `(B k, D)`, context of B requests, k answers each in a row -> `(B k, 3, 64, 64)`.
    """

    def __init__(self, *, width: int, latent: int, context: int) -> None:
        super().__init__()
        widths = (4 * width, 4 * width, 2 * width, width)  # at 4, 8, 16 and 32 pixels
        style = 4 * width
        self.style = mlp([latent + context, style, style])
        self.start = nn.Linear(latent, widths[0] * COARSEST**2)
        self.blocks = nn.ModuleList([ResidualBlock(w, context=style) for w in widths])
        self.steps = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in pairwise(widths)])
        self.norm = GroupNorm(width)
        self.thin = nn.Conv2d(width, width // 2, 3, padding=1)
        self.fine = nn.Conv2d(width // 2, width // 2, 3, padding=1)
        self.out = nn.Conv2d(width // 2, 3, 3, padding=1)

    def forward(self, z: Tensor, context: Tensor) -> Tensor:
        context = context.repeat_interleave(len(z) // len(context), 0)
        style = F.silu(self.style(torch.cat([z, context], 1)))
        x = self.start(z).unflatten(1, (-1, COARSEST, COARSEST))
        x = self.blocks[0](x, style)
        for step, block in zip(self.steps, self.blocks[1:], strict=True):
            x = block(upsample(step(x)), style)
        x = F.silu(upsample(self.thin(F.silu(self.norm(x)))))
        return torch.tanh(self.out(F.silu(self.fine(x))))
