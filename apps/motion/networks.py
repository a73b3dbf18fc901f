"""The networks of motion: a tower that reads the still, one that reads motion, one that says it.

One latent `z` of two parts, flat as `(B, D)`: g for how the scene moves as a whole, and a spatial
part s on the coarsest map of the tower (what moves where).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion.cells import CHANNELS, SPOKEN
from cvae.backbones import CHANNELS as SEEN
from cvae.backbones import EfficientNetLite
from cvae.distributions import DiagonalNormal
from cvae.layers import ResidualBlock, SelfAttention, downsample, start_small, upsample
from flow.basis import COEFFICIENTS

AXES = 2 * COEFFICIENTS
RELATIVE = 1.0  # px: above it the encoder reads motion by its logarithm


@dataclass(frozen=True)
class Scene:
    """What the tower read in a still; everything after it is a function of this and z."""

    coarse: Tensor  # (B, 4W, h, w), h = H / 16, W the width
    middle: Tensor  # (B, 2W, 2h, 2w)
    hint: Tensor  # (B, 2, 2h, 2w): whether a cell moves, and how far, for the tower alone


class SceneTower(nn.Module):
    """Reads a still through a backbone that knows what things are, and has a first idea of motion.

    What moves is mostly a question of what it is, and the clips show too few scenes to learn that
    from: with a tower of our own, learnt on photos in grey, twice as many pairs of a moving and a
    still cell were told the wrong way round.

    Shapes: sRGB `(B, 3, H, W)` in [-1, 1], H and W multiples of 16 -> `Scene`.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        w2, w3 = 2 * width, 4 * width
        fine, middle, coarse = SEEN
        self.backbone = EfficientNetLite()
        self.far = nn.Conv2d(coarse, w3, 1)
        self.near = nn.Conv2d(middle, w3, 1)
        self.bottom = nn.Sequential(ResidualBlock(w3), SelfAttention(w3))
        self.from3 = nn.Conv2d(w3, w2, 1)
        self.fine = nn.Conv2d(fine, w2, 1)
        self.up2 = ResidualBlock(w2)
        self.hint = nn.Conv2d(w2, 2, 1)
        start_small(self.hint)

    def forward(self, frames: Tensor) -> Scene:
        seen = self.backbone(frames)
        far = F.interpolate(seen.coarse, size=seen.middle.shape[2:], mode="bilinear")
        coarse = self.bottom(self.near(seen.middle) + self.far(far))
        middle = self.up2(self.fine(seen.fine) + self.from3(upsample(coarse)))
        return Scene(coarse, middle, self.hint(middle))


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
