"""The loss of the first mixture density networks for colour: only the nearest component learns."""

import math

from torch import Tensor

from mdn.numerics import full


def nearest_component_nll(logits: Tensor, loc: Tensor, scale: float, z: Tensor) -> Tensor:
    r"""Negative log-likelihood of the one component whose mean is nearest to z.

    .. math:: -\log \pi_m + \frac{\lVert z - \mu_m \rVert^2}{2 \sigma^2},
              \quad m = \arg\min_k \lVert z - \mu_k \rVert

    Deshpande et al., "Learning Diverse Image Colorization", 2017: a stand-in for the
    log-sum-exp, which underflowed there. The nearest is chosen by distance alone, not by the
    whole term. Up to the constant D log σ + D/2 log 2π it is an upper bound on the exact
    negative log-likelihood. (Their released code divides by 2σ with σ = 0.1, which is
    `scale=0.1 ** 0.5` here.)

    Shapes: `logits` (..., K), `loc` (..., K, D), `z` (..., D) → (...), in nats.

    >>> import torch
    >>> loc = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    >>> nearest_component_nll(torch.zeros(2), loc, 1.0, torch.tensor([2.0, 1.0]))
    tensor(1.1931)
    """
    if not (0 < scale < math.inf):
        raise ValueError(f"got scale {scale}; expected one positive number for all components")
    squared = (full(z).unsqueeze(-2) - full(loc)).square().sum(-1)  # (..., K)
    distance, nearest = squared.min(-1, keepdim=True)
    log_weight = full(logits).log_softmax(-1).expand_as(squared).gather(-1, nearest)
    return (distance / (2 * scale**2) - log_weight).squeeze(-1)
