r"""What is said of every cell: first whether it moves, and then how.

Most cells of most pictures stay where they are: a mean or a median over all of them is no motion
at all. So a cell is a mixture of two laws over its ten coefficients,

.. math:: p(c) = (1 - \pi) \, t_\nu(c; 0, S) + \pi \, t_\nu(c; m u, (1 + m / 3\,\mathrm{px}) S')

with :math:`\pi` the probability that it moves, m > 0 how far and u, no longer than 1, which way;
t is Student's distribution, robust against what flow gets wrong, S and S' diagonal, a width a
coefficient. Channels of `(B, 22, h, w)`: logit of :math:`\pi`, m before its softplus, ten of u
before they are shortened, and the logarithms of the five widths of S and of S' (both axes share).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.motion.working import MOVES
from flow.basis import COEFFICIENTS

SPOKEN = 2 + 2 * COEFFICIENTS  # channels that a network says of each cell
CHANNELS = SPOKEN + 2 * COEFFICIENTS
FREEDOM = 3.0  # degrees of freedom ν: the variance is finite, outliers are expected
REACH = 4.0  # px: unit of m
WIDTHS = (0.5, 2.0)  # px: where S and S' start


def moving_logit(said: Tensor) -> Tensor:
    """Logit of the probability that a cell moves, `(B, 22, h, w)` -> `(B, h, w)`."""
    return said[:, 0]


def distance(said: Tensor) -> Tensor:
    """How far a cell goes if it moves, m in px: `(B, 22, h, w)` -> `(B, h, w)`."""
    return REACH * F.softplus(said[:, 1])


def if_moving(said: Tensor) -> Tensor:
    """Where a cell goes if it moves, `(B, 22, h, w)` -> coefficients `(B, 5, 2, h, w)` in px."""
    v = said[:, 2:SPOKEN]
    way = v / (1 + v.square().sum(1, keepdim=True)).sqrt()
    return (distance(said)[:, None] * way).unflatten(1, (COEFFICIENTS, 2))


def expected(said: Tensor) -> Tensor:
    r"""Mean of the mixture, :math:`\pi m u`: `(B, 22, h, w)` -> coefficients `(B, 5, 2, h, w)`.

    Example:
        >>> expected(torch.zeros(1, 22, 20, 26)).shape
        torch.Size([1, 5, 2, 20, 26])
    """
    return moving_logit(said).sigmoid()[:, None, None] * if_moving(said)


def log_density(said: Tensor, coefficients: Tensor) -> Tensor:
    """log p of every cell, nats: `(B, 22, h, w)`, `(B, 5, 2, h, w)` in px -> `(B, h, w)`."""
    still, moving = said[:, SPOKEN:].unflatten(1, (2, COEFFICIENTS)).unbind(1)  # (B, 5, h, w)
    logit = moving_logit(said)
    stays = _student(coefficients, still + math.log(WIDTHS[0]))
    wider = (1 + distance(said) / MOVES).log()[:, None]
    goes = _student(coefficients - if_moving(said), moving + math.log(WIDTHS[1]) + wider)
    return torch.logaddexp(F.logsigmoid(-logit) + stays, F.logsigmoid(logit) + goes)


def _student(error: Tensor, logwidth: Tensor) -> Tensor:
    """Log-density of the multivariate Student's t with a diagonal scale, over (5, 2)."""
    dims = 2 * COEFFICIENTS
    squares = (error * torch.exp(-logwidth)[:, :, None]).square().sum((1, 2))
    constant = math.lgamma((FREEDOM + dims) / 2) - math.lgamma(FREEDOM / 2)
    constant -= dims / 2 * math.log(FREEDOM * math.pi)
    tail = (FREEDOM + dims) / 2 * torch.log1p(squares / FREEDOM)
    return constant - 2 * logwidth.sum(1) - tail


def log_likelihood(said: Tensor, coefficients: Tensor, weights: Tensor | None = None) -> Tensor:
    """log p(Y | z, X), `(B,)` nats: the cells summed, each by its weight `(B, h, w)`."""
    cells = log_density(said, coefficients)
    return (cells if weights is None else cells * weights).sum((1, 2))
