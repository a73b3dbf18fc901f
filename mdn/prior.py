"""The mixture density network p(z | c) of a picture: z as a whole first, then places given it.

The components over the whole (the palette of a photo, how a scene moves) are the named modes; the
low-rank Gaussian over places knows *where* a picture is ambiguous and which places go together.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.distributions import Reparameterised
from cvae.layers import ResidualBlock, start_small
from mdn.lowrank import LowRankNormal
from mdn.mixture import GaussianMixture
from mdn.network import MixtureHead


class Mapped(Protocol):
    """What an image tower read: at least its coarsest map, `(B, C, h, w)`."""

    coarse: Tensor


class Places(nn.Module):
    r"""Spatial latent given the whole and the picture, $N(m, \mathrm{diag}(d) + W W^T)$.

    All heads are convolutions, so the same network serves a map of any size.

    Shapes: g `(B k, G)`, map `(B, 4 width, h, w)` of B pictures -> normal over `(B k, S h w)`.
    """

    def __init__(self, *, width: int, whole: int, spatial: int, rank: int) -> None:
        super().__init__()
        channels = 2 * width
        self.spatial, self.rank = spatial, rank
        self.enter = nn.Conv2d(4 * width, channels, 1)
        self.whole = nn.Linear(whole, channels)
        self.block = ResidualBlock(channels, context=channels)
        self.out = nn.Conv2d(channels, spatial * (2 + rank), 1)
        start_small(self.out, std=1e-2)

    def forward(self, g: Tensor, coarse: Tensor, temperature: float = 1.0) -> LowRankNormal:
        x = self.enter(coarse)
        x = x.repeat_interleave(len(g) // len(x), 0)
        x = self.out(F.silu(self.block(x, F.silu(self.whole(g))))).float()
        x = x.unflatten(1, (2 + self.rank, self.spatial)).flatten(2)  # (B k, 2 + R, S h w)
        mean, scale, factor = x[:, 0], F.softplus(x[:, 1]) + 0.02, x[:, 2:].transpose(1, 2)
        return LowRankNormal(mean, factor * temperature, (scale * temperature).square())


class WholeAndPlaces(Reparameterised):
    r"""$p(z | c) = \sum_k \pi_k N(g; \mu_k, \Sigma_k) \; N(s; m(g, c), \Sigma(g, c))$, z = [g, s].

    Shapes: batch shape `(B,)`, event shape `(D,)` with D = G + S h w.
    """

    def __init__(
        self, whole: GaussianMixture, places: Places, coarse: Tensor, temperature: float = 1.0
    ) -> None:
        self.whole, self.places, self.coarse = whole, places, coarse
        self.temperature = temperature
        self.size = whole.event_shape[0]
        batch, _, h, w = coarse.shape
        dims = self.size + places.spatial * h * w
        super().__init__(torch.Size((batch,)), torch.Size((dims,)), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats of z `(B, D)`: `(B,)`."""
        g, s = value[:, : self.size], value[:, self.size :]
        places = self.places(g, self.coarse, self.temperature)
        return self.whole.log_prob(g) + places.log_prob(s)

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw `sample_shape + (B, D)`, with a gradient to all but the choice of component."""
        g = self.whole.rsample(tuple(sample_shape), generator=generator)
        k = torch.Size(sample_shape).numel()
        rows = g.reshape(k, -1, self.size).transpose(0, 1)  # (B, k, G): answers in a row
        places = self.places(rows.flatten(0, 1), self.coarse, self.temperature)
        s = places.rsample((), generator=generator)  # (B k, S h w)
        z = torch.cat([rows, s.unflatten(0, (-1, k))], -1)  # (B, k, D)
        return z.transpose(0, 1).reshape(*sample_shape, *self.batch_shape, -1)

    def tempered(self, temperature: float) -> "WholeAndPlaces":
        """The same modes with all noise times `temperature` (> 0)."""
        whole = self.whole.temperature(temperature)
        return WholeAndPlaces(whole, self.places, self.coarse, self.temperature * temperature)


class MixturePrior(nn.Module):
    """Map what a tower read to the distribution of the latent: `Mapped` -> `WholeAndPlaces`.

    Example:
        >>> from types import SimpleNamespace
        >>> prior = MixturePrior(width=8, whole=3, spatial=2, components=4, rank=2)
        >>> prior(SimpleNamespace(coarse=torch.zeros(5, 32, 2, 3))).sample((7,)).shape
        torch.Size([7, 5, 15])
    """

    def __init__(
        self, *, width: int, whole: int, spatial: int, components: int, rank: int
    ) -> None:
        super().__init__()
        features = 8 * width
        self.read = nn.Linear(4 * width, features)
        self.whole = MixtureHead(
            features=features, dim=whole, components=components, covariance="full"
        )
        self.places = Places(width=width, whole=whole, spatial=spatial, rank=rank)

    def forward(self, seen: Mapped) -> WholeAndPlaces:
        features = F.silu(self.read(seen.coarse.mean((2, 3))))
        return WholeAndPlaces(self.whole(features), self.places, seen.coarse)
