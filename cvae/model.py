"""The conditional variational autoencoder that every domain is an instance of."""

from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal


class Latent(Protocol):
    """What a prior gives: a distribution over z that can be weighed, drawn from and calmed."""

    def log_prob(self, value: Tensor) -> Tensor: ...

    def sample(
        self, sample_shape: tuple[int, ...] = (), *, generator: torch.Generator | None = None
    ) -> Tensor: ...

    def rsample(
        self, sample_shape: tuple[int, ...] = (), *, generator: torch.Generator | None = None
    ) -> Tensor: ...

    def tempered(self, temperature: float) -> Self: ...


class CVAE(nn.Module):
    r"""$p(x | c) = \int p(x | z, c)\, p(z | c)\, dz$ with recognition network q(z | x, c).

    Sohn et al. (2015); the names are those of Pyro's tutorial. The four networks are built
    elsewhere and handed in; this class only says how they meet.

    Args:
        condition: c -> features that the other three share (computed once per input).
        recognition: (x, features) -> q(z | x, c), a `DiagonalNormal`.
        prior: features -> p(z | c), a `Latent`.
        generation: (z, features) -> the mean of p(x | z, c); takes k latents an input in a row.

    Example:
        >>> from cvae.distributions import DiagonalNormal
        >>> class Standard(nn.Module):
        ...     def forward(self, c):
        ...         return DiagonalNormal(torch.zeros(len(c), 2), torch.zeros(len(c), 2))
        >>> class Recognise(nn.Module):
        ...     def forward(self, x, c):
        ...         return DiagonalNormal(x[:, :2], torch.zeros(len(x), 2))
        >>> class Generate(nn.Module):
        ...     def forward(self, z, c):
        ...         return z + c.repeat_interleave(len(z) // len(c), 0)
        >>> model = CVAE(condition=nn.Identity(), recognition=Recognise(), prior=Standard(),
        ...              generation=Generate())
        >>> model.sample(torch.zeros(3, 2), k=5).shape
        torch.Size([3, 5, 2])
    """

    def __init__(
        self,
        *,
        condition: nn.Module,
        recognition: nn.Module,
        prior: nn.Module,
        generation: nn.Module,
    ) -> None:
        super().__init__()
        self.condition = condition
        self.recognition = recognition
        self.prior = prior
        self.generation = generation

    def posterior(self, x: Tensor, features: Any) -> DiagonalNormal:
        """q(z | x, c) for x `(B, ...)` and the features of its condition."""
        return self.recognition(x, features)

    def decode(self, z: Tensor, features: Any) -> Tensor:
        """Means of p(x | z, c) for z `(k, B, D)`: `(B, k, ...)`."""
        k = len(z)
        x = self.generation(z.transpose(0, 1).flatten(0, 1), features)
        return x.unflatten(0, (-1, k))

    def sample(
        self,
        c: Tensor,
        *,
        k: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """k answers for every condition, `(B, k, ...)`; `temperature` > 0 scales the noise."""
        features = self.condition(c)
        prior: Latent = self.prior(features)
        if temperature != 1.0:
            prior = prior.tempered(temperature)
        return self.decode(prior.sample((k,), generator=generator), features)
