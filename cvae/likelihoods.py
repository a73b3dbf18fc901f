"""Likelihoods p(x | z) whose scale is fitted, not tuned: log-probabilities summed over an example.

With a scale that is shared and set to its maximum-likelihood value, reconstruction and divergence
balance by themselves, and no β needs to be searched (Rybkin, Daniilidis & Levine, 2021). All take
the decoder's output and the data, `(B, ...)` each, and give `(B,)` nats in float32.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Finer than an 8-bit level of data in [-1, 1]; below it a density would only reward copying.
FLOOR = math.exp(-6)


def optimal_variance(mean: Tensor, x: Tensor) -> Tensor:
    """The one variance under which `x` is most probable: the mean squared error.

    Example:
        >>> optimal_variance(torch.zeros(1, 2), torch.tensor([[1.0, 3.0]]))
        tensor(5.)
    """
    return (x.float() - mean.float()).square().mean().clamp(min=FLOOR**2)


def gaussian(mean: Tensor, x: Tensor, *, variance: Tensor | float | None = None) -> Tensor:
    r"""Gaussian log-likelihood, $-\frac12\sum(\log 2\pi\sigma^2 + (x-\mu)^2/\sigma^2)$.

    Args:
        variance: shared σ²; left out, it is the optimal one of this batch (σ-VAE), which is for
            training. Pass the one measured on the training data to score held-out data.

    Example:
        >>> gaussian(torch.zeros(1, 2), torch.zeros(1, 2), variance=1.0)
        tensor([-1.8379])
    """
    s = torch.as_tensor(optimal_variance(mean, x) if variance is None else variance)
    squares = (x.float() - mean.float()).square() / s
    return -0.5 * (squares + (2 * math.pi * s).log()).flatten(1).sum(1)


def laplace(mean: Tensor, x: Tensor, *, scale: Tensor | float | None = None) -> Tensor:
    r"""Laplace log-likelihood, $-\sum(\log 2b + |x-\mu|/b)$; forgives outliers.

    Args:
        scale: shared b; left out, it is the optimal one of this batch, the mean absolute error.

    Example:
        >>> laplace(torch.zeros(1, 2), torch.tensor([[0.0, 2.0]]), scale=1.0)
        tensor([-3.3863])
    """
    error = (x.float() - mean.float()).abs()
    b = torch.as_tensor(error.mean().clamp(min=FLOOR) if scale is None else scale)
    return -(error / b + (2 * b).log()).flatten(1).sum(1)


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    r"""Bernoulli log-likelihood of x in [0, 1], $\sum x\log p + (1-x)\log(1-p)$, from logits.

    Example:
        >>> bernoulli(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
        tensor([-1.3863])
    """
    loss = F.binary_cross_entropy_with_logits(logits.float(), x.float(), reduction="none")
    return -loss.flatten(1).sum(1)
