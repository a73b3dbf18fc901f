"""The two networks that touch colour: an encoder that reads it and a decoder that paints it.

One latent `z` of two parts, flat as `(B, D)`: a global part g (the palette: the light, the colour
of a coat) and a spatial part s on the coarsest map of the tower (what is where).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.grey import Grey
from cvae.distributions import DiagonalNormal
from cvae.layers import ResidualBlock, downsample, upsample


class ColourEncoder(nn.Module):
    """Recognition network q(z | C, G): reads the true colours beside the grey picture.

    Chroma is smooth, so a quarter of its size is enough to read it at.

    Shapes: chroma `(B, 2, 8h, 8w)` in ab/128, grey -> mean and log-variance `(B, D)` each,
    D = `palette` + `spatial` h w.
    """

    def __init__(self, *, width: int, palette: int, spatial: int) -> None:
        super().__init__()
        channels = 2 * width
        self.stem = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(32, channels, 3, padding=1))
        self.middle = nn.Conv2d(2 * width, channels, 1)
        self.block2 = ResidualBlock(channels)
        self.to3 = downsample(channels, channels)
        self.coarse = nn.Conv2d(4 * width, channels, 1)
        self.block3 = ResidualBlock(channels)
        self.spatial = nn.Conv2d(channels, 2 * spatial, 1)
        self.palette = nn.Linear(channels, 2 * palette)

    def forward(self, chroma: Tensor, grey: Grey) -> DiagonalNormal:
        x = self.block2(self.stem(chroma) + self.middle(grey.middle))
        x = self.block3(self.to3(x) + self.coarse(grey.coarse))
        g_mean, g_logvar = self.palette(x.mean((2, 3))).chunk(2, 1)
        s_mean, s_logvar = self.spatial(x).chunk(2, 1)  # (B, S, h, w) each
        mean = torch.cat([g_mean, s_mean.flatten(1)], 1)
        return DiagonalNormal(mean, torch.cat([g_logvar, s_logvar.flatten(1)], 1))


class ColourDecoder(nn.Module):
    r"""Generation network: (z, G) -> chroma.

    Works on maps up to 4h x 4w and ends in a picture-wise affine map of the tower's detail,
    $C = C_0(G)\uparrow + A(z, G)\uparrow \cdot [1, \phi(G)]$ (Gharbi et al., 2017, Eq. 4, without
    the bins): edges come from the grey picture, so that many answers cost little more than one,
    and z only has to say how an answer departs from the tower's guess $C_0$.

    Shapes: z `(B k, D)`, grey of B pictures, k answers each in a row -> `(B k, 2, 8h, 8w)` ab/128.
    """

    def __init__(self, *, width: int, palette: int, spatial: int, detail: int) -> None:
        super().__init__()
        w1, w2, w3 = width // 2, width, 2 * width
        self.palette_size, self.spatial_size = palette, spatial
        self.coarse = nn.Conv2d(4 * width, w3, 1)
        self.middle = nn.Conv2d(2 * width, w2, 1)
        self.fine = nn.Conv2d(width, w1, 1)
        self.enter = nn.Conv2d(spatial, w3, 3, padding=1)
        self.palette = nn.Linear(palette, w3)
        self.block3 = ResidualBlock(w3, context=w3)
        self.to2 = nn.Conv2d(w3, w2, 1)
        self.block2 = ResidualBlock(w2, context=w3)
        self.to1 = nn.Conv2d(w2, w1, 1)
        self.block1 = ResidualBlock(w1, context=w3)
        self.out = nn.Conv2d(w1, 2 * (1 + detail), 1)

    def forward(self, z: Tensor, grey: Grey) -> Tensor:
        batch, _, h, w = grey.coarse.shape
        k = len(z) // batch
        if len(z) != batch * k:
            raise ValueError(f"got {len(z)} latents for {batch} pictures, expected a multiple")

        def per_answer(x: Tensor) -> Tensor:  # each picture's map is computed once, used k times
            return x.repeat_interleave(k, 0) if k > 1 else x

        g, s = z[:, : self.palette_size], z[:, self.palette_size :]
        g = F.silu(self.palette(g))
        x = self.enter(s.reshape(-1, self.spatial_size, h, w)) + per_answer(
            self.coarse(grey.coarse)
        )
        x = self.block3(x, g)
        x = self.block2(upsample(self.to2(x)) + per_answer(self.middle(grey.middle)), g)
        x = self.block1(upsample(self.to1(x)) + per_answer(self.fine(grey.fine)), g)
        x = self.out(x)  # (B k, 2 (1 + P), 4h, 4w)
        offset, slope = x[:, :2] + per_answer(grey.guess), x[:, 2:]
        slope = upsample(slope).unflatten(1, (2, -1))  # (B k, 2, P, 8h, 8w)
        return upsample(offset) + (slope * per_answer(grey.detail)[:, None]).sum(2)
