"""What a model must beat: forecasts that need no network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from apps.motion.data import Windows
from apps.motion.retrieval import Neighbours
from apps.motion.rows import DIMS, SHAPE, Row


class Constant(Row):
    """The same motion `(5, 2, 20, 26)` for every still."""

    def __init__(self, name: str, motion: Tensor) -> None:
        super().__init__(name)
        self.motion = motion

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return self.motion.to(frames.device).expand(len(frames), 1, *SHAPE)


def zero_row() -> Constant:
    """Nothing moves."""
    return Constant("zero motion", torch.zeros(SHAPE))


def mean_row(train: Windows) -> Constant:
    """The mean motion of the training windows."""
    return Constant("mean motion", train.coefficients.float().mean(0))


class Gaussian(Row):
    r"""A Gaussian over whole motions on their leading principal components, blind to the still.

    .. math:: y = \bar y + \sum_{i=1}^{C} \epsilon_i \sigma_i u_i, \quad \epsilon \sim N(0, 1)
    """

    def __init__(self, train: Windows, *, components: int = 64) -> None:
        super().__init__("PCA-Gaussian")
        x = train.coefficients.float().flatten(1)
        self.mean = x.mean(0)
        count = min(components, len(x) - 1, DIMS)
        with torch.random.fork_rng(devices=[]):  # the solver draws from the global generator
            torch.manual_seed(0)
            _, singular, basis = torch.svd_lowrank(
                x - self.mean, q=min(count + 16, *x.shape), niter=4
            )
        self.factor = (basis * (singular / max(len(x) - 1, 1) ** 0.5)).T[:count]  # (C, 5200)

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        shape = (len(frames), k, len(self.factor))
        noise = torch.randn(shape, generator=generator, device=frames.device)
        drawn = self.mean.to(frames.device) + noise @ self.factor.to(frames.device)
        return drawn.unflatten(-1, SHAPE)


class ZeroFirst(Row):
    """No motion as the first answer, then k - 1 of another row."""

    def __init__(self, other: Row) -> None:
        super().__init__(f"zero motion + {other.name}")
        self.other, self.nested = other, other.nested

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        still = torch.zeros(len(frames), 1, *SHAPE, device=frames.device)
        if k == 1:
            return still
        return torch.cat([still, self.other.draw(frames, k - 1, generator=generator)], 1)


def plain_rows(train: Windows) -> Sequence[Row]:
    """All rows that need no network, in the order of the table."""
    neighbours = Neighbours(train)
    return (
        zero_row(),
        mean_row(train),
        Gaussian(train),
        neighbours,
        ZeroFirst(neighbours),
    )
