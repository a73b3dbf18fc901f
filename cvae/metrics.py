"""Scores for answers that come as sets: proper scores, best-of-k, and intervals around them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    r"""Energy score of k answers: their mean distance to the truth less half that to each other.

    $\frac1k\sum_i\|x_i-y\| - \frac{1}{2k(k-1)}\sum_{i\ne j}\|x_i-x_j\|$,
    Gneiting & Raftery (2007), Eq. 22, with the unbiased estimate of the spread. Proper: smallest
    in expectation for samples of the true distribution; lower is better. With k = 1 it is the
    Euclidean error.

    Shapes: samples `(B, k, ...)`, truth `(B, ...)` -> `(B,)`, in the units of the data.
    Differentiable, also where two answers agree.

    Example:
        >>> energy_score(torch.tensor([[[0.0], [2.0]]]), torch.tensor([[1.0]]))
        tensor([0.])
    """
    x = samples.flatten(2).float()
    y = truth.flatten(1).float()
    k = x.shape[1]
    error = _norm(x - y[:, None]).mean(1)
    if k == 1:
        return error
    first, second = torch.triu_indices(k, k, offset=1, device=x.device)
    spread = _norm(x[:, first] - x[:, second]).mean(1)
    return error - 0.5 * spread


def _norm(x: Tensor) -> Tensor:
    # the small constant keeps the gradient finite where two answers are the same
    return (x.square().sum(-1) + 1e-12).sqrt()


def best_of(errors: Tensor, k: int) -> Tensor:
    """Error of the best of the first k answers, `(B, n)` -> `(B,)`, whole answers only.

    Example:
        >>> best_of(torch.tensor([[3.0, 1.0, 0.5]]), 2)
        tensor([1.])
    """
    if not 1 <= k <= errors.shape[1]:
        raise ValueError(f"got k={k}, expected 1 to {errors.shape[1]}, the number of answers")
    return errors[:, :k].amin(1)


def mean_absolute(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference over all but the first two dimensions, `(B, P, ...)` -> `(B, P)`.

    Example:
        >>> mean_absolute(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 3.0]]]))
        tensor([[2.]])
    """
    return (a - b).abs().flatten(2).float().mean(2)


def pairwise_distance(samples: Tensor, distance: Distance = mean_absolute) -> Tensor:
    """How far apart the k answers are: the mean of `distance` over their pairs.

    Shapes: `(B, k, ...)` with k >= 2 -> `(B,)`.

    Args:
        distance: takes the first and the second of all P pairs, `(B, P, ...)` each, to `(B, P)`.

    Example:
        >>> pairwise_distance(torch.tensor([[[0.0], [1.0], [5.0]]]))
        tensor([3.3333])
    """
    k = samples.shape[1]
    if k < 2:
        raise ValueError(f"got {k} answer, expected at least 2: one has no distance to another")
    first, second = torch.triu_indices(k, k, offset=1, device=samples.device)
    return distance(samples[:, first], samples[:, second]).mean(1)


def rank_of(truth: Tensor, samples: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Rank of the truth among k answers, 0 (below all) to k; ties are broken by lot.

    Over many examples the ranks of calibrated answers are uniform; a bowl says too narrow, a hill
    too wide (Hamill, 2001). (rank + u) / (k + 1) with u uniform is the PIT.

    Shapes: truth `(B, ...)`, samples `(B, k, ...)` -> `(B, ...)` integers, elementwise.

    Example:
        >>> rank_of(torch.tensor([0.5, 9.0]), torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]))
        tensor([1, 3])
    """
    below = (samples < truth[:, None]).sum(1)
    ties = (samples == truth[:, None]).sum(1)
    lot = torch.rand(ties.shape, generator=generator, device=ties.device, dtype=torch.float64)
    return below + (lot * (ties + 1)).long()


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: Tensor,
    groups: Sequence[Hashable] | Tensor | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Interval:
    """Mean of the values with its percentile bootstrap interval, resampling whole groups.

    Photos of one person are no independent evidence: persons are drawn with replacement, each
    with all of theirs (Davison & Hinkley, 1997, section 3.8). Left out, every value is a group.

    Args:
        values: `(N,)`, one score an example.
        groups: `(N,)`, the name or number of each example's group.
        level: share of the resampled means that the interval holds.

    Example:
        >>> bootstrap(torch.tensor([1.0, 1.0, 4.0]), ["ann", "ann", "bob"], resamples=100)
        Interval(mean=2.0, low=1.0, high=4.0)
    """
    names = range(len(values)) if groups is None else _plain(groups)
    if values.dim() != 1 or len(values) == 0 or len(names) != len(values):
        raise ValueError(
            f"got {tuple(values.shape)} values in {len(names)} groups, expected N > 0 of both"
        )
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    member = torch.tensor([numbers[name] for name in names])
    kept = values.detach().cpu().double()
    zeros = torch.zeros(len(numbers), dtype=torch.float64)
    totals = zeros.index_add(0, member, kept)
    counts = zeros.index_add(0, member, torch.ones_like(kept))
    drawn = torch.randint(len(numbers), (resamples, len(numbers)), generator=generator)
    means = totals[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1 - level) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(mean=kept.mean().item(), low=low, high=high)


def _plain(groups: Sequence[Hashable] | Tensor) -> Sequence[Hashable]:
    # numbers that live in tensors are unequal to each other as keys
    return groups.tolist() if isinstance(groups, Tensor) else groups


def paired_bootstrap(
    a: Tensor,
    b: Tensor,
    groups: Sequence[Hashable] | Tensor | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Interval:
    """Mean of a - b with its interval, both scored on the same examples; see `bootstrap`.

    An interval that excludes 0 says that one is better, even where the two intervals overlap.

    Example:
        >>> paired_bootstrap(torch.tensor([1.0, 5.0]), torch.tensor([2.0, 6.0]), resamples=10)
        Interval(mean=-1.0, low=-1.0, high=-1.0)
    """
    if a.shape != b.shape:
        raise ValueError(f"got {tuple(a.shape)} and {tuple(b.shape)}, expected the same examples")
    difference = a.double() - b.double()
    return bootstrap(difference, groups, resamples=resamples, level=level, generator=generator)
