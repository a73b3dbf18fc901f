"""The networks of motion: a tower that reads the still, one that reads motion, one that says it.

One latent `z` of two parts, flat as `(B, D)`: g for how the scene moves as a whole, and a spatial
part s on the coarsest map of the tower (what moves where).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_lab
from torch import Tensor, nn

from apps.motion.cells import CHANNELS, SPOKEN
from cvae.distributions import DiagonalNormal
from cvae.layers import ResidualBlock, downsample, start_small, upsample
from cvae.tower import Maps, Tower
from flow.basis import COEFFICIENTS

AXES = 2 * COEFFICIENTS
RELATIVE = 1.0  # px: above it the encoder reads motion by its logarithm


@dataclass(frozen=True)
class Scene(Maps):
    """What the tower read in a still; everything after it is a function of this and z."""

    hint: Tensor  # (B, 2, 2h, 2w): whether a cell moves, and how far, for the tower alone


class SceneTower(Tower):
    """The image tower over the lightness of a still, with a first idea of what will move.

    Shapes: sRGB `(B, 3, H, W)` in [-1, 1], H and W multiples of 16 -> `Scene`.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__(width=width)
        self.hint = nn.Conv2d(2 * width, 2, 1)
        start_small(self.hint)

    def forward(self, frames: Tensor) -> Scene:
        with torch.autocast(frames.device.type, enabled=False):
            lightness = rgb_to_lab(frames.float() / 2 + 0.5)[:, :1] / 50 - 1
        seen = super().forward(lightness)
        return Scene(seen.coarse, seen.middle, seen.fine, self.hint(seen.middle))


class MotionEncoder(nn.Module):
    """Recognition network q(z | Y, X): reads the true motion beside the still.

    Shapes: coefficients `(B, 5, 2, 2h, 2w)` in px, scene -> normal over `(B, D)`,
    D = `whole` + `spatial` h w.
    """

    def __init__(self, *, width: int, whole: int, spatial: int) -> None:
        super().__init__()
        channels = 2 * width
        self.stem = nn.Conv2d(AXES, channels, 3, padding=1)
        self.middle = nn.Conv2d(2 * width, channels, 1)
        self.block2 = ResidualBlock(channels)
        self.to3 = downsample(channels, channels)
        self.coarse = nn.Conv2d(4 * width, channels, 1)
        self.block3 = ResidualBlock(channels)
        self.spatial = nn.Conv2d(channels, 2 * spatial, 1)
        self.whole = nn.Linear(channels, 2 * whole)

    def forward(self, motion: Tensor, scene: Scene) -> DiagonalNormal:
        read = torch.asinh(motion.flatten(1, 2) / RELATIVE)  # a few cells go very far
        x = self.block2(self.stem(read) + self.middle(scene.middle))
        x = self.block3(self.to3(x) + self.coarse(scene.coarse))
        g_mean, g_logvar = self.whole(x.mean((2, 3))).chunk(2, 1)
        s_mean, s_logvar = self.spatial(x).chunk(2, 1)  # (B, S, h, w) each
        mean = torch.cat([g_mean, s_mean.flatten(1)], 1)
        return DiagonalNormal(mean, torch.cat([g_logvar, s_logvar.flatten(1)], 1))


class MotionDecoder(nn.Module):
    """Generation network: (z, X) -> what `apps.motion.cells` says of every cell.

    z only has to say how an answer departs from the hint of the tower. The widths of the
    likelihood are parameters of their own, the same for all cells (Rybkin et al., 2021).

    Shapes: z `(B k, D)`, scene of B stills, k answers each in a row -> `(B k, C, 2h, 2w)`.
    """

    def __init__(self, *, width: int, whole: int, spatial: int) -> None:
        super().__init__()
        w2, w3 = width, 2 * width
        self.whole_size, self.spatial_size = whole, spatial
        self.coarse = nn.Conv2d(4 * width, w3, 1)
        self.middle = nn.Conv2d(2 * width, w2, 1)
        self.enter = nn.Conv2d(spatial, w3, 3, padding=1)
        self.whole = nn.Linear(whole, w3)
        self.block3 = ResidualBlock(w3, context=w3)
        self.to2 = nn.Conv2d(w3, w2, 1)
        self.block2 = ResidualBlock(w2, context=w3)
        self.last = ResidualBlock(w2, context=w3)
        self.out = nn.Conv2d(w2, SPOKEN, 1)
        start_small(self.out, std=1e-2)
        self.widths = nn.Parameter(torch.zeros(CHANNELS - SPOKEN))

    def forward(self, z: Tensor, scene: Scene) -> Tensor:
        batch, _, h, w = scene.coarse.shape
        k = len(z) // batch
        if len(z) != batch * k:
            raise ValueError(f"got {len(z)} latents for {batch} stills, expected a multiple")

        def per_answer(x: Tensor) -> Tensor:  # each still's map is computed once, used k times
            return x.repeat_interleave(k, 0) if k > 1 else x

        g, s = z[:, : self.whole_size], z[:, self.whole_size :]
        g = F.silu(self.whole(g))
        x = self.enter(s.reshape(-1, self.spatial_size, h, w)) + per_answer(
            self.coarse(scene.coarse)
        )
        x = self.block3(x, g)
        x = self.block2(upsample(self.to2(x)) + per_answer(self.middle(scene.middle)), g)
        x = self.out(self.last(x, g)).float()
        first = x[:, :2] + per_answer(scene.hint).float()
        widths = self.widths[:, None, None].expand(len(x), -1, *x.shape[2:])
        return torch.cat([first, x[:, 2:], widths], 1)
