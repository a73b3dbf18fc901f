r"""What is measured of a set of forecasts; every score is one number a window.

Forecasts `(B, n, 5, 2, h, w)` and truth `(B, 5, 2, h, w)` are coefficients of `flow.basis`, in px
of the working frame (short side 160), float32; confidence `(B, h, w)` in [0, 1] is of the truth.
With :math:`d_t(c)` the displacement of cell c at moment t of T = 30, the distance of motions is

.. math:: \mathrm{ED}(a, b) = \frac{1}{T |C|} \sum_t \sum_{c \in C} \| d^a_t(c) - d^b_t(c) \|_2

Scores of moving cells are NaN in a window that has none.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from apps.motion.working import MOVES
from cvae.metrics import best_of
from flow.basis import STEPS, basis
from mdn.numerics import EXACT

KS = (1, 5, 10, 50)
SHOWN = 5  # answers that the product shows, and that sets are judged by
BANDWIDTHS = tuple(np.geomspace(0.1, 30, 80).tolist())  # px


def displacements(coefficients: Tensor) -> Tensor:
    """Where cells are at the 30 moments: `(..., k, 2, h, w)` -> `(..., 30, 2, h, w)`, in px.

    Example:
        >>> displacements(torch.zeros(4, 5, 2, 20, 26)).shape
        torch.Size([4, 30, 2, 20, 26])
    """
    functions = torch.from_numpy(basis(coefficients.shape[-4])).to(coefficients)
    flat = functions @ coefficients.flatten(-3)
    return flat.unflatten(-1, coefficients.shape[-3:])


def _steps(motion: Tensor) -> Tensor:
    """Coefficients, or displacements `(..., 30, h, w, 2)` as `flow` has them, channels first."""
    if motion.shape[-1] == 2 and motion.shape[-4] == STEPS:
        return motion.movedim(-1, -3)
    return displacements(motion)


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Distance of two motions at every moment and cell, in px.

    Shapes: coefficients `(..., k, 2, h, w)` or displacements `(..., 30, h, w, 2)`, that broadcast
    -> `(..., 30, h, w)`.

    Example:
        >>> still = torch.zeros(30, 1, 1, 2)
        >>> distances(still, still + torch.tensor([3.0, 4.0])).unique()
        tensor([5.])
    """
    # where both are coefficients their difference is taken first: half the work
    same = a.shape[-4:] == b.shape[-4:]
    difference = _steps(a - b) if same else _steps(a) - _steps(b)
    x, y = difference.unbind(-3)
    return (x.square() + y.square()).sqrt()


def rms(coefficients: Tensor) -> Tensor:
    r"""How far each cell is from its place, root mean square over the second, in px.

    :math:`\sqrt{\frac1T \sum_t \|d_t\|^2} = \|c\|`: the basis is orthonormal, so nothing is
    integrated. Shapes: `(..., k, 2, h, w)` -> `(..., h, w)`.
    """
    return coefficients.square().sum((-4, -3)).sqrt()


def moving_cells(truth: Tensor) -> Tensor:
    """Which cells at any moment are more than 3 px from their place, `(B, h, w)` bool."""
    return distances(truth, torch.zeros_like(truth)).amax(-3) > MOVES


def errors(samples: Tensor, truth: Tensor, confidence: Tensor) -> dict[str, Tensor]:
    r"""ED of every answer to the truth, `(B, n)` in px, over four sets of cells and moments.

    `ed`: all cells, all moments. `moving`: `moving_cells` only. `end`: all cells at t = 1 s.
    `sure`: all, each cell weighing as much as its confidence.
    """
    rows = []
    for x, y, sure in zip(samples, truth, confidence, strict=True):  # one at a time: memory
        d = distances(x, y)  # (n, 30, h, w)
        cells = d.mean(1).flatten(1)
        moves = moving_cells(y[None]).flatten().to(d)
        rows.append(
            [
                cells.mean(1),
                cells @ moves / moves.sum(),  # 0 / 0 is NaN
                d[:, -1].flatten(1).mean(1),
                cells @ sure.flatten() / sure.sum().clamp_min(1e-9),
            ]
        )
    names = ("ed", "moving", "end", "sure")
    return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(names)}


def pair_distance(samples: Tensor) -> Tensor:
    r"""Average pairwise distance of n answers, `(B,)` in px; 0 where there is one.

    .. math:: \mathrm{APD} = \frac{2}{n (n - 1)} \sum_{i < j} \mathrm{ED}(x_i, x_j)
    """
    n = samples.shape[1]
    if n < 2:
        return samples.new_zeros(len(samples))
    first, second = torch.triu_indices(n, n, offset=1, device=samples.device)
    return torch.stack([distances(x[first], x[second]).mean() for x in samples])


def energy(samples: Tensor, truth: Tensor) -> Tensor:
    r"""Energy score with the distance ED, `(B,)` in px; lower is better.

    .. math:: \frac1n \sum_i \mathrm{ED}(x_i, y) - \frac12 \mathrm{APD}

    The mean over cells and moments of the energy scores of two-dimensional displacements
    (Gneiting and Raftery 2007, Eq. 22, unbiased spread): proper, and judging every place by
    itself. One answer: its error.
    """
    error = torch.stack([distances(x, y).mean() for x, y in zip(samples, truth, strict=True)])
    return error - 0.5 * pair_distance(samples)


def joint_energy(samples: Tensor, truth: Tensor) -> Tensor:
    r"""Energy score of motions as wholes, `(B,)` in px; lower is better.

    .. math:: \frac1n \sum_i \|x_i - y\| - \frac{1}{2 n (n-1)} \sum_{i \ne j} \|x_i - x_j\|,
              \quad \|x\|^2 = \frac{1}{T |C|} \sum_{t, c} \|d_t(c)\|^2

    Strictly proper: which cells move together counts too. Exact in coefficients, since the basis
    is orthonormal.
    """
    x = samples.flatten(2) / math.sqrt(math.prod(samples.shape[-2:]))
    y = truth.flatten(1) / math.sqrt(math.prod(truth.shape[-2:]))
    error = (x - y[:, None]).norm(dim=2).mean(1)
    n = x.shape[1]
    if n == 1:
        return error
    pairs = torch.stack([torch.cdist(one, one, compute_mode=EXACT).sum() for one in x])
    return error - 0.5 * pairs / (n * (n - 1))


def squared_distances(samples: Tensor, truth: Tensor) -> Tensor:
    """Squared distance of coefficients, `(B, n)` float64 in px²: all that `parzen_nll` needs."""
    return (samples - truth[:, None]).flatten(2).double().square().sum(2)


def parzen_nll(squares: Tensor, bandwidth: float, *, dims: int) -> Tensor:
    r"""Negative log-likelihood under a Gaussian kernel on each of n samples, `(B,)` in nats.

    .. math:: -\log \frac1n \sum_i (2 \pi b^2)^{-D/2} \exp \Big( -\frac{\|x_i - y\|^2}{2 b^2} \Big)

    A density over the D = 10 h w coefficients in px. Only figures of the same n compare.

    Args:
        squares: `squared_distances`, `(B, n)`.
        bandwidth: b in px.
        dims: D.
    """
    exponent = -squares.double() / (2 * bandwidth**2)
    constant = 0.5 * dims * math.log(2 * math.pi * bandwidth**2)
    return constant + math.log(squares.shape[1]) - exponent.logsumexp(1)


def choose_bandwidth(
    squares: Tensor, *, dims: int, bandwidths: Sequence[float] = BANDWIDTHS
) -> float:
    """The one rule for every row: the bandwidth of least mean NLL on the validation windows."""
    nll = [parzen_nll(squares, b, dims=dims).mean().item() for b in bandwidths]
    return bandwidths[nll.index(min(nll))]


def moving_auc(samples: Tensor, truth: Tensor, confidence: Tensor) -> Tensor:
    r"""Whether cells that move are told from those that do not, `(B,)` in [0, 1]; a guess has 0.5.

    .. math:: \frac{\sum_{i \in M} \sum_{j \notin M} w_i w_j ([s_i > s_j] + \frac12 [s_i = s_j])}
                   {\sum_{i \in M} \sum_{j \notin M} w_i w_j}

    with M the truth's `moving_cells`, w its confidence and s the mean over the answers of `rms`.
    NaN where all cells or none move.
    """
    s = rms(samples).mean(1).flatten(1)
    moves, sure = moving_cells(truth).flatten(1).to(s), confidence.flatten(1)
    mover, still = moves * sure, (1 - moves) * sure
    found = []
    for value, one, other in zip(s, mover, still, strict=True):
        wins = (value[:, None] > value).to(s) + 0.5 * (value[:, None] == value).to(s)
        found.append(one @ wins @ other / (one.sum() * other.sum()))
    return torch.stack(found)


def direction_errors(samples: Tensor, truth: Tensor, confidence: Tensor) -> Tensor:
    r"""Angle between forecast and truth on moving cells, mean by confidence, `(B, n)` in degrees.

    .. math:: \arccos \frac{\sum_t d^x_t \cdot d^y_t}{\|d^x\| \|d^y\|} \in [0°, 180°]

    over the whole second, so that there and back is a direction too; 90° where nothing is
    forecast to move.
    """
    product = (samples * truth[:, None]).sum((-4, -3))
    lengths = rms(samples) * rms(truth)[:, None]
    cosine = torch.where(lengths > 0, product / lengths.clamp_min(1e-12), 0.0).clamp(-1, 1)
    weight = moving_cells(truth) * confidence
    angle = torch.rad2deg(cosine.acos()) * weight[:, None]
    return angle.sum((-2, -1)) / weight.sum((-2, -1))[:, None]


def score(sets: Mapping[int, Tensor], truth: Tensor, confidence: Tensor) -> dict[str, Tensor]:
    """All scores of a batch but the NLL, `(B,)` each.

    `ed<k>`, `moving<k>`, `end<k>`, `sure<k>`: the least of k answers (min-ED@k; of each its own
    best); `mean_ed`, `mean_moving`: the mean of as many answers as there are at most; `energy`,
    `joint_energy`, `apd` and `direction` (mean of the answers), `direction_best`: of the 5 that
    are shown; `auc`: of all.

    Args:
        sets: for every k of `KS`, the answers that a method gives where it is asked for k; a
            method that has fewer than k gives all it has.
    """
    scores = {}
    for k, answers in sets.items():
        found = errors(answers, truth, confidence)
        for name, value in found.items():
            scores[f"{name}{k}"] = best_of(value, min(k, value.shape[1]))
        if k == max(sets):
            scores["mean_ed"] = found["ed"].mean(1)
            scores["mean_moving"] = found["moving"].mean(1)
    shown = sets[SHOWN]
    angle = direction_errors(shown, truth, confidence)
    return scores | {
        "energy": energy(shown, truth),
        "joint_energy": joint_energy(shown, truth),
        "apd": pair_distance(shown),
        "direction": angle.mean(1),
        "direction_best": angle.amin(1),
        "auc": moving_auc(sets[max(sets)], truth, confidence),
    }
