"""What the divergence of a VAE is made of, estimated from a batch: information, total correlation,
and how far each dimension is from the prior.

The aggregate posterior q(z) is that of all N examples; a batch holds a few of them.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cvae.distributions import DiagonalNormal


class Decomposition(NamedTuple):
    """Parts of log q(z | x) - log p(z), `(B,)` nats each; in expectation none is below 0."""

    information: Tensor  # that z has of which example it is from
    correlation: Tensor  # between the dimensions of z
    dimensions: Tensor  # from each dimension on its own to its N(0, 1)


def decompose(q: DiagonalNormal, z: Tensor, *, examples: int) -> Decomposition:
    r"""The divergence to N(0, I) in three parts, by one draw of each posterior.

    .. math:: E_x KL(q(z|x) \| N(0, I)) = I(x; z) + KL\big(q(z) \| \textstyle\prod_d q(z_d)\big)
              + \textstyle\sum_d KL(q(z_d) \| N(0, 1))

    Chen et al. (2018), Eq. 2, with q(z) from the batch as in `aggregate_log_prob`. Whatever the
    estimate of q(z), the parts of an example sum to log q(z | x) - log p(z).

    Shapes: q of batch shape `(B,)`, z `(B, D)`, row i drawn from posterior i.

    Args:
        examples: N, how many the batch is drawn from.

    Example:
        >>> q = DiagonalNormal(torch.zeros(3, 2), torch.zeros(3, 2))  # x says nothing of z
        >>> [part.abs().max() < 1e-5 for part in decompose(q, q.rsample(), examples=100)]
        [tensor(True), tensor(True), tensor(True)]
    """
    joint, single = aggregate_log_prob(q, z, examples=examples)
    prior = DiagonalNormal(torch.zeros_like(q.loc), torch.zeros_like(q.loc))
    return Decomposition(
        q.log_prob(z) - joint,
        joint - single.sum(1),
        single.sum(1) - prior.log_prob(z),
    )


def total_correlation(q: DiagonalNormal, z: Tensor, *, examples: int) -> Tensor:
    r"""The middle part of `decompose` alone, $\log q(z) - \sum_d \log q(z_d)$, `(B,)` nats.

    Example:
        >>> q = DiagonalNormal(torch.tensor([[-9.0, -9.0], [9.0, 9.0]]), torch.zeros(2, 2))
        >>> total_correlation(q, q.mean, examples=2)  # either dimension tells the other's side
        tensor([0.6931, 0.6931])
    """
    joint, single = aggregate_log_prob(q, z, examples=examples)
    return joint - single.sum(1)


def aggregate_log_prob(q: DiagonalNormal, z: Tensor, *, examples: int) -> tuple[Tensor, Tensor]:
    r"""Logarithms of q(z) and of every q(z_d), estimated from a batch of B out of N examples.

    .. math:: q(z_i) \approx \frac1N q(z_i|x_i)
              + \frac{N-1}{N} \frac1{B-1} \sum_{j \ne i} q(z_i|x_j)

    Minibatch stratified sampling (Chen et al., 2018, appendix C.2), but that all others of the
    batch weigh the same: the mean is theirs, exactly q(z), with less variance. A batch of all
    examples gives q(z) itself. The logarithm of an unbiased estimate is too low on the mean, the
    more so the more z says.

    Shapes: q of batch shape `(B,)`, z `(B, D)` -> `(B,)` and `(B, D)` nats, differentiable.

    Args:
        examples: N, at least B.

    Example:
        >>> q = DiagonalNormal(torch.zeros(4, 1), torch.zeros(4, 1))
        >>> aggregate_log_prob(q, torch.zeros(4, 1), examples=4)[0]
        tensor([-0.9189, -0.9189, -0.9189, -0.9189])
    """
    size = len(q.loc)
    if z.dim() != 2 or z.shape != q.loc.shape or not 2 <= size <= examples:
        raise ValueError(
            f"got z {tuple(z.shape)}, posteriors {tuple(q.loc.shape)} and {examples} examples, "
            "expected (B, D) of both with B from 2 to the number of examples"
        )
    apart = (z[:, None] - q.loc).square() * torch.exp(-q.logvar)  # (B, B, D), of z i under q j
    each = -0.5 * (apart + q.logvar + math.log(2 * math.pi))
    weights = z.new_full((size, size), (examples - 1) / (examples * (size - 1)))
    weights.fill_diagonal_(1 / examples)
    weights = weights.log()
    joint = torch.logsumexp(each.sum(2) + weights, 1)
    return joint, torch.logsumexp(each + weights[:, :, None], 1)
