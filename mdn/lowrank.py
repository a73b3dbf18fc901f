"""A Gaussian with low-rank plus diagonal covariance that draws from a generator of one's own."""

import math

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from mdn.numerics import full, no_autocast, standard_normal


class LowRankNormal(LowRankMultivariateNormal):
    r"""N(loc, W Wᵀ + diag(cov_diag)) for D dimensions at a cost linear in D.

    What torch's own lacks: sampling from a `generator`, a `temperature`, and float32 arithmetic
    under autocast.

    Shapes: `loc` (..., D), `cov_factor` W (..., D, R), `cov_diag` (..., D), variances.

    >>> normal = LowRankNormal(torch.zeros(3), torch.ones(3, 1), torch.ones(3))
    >>> normal.covariance_matrix
    tensor([[2., 1., 1.],
            [1., 2., 1.],
            [1., 1., 2.]])
    >>> normal.sample((4,), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        with no_autocast(loc):
            super().__init__(full(loc), full(cov_factor), full(cov_diag), validate_args)

    def temperature(self, t: float) -> "LowRankNormal":
        """The same Gaussian with its standard deviations multiplied by `t` > 0."""
        if not (0 < t < math.inf):
            raise ValueError(f"got temperature {t}; expected a positive number")
        return LowRankNormal(
            self.loc, self.cov_factor * t, self.cov_diag * t**2, validate_args=False
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z) in nats: z (..., D) → (...)."""
        with no_autocast(self.loc):
            return super().log_prob(full(value))

    def rsample(
        self,
        sample_shape: list[int] | tuple[int, ...] = (),
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Pathwise draws (*shape, ..., D); with a `generator` they depend on it alone."""
        shape = self._extended_shape(sample_shape)
        rank = self.cov_factor.shape[-1:]
        common = standard_normal(shape[:-1] + rank, like=self.loc, generator=generator)
        own = standard_normal(shape, like=self.loc, generator=generator)
        with no_autocast(self.loc):
            common = torch.einsum("...dr,...r->...d", self.cov_factor, common)
        return self.loc + common + self.cov_diag.sqrt() * own

    def sample(
        self,
        sample_shape: list[int] | tuple[int, ...] = (),
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws (*shape, ..., D) without gradients; see `rsample`."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator)
