"""A network head that maps features to a mixture of Gaussians."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from mdn.mixture import GaussianMixture
from mdn.modes import principal_points
from mdn.numerics import no_autocast

Covariance = Literal["full", "diagonal", "tied"]


class MixtureHead(nn.Module):
    r"""p(z | features): K Gaussians in D dimensions, whose parameters the features choose.

    .. math:: \mathrm{loss} = -\,\mathbb{E} \log p(z \mid \mathrm{features})

    Standard deviations (diagonals of the Cholesky factors) are softplus + `floor`, so that no
    component can collapse onto one sample; off-diagonals are free. It starts with scales of 1
    and means that are spread like a standard normal and hardly depend on the features: made for
    whitened z. Better still, give `initialise` some samples of z.

    `features` inputs (B, F) of any precision; the last layer is computed in float32 also under
    autocast. `covariance`: "diagonal" or "full", one a component, or "tied", one Cholesky factor
    for all of them. `hidden` puts a layer of that width before the last one.

    >>> _ = torch.manual_seed(0)
    >>> head = MixtureHead(features=5, dim=2, components=3)
    >>> mixture = head(torch.randn(7, 5))
    >>> mixture
    GaussianMixture(components: 3, batch_shape: torch.Size([7]), event_shape: torch.Size([2]))
    >>> loss = -mixture.log_prob(torch.randn(7, 2)).mean()
    """

    def __init__(
        self,
        *,
        features: int,
        dim: int,
        components: int = 8,
        covariance: Covariance = "full",
        floor: float = 1e-2,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if covariance not in ("full", "diagonal", "tied"):
            raise ValueError(f"got covariance {covariance!r}; expected full, diagonal or tied")
        if not 0 < floor < 1:
            raise ValueError(f"got floor {floor}; expected between 0 and the first scale, 1")
        self.dim, self.components = dim, components
        self.covariance, self.floor = covariance, floor
        groups = 1 if covariance == "tied" else components
        below = 0 if covariance == "diagonal" else dim * (dim - 1) // 2
        # logits, means, diagonals, what is below the diagonals
        self.sizes = [components, components * dim, groups * dim, groups * below]
        self.trunk = (
            nn.Identity()
            if hidden is None
            else nn.Sequential(nn.Linear(features, hidden), nn.SiLU())
        )
        self.last = nn.Linear(features if hidden is None else hidden, sum(self.sizes))
        self._reset()

    def forward(self, x: Tensor) -> GaussianMixture:
        """Features (..., F) → mixtures of batch shape (...)."""
        x = self.trunk(x)
        with no_autocast(x):
            parameters = self.last(x.to(self.last.weight.dtype))
        logits, loc, diagonal, below = parameters.split(self.sizes, -1)
        loc = loc.unflatten(-1, (self.components, self.dim))
        scale = softplus(diagonal.float()) + self.floor
        if self.covariance != "tied":
            scale = scale.unflatten(-1, (self.components, self.dim))
        # A bad step must reach the training loop as a loss to be skipped, not as an exception.
        if self.covariance == "diagonal":
            return GaussianMixture(logits, loc, scale=scale, validate_args=False)
        below = below.float().reshape(*scale.shape[:-1], self.dim * (self.dim - 1) // 2)
        tril = scale.diag_embed() + _strictly_lower(below, self.dim)
        return GaussianMixture(logits, loc, scale_tril=tril, validate_args=False)

    @torch.no_grad()
    def initialise(self, z: Tensor, generator: torch.Generator | None = None) -> None:
        """Puts the components on the k-means clusters of samples z (N, D), N ≥ K.

        Sets the biases of the last layer: means to the centres, logits to the clusters' shares,
        diagonals to the standard deviation within the clusters.
        """
        if z.dim() != 2 or z.shape[1] != self.dim:
            raise ValueError(f"got z of shape {tuple(z.shape)}; expected (N, {self.dim})")
        z = z.to(self.last.weight.device, torch.float32)
        points, shares, labels = principal_points(z, self.components, generator=generator)
        within = (z - points[labels]).square().mean(0).sqrt()
        logits, loc, diagonal, _ = self.last.bias.split(self.sizes)
        logits.copy_((shares + 1e-3).log())  # an empty cluster keeps a chance
        loc.copy_(points.flatten())
        raw = _inverse_softplus((within - self.floor).clamp_min(self.floor))
        diagonal.copy_(raw.repeat(len(diagonal) // self.dim))

    @torch.no_grad()
    def _reset(self) -> None:
        self.last.weight.mul_(1e-2)
        logits, loc, diagonal, below = self.last.bias.split(self.sizes)
        logits.zero_()
        loc.normal_()
        diagonal.fill_(_inverse_softplus(torch.tensor(1 - self.floor)).item())
        below.zero_()


def _strictly_lower(x: Tensor, dim: int) -> Tensor:
    # (..., D(D-1)/2) -> (..., D, D), zero on and above the diagonal. The vector, less its first
    # row, and the vector backwards tile a square whose lower triangle has each number once:
    # copies of whole blocks, where scattering by index takes ten times as long.
    m = dim - 1
    square = torch.cat([x[..., m:], x.flip(-1)], -1).reshape(*x.shape[:-1], m, m)
    return pad(square.tril(), (0, 1, 1, 0))


def _inverse_softplus(x: Tensor) -> Tensor:
    return x + (-torch.expm1(-x)).log()
