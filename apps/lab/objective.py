"""What the lab learns by, all in summed nats: bounds, codes without noise, guesses, classes."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from apps.lab.digits import binarise, hidden, hide
from cvae.distributions import DiagonalNormal
from cvae.likelihoods import bernoulli
from cvae.model import CVAE
from cvae.objective import (
    Likelihood,
    elbo,
    importance_weighted_bound,
    kl_per_dimension,
    warmup,
)
from cvae.total_correlation import total_correlation

Stats = dict[str, Tensor]


def likelihood_of(given: int) -> Likelihood:
    """Bernoulli over the pixels that are not given: (logits, x) -> `(B,)` nats.

    Example:
        >>> blank = torch.zeros(1, 1, 28, 28)
        >>> [round(likelihood_of(n)(blank, blank).item() / -0.693147) for n in range(4)]
        [784, 588, 392, 196]
    """
    return partial(_told, mask=hidden(given)) if given else bernoulli


def _told(logits: Tensor, x: Tensor, *, mask: Tensor) -> Tensor:
    mask = mask.to(x.device)
    return bernoulli(logits[..., mask], x[..., mask])


def condition_of(x: Tensor, labels: Tensor, given: int) -> Tensor:
    """What is asked with: the quadrants that are given, or else the class."""
    return hide(x, given) if given else labels


class Shown(NamedTuple):
    """A batch as a loss takes it: pictures `(B, 1, H, W)`, what is asked with, log p(x | z, c)
    from logits, the number of the step from 0, and its noise."""

    x: Tensor
    c: Tensor
    likelihood: Likelihood
    step: int
    generator: Generator | None


class Loss(Protocol):
    """Networks on a batch -> what to make small, and means over the batch to log."""

    def __call__(self, model: Any, shown: Shown) -> tuple[Tensor, Stats]: ...


@dataclass(frozen=True)
class Elbo:
    """The bound by one draw and the divergence in closed form; see `cvae.objective.elbo`.

    `warmup`: steps in which the divergence grows to its weight β.
    """

    beta: float = 1.0
    free_bits: float = 0.0
    warmup: int = 0

    def __call__(self, model: CVAE, shown: Shown) -> tuple[Tensor, Stats]:
        nats, kl, _ = _one_draw(model, shown)
        beta = self.beta * warmup(shown.step, self.warmup)
        bound = elbo(nats, kl, beta=beta, free_bits=self.free_bits)
        return -bound, {"nll": -nats.mean(), "kl": kl.sum(1).mean()}


@dataclass(frozen=True)
class TotalCorrelation:
    r"""The bound, but with the total correlation of z weighed by β: β-TC-VAE.

    $E[\log p(x|z)] - I(x; z) - \beta\, TC(z) - \sum_d KL(q(z_d) \| p(z_d))$, Chen et al. (2018),
    Eq. 4 with the other weights 1; as the three make up the divergence, that is the ELBO less
    (β - 1) TC, and only this is estimated from the batch. The prior is N(0, I).

    `examples`: how many are trained on; see `cvae.total_correlation`.
    """

    beta: float
    examples: int

    def __call__(self, model: CVAE, shown: Shown) -> tuple[Tensor, Stats]:
        nats, kl, (q, z) = _one_draw(model, shown)
        correlation = total_correlation(q, z, examples=self.examples).mean()
        loss = (self.beta - 1) * correlation - elbo(nats, kl)
        return loss, {"nll": -nats.mean(), "kl": kl.sum(1).mean(), "tc": correlation}


def _one_draw(model: CVAE, shown: Shown) -> tuple[Tensor, Tensor, tuple[DiagonalNormal, Tensor]]:
    """log p(x | z, c) `(B,)` and KL(q || p) `(B, D)`; the posterior and its draw `(B, D)`."""
    features = model.condition(shown.c)
    q = model.posterior(shown.x, features)
    z = q.rsample((1,), generator=shown.generator)
    nats = shown.likelihood(model.decode(z, features)[:, 0], shown.x)
    return nats, kl_per_dimension(q, model.prior(features)), (q, z[0])


@dataclass(frozen=True)
class Importance:
    r"""The bound by k draws, $\log\frac1k\sum_i p(x, z_i|c)/q(z_i|x, c)$.

    Burda, Grosse & Salakhutdinov (2016), Eq. 8; its gradient by the noise of the draws is their
    Eq. 14. With one draw it is the ELBO, its divergence estimated.
    """

    draws: int = 50

    def __call__(self, model: CVAE, shown: Shown) -> tuple[Tensor, Stats]:
        features = model.condition(shown.c)
        q = model.posterior(shown.x, features)
        z = q.rsample((self.draws,), generator=shown.generator)  # (k, B, D)
        logits = model.decode(z, features).flatten(0, 1)  # (B k, ...)
        nats = shown.likelihood(logits, shown.x.repeat_interleave(self.draws, 0))
        nats = nats.unflatten(0, (-1, self.draws)).T  # (k, B)
        log_p, log_q = model.prior(features).log_prob(z), q.log_prob(z)
        bound = importance_weighted_bound(nats + log_p, log_q).mean()
        return -bound, {"nll": -nats.mean(), "kl": (log_q - log_p).mean()}


@dataclass(frozen=True)
class Autoencoding:
    """A plain autoencoder on the networks of a CVAE: what the posterior's mean decodes to.

    No noise, no divergence; the posterior's spread and the prior are never asked.
    """

    def __call__(self, model: CVAE, shown: Shown) -> tuple[Tensor, Stats]:
        features = model.condition(shown.c)
        z = model.posterior(shown.x, features).mean
        nll = -shown.likelihood(model.decode(z[None], features)[:, 0], shown.x).mean()
        return nll, {"nll": nll}


@dataclass(frozen=True)
class Guessing:
    """One answer for every condition, each pixel on its own: the baseline of the quadrants."""

    def __call__(self, model: nn.Module, shown: Shown) -> tuple[Tensor, Stats]:
        nll = -shown.likelihood(model(shown.c), shown.x).mean()
        return nll, {"nll": nll}


@dataclass(frozen=True)
class Classifying:
    """The class, which is the condition of others, from the picture."""

    def __call__(self, model: nn.Module, shown: Shown) -> tuple[Tensor, Stats]:
        logits = model(shown.x).float()
        return F.cross_entropy(logits, shown.c), {
            "accuracy": (logits.argmax(1) == shown.c).float().mean()
        }


class Objective(nn.Module):
    """A loss on pictures as a recipe shows them.

    Args:
        given: quadrants that are the condition; 0: the class is.
        dynamic: pixels are drawn from the noise of the step.
    """

    def __init__(
        self, model: nn.Module, loss: Loss, *, given: int = 0, dynamic: bool = False
    ) -> None:
        super().__init__()
        self.model, self.loss, self.given, self.dynamic = model, loss, given, dynamic
        self.likelihood = likelihood_of(given)
        self.step: Tensor
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(
        self, batch: tuple[Tensor, Tensor], generator: Generator | None
    ) -> tuple[Tensor, Stats]:
        """Loss of pictures in [0, 1] with their labels, and its parts."""
        x, labels = batch
        if self.dynamic:
            x = binarise(x, generator)
        c = condition_of(x, labels, self.given)
        shown = Shown(x, c, self.likelihood, int(self.step), generator)
        self.step += 1
        return self.loss(self.model, shown)

    def observed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What diagnostics look at: pictures, and what is known of them."""
        x, labels = batch
        if self.dynamic:
            x = x.round()
        return x, condition_of(x, labels, self.given)
