"""What a model must beat: forecasts that need no network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from apps.motion.data import Windows
from apps.motion.gaussian import COMPONENTS, draw_common, fit_gaussian
from apps.motion.retrieval import Neighbours
from apps.motion.rows import SHAPE, Row


class Constant(Row):
    """The same motion `(5, 2, 20, 26)` for every still."""

    blind = True

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
    """`apps.motion.gaussian` over the motions of the training windows."""

    blind = True

    def __init__(self, train: Windows, *, components: int = COMPONENTS) -> None:
        super().__init__("PCA-Gaussian")
        motions = train.coefficients.float().flatten(1)
        self.normal = fit_gaussian(motions, components=components)

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        drawn = draw_common(self.normal, len(frames) * k, generator=generator)
        return drawn.reshape(len(frames), k, *SHAPE)

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        return -self.normal.log_prob(windows.coefficients.float().flatten(1))


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
