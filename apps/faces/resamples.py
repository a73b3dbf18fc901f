"""Intervals around whatever is measured, paired between rows.

Every measure is kept as `(R + 1, ...)`: the figure itself, then what it would have been on each
of R resampled sets of pictures. The resamples are the same for every row of the table, so the
difference of two rows is the difference of their tensors, and its interval is paired.
"""

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from cvae.metrics import Interval


def resampled(groups: Sequence[Hashable], *, resamples: int, seed: int = 0) -> Tensor:
    """How often each picture is drawn, float64 `(R + 1, N)`; the first row is all ones.

    Whole groups are drawn with replacement: photos of one person are no independent evidence.
    """
    member, count = _numbered(groups)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(count, (resamples, count), generator=generator)
    times = torch.zeros(resamples + 1, count, dtype=torch.float64)
    times[1:].scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    times[0] = 1
    return times[:, member]


def mean(weights: Tensor, values: Tensor) -> Tensor:
    """Weighted means: weights `(R + 1, N)`, values `(N, ...)` -> `(R + 1, ...)`."""
    flat = values.double().flatten(1) if values.dim() > 1 else values.double()[:, None]
    means = weights @ flat / weights.sum(1, keepdim=True)
    return means.view(len(weights), *values.shape[1:])


def left_out(groups: Sequence[Hashable], parts: int) -> Tensor:
    """Which pictures stay, bool `(parts + 1, N)`: all, then all but each part of the groups."""
    member, _ = _numbered(groups)
    keep = torch.ones(parts + 1, len(member), dtype=torch.bool)
    for part in range(parts):
        keep[part + 1] = member % parts != part
    return keep


def from_jackknife(values: Tensor, *, resamples: int, seed: int = 0) -> Tensor:
    r"""Figures of `left_out` sets `(parts + 1,)` -> `(R + 1,)`, as a bootstrap would give them.

    Distances between sets cannot be resampled with replacement: a copy is nobody's neighbour.
    The jackknife's variance, $\frac{G-1}{G} \sum_g (\theta_g - \bar\theta)^2$ (Efron & Stein,
    1981), is drawn from instead: $\theta + \sqrt{(G-1)/G} \sum_g \xi_g (\theta_g - \bar\theta)$
    with standard normals $\xi$ that are the same for every row, so that rows stay paired.
    """
    figure, without = values[:1].double(), values[1:].double()
    parts = len(without)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(resamples, parts, generator=generator, dtype=torch.float64)
    spread = ((parts - 1) / parts) ** 0.5 * noise @ (without - without.mean())
    return torch.cat([figure, figure + spread])


def interval(draws: Tensor, *, level: float = 0.95) -> Interval | None:
    """The figure with its percentile interval; None where it could not be measured.

    What a resample does not show (an attribute that none of its pictures has) is NaN there.

    Example:
        >>> interval(torch.tensor([5.0, *range(101)]), level=0.5)
        Interval(mean=5.0, low=25.0, high=75.0)
    """
    if draws.isnan()[0] or draws[1:].isnan().all():
        return None
    tail = (1 - level) / 2
    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = draws[1:].double().nanquantile(ends).tolist()
    return Interval(draws[0].item(), low, high)


def _numbered(groups: Sequence[Hashable]) -> tuple[Tensor, int]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return torch.tensor([numbers[name] for name in groups]), len(numbers)
