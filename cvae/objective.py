"""What a variational autoencoder is trained on and judged by, all in summed nats.

Nothing here is averaged over dimensions: likelihood and divergence are weighed as the bound
weighs them, and a number may be compared with one from a paper.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cvae.distributions import DiagonalNormal
from cvae.model import CVAE

Likelihood = Callable[[Tensor, Tensor], Tensor]


def elbo(
    log_likelihood: Tensor, kl: Tensor, *, beta: float = 1.0, free_bits: float = 0.0
) -> Tensor:
    r"""Evidence lower bound of a batch, $E[\log p(x|z)] - \beta \sum_d \max(\lambda, E[KL_d])$.

    Kingma & Welling (2014), Eq. 3; β as in Higgins et al. (2017); free bits λ as in Kingma et al.
    (2016), Eq. 15: each dimension may carry λ nats on the mean over the batch at no charge, so
    that the decoder has a reason to listen before it has learnt to do without. With β = 1 and
    λ = 0 this is the bound itself; train on its negative.

    Args:
        log_likelihood: `(B,)` nats, summed over the data.
        kl: `(B, D)` nats, a column a dimension; `(B, 1)` where only the sum is known.
        beta: weight of the divergence.
        free_bits: λ >= 0, nats a dimension.

    Example:
        >>> elbo(torch.tensor([-3.0, -5.0]), torch.tensor([[1.0, 0.0], [3.0, 0.2]]))
        tensor(-6.1000)
        >>> elbo(torch.tensor([-3.0, -5.0]), torch.tensor([[1.0, 0.0], [3.0, 0.2]]), free_bits=0.5)
        tensor(-6.5000)
    """
    if log_likelihood.dim() != 1 or kl.dim() != 2 or len(kl) != len(log_likelihood):
        raise ValueError(
            f"got log-likelihood {tuple(log_likelihood.shape)} and divergence {tuple(kl.shape)}, "
            "expected (B,) and (B, D): sum the one over the data and keep the other's dimensions"
        )
    return log_likelihood.mean() - beta * kl.mean(0).clamp(min=free_bits).sum()


def warmup(step: int, steps: int) -> float:
    """Weight β of the divergence at a step: linear from 0 to 1 over `steps`, then 1.

    Bowman et al. (2016). No steps means no warm-up.

    Example:
        >>> [warmup(n, 100) for n in (0, 25, 100, 500)], warmup(0, 0)
        ([0.0, 0.25, 1.0, 1.0], 1.0)
    """
    return min(1.0, step / steps) if steps > 0 else 1.0


def kl_per_dimension(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    r"""KL(q || p) of two diagonal Gaussians per dimension, `(..., D)` nats.

    $\frac12(\log\sigma_p^2 - \log\sigma_q^2 + (\sigma_q^2 + (\mu_q - \mu_p)^2)/\sigma_p^2 - 1)$.
    The mean over a data set says which dimensions carry something.

    Example:
        >>> one = DiagonalNormal(torch.tensor([1.0, 0.0]), torch.zeros(2))
        >>> kl_per_dimension(one, DiagonalNormal(torch.zeros(2), torch.zeros(2)))
        tensor([0.5000, 0.0000])
    """
    ratio = torch.exp(q.logvar - p.logvar)
    apart = (q.loc - p.loc).square() * torch.exp(-p.logvar)
    return 0.5 * (ratio + apart - 1 - q.logvar + p.logvar)


def active_units(means: Tensor, threshold: float = 0.01) -> int:
    r"""How many latent dimensions are in use: $\mathrm{Var}_x(E_q[z_d]) > $ `threshold`.

    Burda, Grosse & Salakhutdinov (2016), section 5.2.

    Args:
        means: posterior means over a data set, `(N, D)`.

    Example:
        >>> active_units(torch.tensor([[-1.0, 0.01], [1.0, -0.01]]))
        1
    """
    return int((means.var(0) > threshold).sum())


def importance_weighted_bound(log_joint: Tensor, log_q: Tensor) -> Tensor:
    r"""Bound on the evidence from K draws, $\log\frac1K\sum_k p(x, z_k)/q(z_k|x)$ nats.

    Burda, Grosse & Salakhutdinov (2016), Eq. 8: the ELBO at K = 1, and in expectation never
    worse with more draws, up to log p(x) itself.

    Shapes: log p(x, z_k) `(K, B)` and log q(z_k|x) `(K, B)` -> `(B,)`.

    Example:
        >>> importance_weighted_bound(torch.tensor([[-1.0], [-3.0]]), torch.tensor([[0.0], [0.0]]))
        tensor([-1.5662])
    """
    return torch.logsumexp(log_joint - log_q, dim=0) - math.log(len(log_q))


@torch.no_grad()
def importance_weighted_nll(
    model: CVAE,
    x: Tensor,
    features: Any,
    *,
    likelihood: Likelihood,
    samples: int,
    generator: torch.Generator | None = None,
    at_once: int = 16,
) -> Tensor:
    """Upper bound on -log p(x | c) by importance sampling from the posterior, `(B,)` nats.

    Args:
        x: data `(B, ...)`.
        features: of its condition, as `model.condition` gives them.
        likelihood: (means, x) -> log p(x | z, c) `(B,)`, one of `cvae.likelihoods` with its
            scale held (`functools.partial(gaussian, variance=v)`): a scale fitted to the very
            pictures that are scored would flatter.
        samples: K; the bound is tight for K of some thousands.
        at_once: how many draws are decoded together; changes memory, not the result's law.
    """
    q: Any = model.posterior(x, features)
    prior: Any = model.prior(features)
    joints, proposals = [], []
    for start in range(0, samples, at_once):
        k = min(at_once, samples - start)
        z = q.sample((k,), generator=generator)  # (k, B, D)
        means = model.decode(z, features).flatten(0, 1)  # (B k, ...)
        given = likelihood(means, x.repeat_interleave(k, 0)).unflatten(0, (-1, k)).T
        joints.append(given + prior.log_prob(z))
        proposals.append(q.log_prob(z))
    return -importance_weighted_bound(torch.cat(joints), torch.cat(proposals))
