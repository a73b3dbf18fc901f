"""The mixture density network p(z | grey): a palette first, then places given the palette.

The components over the palette are the named modes; the low-rank Gaussian over places knows
*where* a picture is ambiguous and which places change colour together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.grey import Grey
from cvae.distributions import Reparameterised
from cvae.layers import ResidualBlock, start_small
from mdn.lowrank import LowRankNormal
from mdn.mixture import GaussianMixture
from mdn.network import MixtureHead


class Places(nn.Module):
    r"""Spatial latent given palette and picture, $N(m, \mathrm{diag}(d) + W W^T)$.

    All heads are convolutions, so the same network serves a map of any size.

    Shapes: g `(B k, G)`, grey of B pictures -> normal over `(B k, S h w)`.
    """

    def __init__(self, *, width: int, palette: int, spatial: int, rank: int) -> None:
        super().__init__()
        channels = 2 * width
        self.spatial, self.rank = spatial, rank
        self.enter = nn.Conv2d(4 * width, channels, 1)
        self.palette = nn.Linear(palette, channels)
        self.block = ResidualBlock(channels, context=channels)
        self.out = nn.Conv2d(channels, spatial * (2 + rank), 1)
        start_small(self.out, std=1e-2)

    def forward(self, g: Tensor, grey: Grey, temperature: float = 1.0) -> LowRankNormal:
        x = self.enter(grey.coarse)
        x = x.repeat_interleave(len(g) // len(x), 0)
        x = self.out(F.silu(self.block(x, F.silu(self.palette(g))))).float()
        x = x.unflatten(1, (2 + self.rank, self.spatial)).flatten(2)  # (B k, 2 + R, S h w)
        mean, scale, factor = x[:, 0], F.softplus(x[:, 1]) + 0.02, x[:, 2:].transpose(1, 2)
        return LowRankNormal(mean, factor * temperature, (scale * temperature).square())


class PaletteAndPlaces(Reparameterised):
    r"""$p(z | G) = \sum_k \pi_k N(g; \mu_k, \Sigma_k) \; N(s; m(g, G), \Sigma(g, G))$, z = [g, s].

    Shapes: batch shape `(B,)`, event shape `(D,)` with D = G + S h w.
    """

    def __init__(
        self, palette: GaussianMixture, places: Places, grey: Grey, temperature: float = 1.0
    ) -> None:
        self.palette, self.places, self.grey = palette, places, grey
        self.temperature = temperature
        self.size = palette.event_shape[0]
        batch, _, h, w = grey.coarse.shape
        dims = self.size + places.spatial * h * w
        super().__init__(torch.Size((batch,)), torch.Size((dims,)), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats of z `(B, D)`: `(B,)`."""
        g, s = value[:, : self.size], value[:, self.size :]
        places = self.places(g, self.grey, self.temperature)
        return self.palette.log_prob(g) + places.log_prob(s)

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw `sample_shape + (B, D)`, with a gradient to all but the choice of component."""
        g = self.palette.rsample(tuple(sample_shape), generator=generator)
        k = torch.Size(sample_shape).numel()
        rows = g.reshape(k, -1, self.size).transpose(0, 1)  # (B, k, G): answers in a row
        places = self.places(rows.flatten(0, 1), self.grey, self.temperature)
        s = places.rsample((), generator=generator)  # (B k, S h w)
        z = torch.cat([rows, s.unflatten(0, (-1, k))], -1)  # (B, k, D)
        return z.transpose(0, 1).reshape(*sample_shape, *self.batch_shape, -1)

    def tempered(self, temperature: float) -> "PaletteAndPlaces":
        """The same modes with all noise times `temperature` (> 0)."""
        palette = self.palette.temperature(temperature)
        return PaletteAndPlaces(palette, self.places, self.grey, self.temperature * temperature)


class MixturePrior(nn.Module):
    """Map a picture to the distribution of its colours' latent: `Grey` -> `PaletteAndPlaces`."""

    def __init__(
        self, *, width: int, palette: int, spatial: int, components: int, rank: int
    ) -> None:
        super().__init__()
        features = 8 * width
        self.read = nn.Linear(4 * width, features)
        self.palette = MixtureHead(
            features=features, dim=palette, components=components, covariance="full"
        )
        self.places = Places(width=width, palette=palette, spatial=spatial, rank=rank)

    def forward(self, grey: Grey) -> PaletteAndPlaces:
        features = F.silu(self.read(grey.coarse.mean((2, 3))))
        return PaletteAndPlaces(self.palette(features), self.places, grey)
