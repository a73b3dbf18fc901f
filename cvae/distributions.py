"""The distributions of a variational autoencoder, and the divergence between them.

Everything is in nats and summed over the last dimension: a divergence averaged over dimensions
would vanish beside the likelihood that it is weighed against.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints


class Reparameterised(Distribution):
    """A distribution over z with `rsample`, whose plain draws are the same without a gradient."""

    arg_constraints = {}  # noqa: RUF012 -- the base class asks for this attribute
    support = constraints.real_vector

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw with a gradient, `sample_shape + batch_shape + (D,)`."""
        raise NotImplementedError

    def sample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw without a gradient, `sample_shape + batch_shape + (D,)`."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator)


class DiagonalNormal(Reparameterised):
    r"""Gaussian with a diagonal covariance, $N(z; \mu, \mathrm{diag}(e^{v}))$.

    The log-variance is held within [-14, 6], so that one bad batch cannot make a divergence
    overflow; computed in float32 whatever the networks run in.

    Shapes: mean and log-variance `(..., D)`; event shape `(D,)`.

    Example:
        >>> q = DiagonalNormal(torch.zeros(2, 3), torch.zeros(2, 3))
        >>> q.log_prob(torch.zeros(2, 3))
        tensor([-2.7568, -2.7568])
    """

    def __init__(self, mean: Tensor, logvar: Tensor) -> None:
        self.loc = mean.float()
        self.logvar = logvar.float().clamp(-14, 6)
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def scale(self) -> Tensor:
        return torch.exp(0.5 * self.logvar)

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw with a gradient, `sample_shape + (..., D)`: mean + scale * noise."""
        shape = (*sample_shape, *self.loc.shape)
        noise = torch.randn(shape, generator=generator, device=self.loc.device)
        return self.loc + self.scale * noise

    def log_prob(self, value: Tensor) -> Tensor:
        squares = (value - self.loc).square() * torch.exp(-self.logvar)
        return -0.5 * (squares + self.logvar + math.log(2 * math.pi)).sum(-1)

    def tempered(self, temperature: float) -> "DiagonalNormal":
        """The same centre with the standard deviation times `temperature` (> 0)."""
        return DiagonalNormal(self.loc, self.logvar + 2 * math.log(temperature))

    def kl_standard(self) -> Tensor:
        r"""KL to N(0, I) per dimension, `(..., D)`: $(\mu^2 + \sigma^2 - \log\sigma^2 - 1)/2$.

        In nats; Kingma & Welling (2014), appendix B.

        Example:
            >>> DiagonalNormal(torch.tensor([1.0]), torch.zeros(1)).kl_standard()
            tensor([0.5000])
        """
        return 0.5 * (self.loc.square() + self.logvar.exp() - self.logvar - 1)
