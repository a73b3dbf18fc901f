"""What can be read off a representation with a straight line: linear accuracy, label efficiency.

Representations `(N, D)` are whatever a model makes of N inputs; factors `(N, K)` are the known
truth of the same inputs, whole numbers from 0 in every column.
"""

from typing import NamedTuple

import torch
from torch import Tensor

RIDGE = 1e-4  # of a dimension's variance: so much scatter within classes is always assumed


class LinearReadout:
    r"""The linear discriminant: classes from a representation, in closed form.

    .. math:: \hat y = \arg\max_k \; m_k^T S^{-1} z - \tfrac12 m_k^T S^{-1} m_k + \log \pi_k

    with m the means of the classes, S their common covariance and π their shares; Fisher (1936),
    Hastie et al. (2009), Eq. 4.10. It does not care how a representation is scaled or rotated,
    has nothing to tune and finds boundaries that separate forty ordered classes along a line,
    for which logistic regression, the usual choice, needs thousands of steps.

    Shapes: z `(N, D)`, labels `(N,)` from 0 -> called with `(M, D)`, labels `(M,)`.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [4.0], [5.0]])
        >>> LinearReadout(z, torch.tensor([0, 0, 1, 1]))(torch.tensor([[2.0], [3.0]]))
        tensor([0, 1])
    """

    def __init__(self, z: Tensor, labels: Tensor) -> None:
        self.center = z.double().mean(0)
        x = z.double() - self.center
        counts = labels.bincount().double()
        sums = x.new_zeros(len(counts), x.shape[1]).index_add(0, labels, x)
        means = sums / counts.clamp(min=1)[:, None]
        inner = x - means[labels]
        spread = x.square().mean(0)
        floor = RIDGE * spread.where(spread > 0, 1)  # what never moves must not divide by 0
        scatter = inner.T @ inner / len(x) + torch.diag(floor)
        self.weight = torch.linalg.solve(scatter, means.T)  # (D, classes)
        # a class that was never seen has the logarithm of 0 and is never answered
        self.bias = (counts / counts.sum()).log() - 0.5 * (means.T * self.weight).sum(0)

    def __call__(self, z: Tensor) -> Tensor:
        return ((z.double() - self.center) @ self.weight + self.bias).argmax(1)


class Halves(NamedTuple):
    """What may be learnt from, and what is held out to judge by."""

    z: Tensor
    factors: Tensor
    held_z: Tensor
    held_factors: Tensor


def hold_out(z: Tensor, factors: Tensor, *, seed: int = 0) -> Halves:
    """Two thirds to learn from and one third to judge by, shuffled; on the CPU.

    Example:
        >>> hold_out(torch.zeros(9, 2), torch.zeros(9, 1).long()).held_z.shape
        torch.Size([3, 2])
    """
    z, factors = checked(z, factors)
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(seed))
    learn, held = order[len(z) // 3 :], order[: len(z) // 3]
    return Halves(z[learn], factors[learn], z[held], factors[held])


def checked(z: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Both on the CPU, z in double precision; an error where they do not fit."""
    if z.dim() != 2 or factors.dim() != 2 or len(z) != len(factors) or len(z) < 3:
        raise ValueError(
            f"got representations {tuple(z.shape)} and factors {tuple(factors.shape)}, expected "
            "(N, D) and (N, K) with at least 3 rows"
        )
    if factors.is_floating_point() or (factors < 0).any():
        raise ValueError(f"got factors of {factors.dtype}, expected whole numbers from 0")
    if not z.isfinite().all():
        raise ValueError("got representations that are not finite, expected numbers only")
    return z.detach().cpu().double(), factors.cpu().long()


def linear_accuracy(
    z: Tensor, factors: Tensor, *, labels: int | None = None, seed: int = 0
) -> Tensor:
    """Share of held-out inputs whose factor a linear readout gets right, one for each factor.

    Chance is the share of the commonest value. Shapes: z `(N, D)`, factors `(N, K)` -> `(K,)`.

    Args:
        labels: how many rows to learn from; left out, all two thirds that are not held out.
        seed: of the shuffle.

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(9))
        >>> linear_accuracy(factors @ torch.tensor([[1.0, 2.0], [3.0, 4.0]]).long(), factors)
        tensor([1., 1.], dtype=torch.float64)
    """
    part = hold_out(z, factors, seed=seed)
    n = len(part.z) if labels is None else labels
    if not 2 <= n <= len(part.z):
        raise ValueError(
            f"got {n} labels to learn from, expected 2 to {len(part.z)}: a third is held out"
        )
    right = []
    for column, truth in zip(part.factors.T, part.held_factors.T, strict=True):
        answer = LinearReadout(part.z[:n], column[:n])(part.held_z)
        right.append((answer == truth).double().mean())
    return torch.stack(right)


def statistical_efficiency(
    z: Tensor, factors: Tensor, *, few: int = 100, many: int = 10_000, seed: int = 0
) -> float:
    """How much of the accuracy with many labels a few labels give: a ratio, 1 is the best.

    Mean linear accuracy over the factors with `few` labels over that with `many`, on the same
    held-out rows; Locatello et al. (2019), with logistic regression there. A ratio
    says nothing without its denominator: for noise it is near 1 too, as both are chance.

    Shapes: z `(N, D)`, factors `(N, K)`, `many` at most two thirds of N.

    Example:
        >>> factors = torch.randint(4, (300, 2), generator=torch.Generator().manual_seed(0))
        >>> statistical_efficiency(factors.float(), factors, few=50, many=200)
        1.0
    """
    low, high = (
        linear_accuracy(z, factors, labels=labels, seed=seed).mean() for labels in (few, many)
    )
    return (low / high).item()
