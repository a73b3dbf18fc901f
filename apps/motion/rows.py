"""The rows of the table: ways to forecast, all asked in one manner, all scored in one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from apps.motion.data import Windows
from apps.motion.scores import KS, score, squared_distances
from apps.motion.working import CELLS
from flow.basis import COEFFICIENTS

SHAPE = (COEFFICIENTS, 2, *CELLS)
DIMS = COEFFICIENTS * 2 * CELLS[0] * CELLS[1]
BATCH = 32


class Row(ABC):
    """A way to forecast from a still.

    `nested`: its first answers do not depend on how many are asked for. `blind`: it answers every
    still alike.
    """

    nested = True
    blind = False

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """Answers `(B, n, 5, 2, 20, 26)` in px of the working frame, n <= k.

        Frames are uint8 `(B, 3, 160, 208)`. n < k where the method has no more to say.
        `generator` lives on the device of `frames`.
        """

    def sets(
        self, windows: Windows, ks: Sequence[int], *, generator: torch.Generator
    ) -> dict[int, Tensor]:
        """Answers for every k; of a nested row the first of one set.

        A forecast sees nothing of the windows but their stills; only a floor looks at the truth.
        """
        frames = windows.frames.to(generator.device)
        if not self.nested:
            return {k: self.draw(frames, k, generator=generator) for k in ks}
        drawn = self.draw(frames, max(ks), generator=generator)
        return {k: drawn[:, :k] for k in ks}

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor | None:
        """-log p(Y | X), or a bound above it, `(B,)` nats of the `DIMS` coefficients in px.

        None where the method has no density.
        """
        return None


def score_row(
    row: Row,
    truth: Windows,
    *,
    device: torch.device,
    ks: Sequence[int] = KS,
    seed: int = 0,
) -> dict[str, Tensor]:
    """All scores of a row, one number a window, `(N,)` each on the CPU.

    And `squares` `(N, n)` of the largest set of answers, for `parzen_nll` with `DIMS`. A few
    windows at a time, so that the answers to all of them never exist at once.
    """
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[dict[str, Tensor]] = []
    for part in batches(truth):
        _, wanted, sure = (tensor.to(device) for tensor in part.tensors(slice(None)))
        sets = row.sets(part, ks, generator=generator)
        found = score(sets, wanted, sure)
        found["squares"] = squared_distances(sets[max(ks)], wanted)
        parts.append({name: value.cpu() for name, value in found.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def squares_of(row: Row, truth: Windows, *, device: torch.device, seed: int = 0) -> Tensor:
    """What a bandwidth is chosen by: `squares` of `score_row` alone."""
    generator = torch.Generator(device).manual_seed(seed)
    parts = []
    for part in batches(truth):
        drawn = row.sets(part, KS[-1:], generator=generator)[KS[-1]]
        parts.append(squared_distances(drawn, part.coefficients.to(device).float()).cpu())
    return torch.cat(parts)


def nll_of(row: Row, truth: Windows, *, device: torch.device, seed: int = 0) -> Tensor | None:
    """`Row.nll` of all windows, `(N,)` on the CPU; None where the row has no density."""
    generator = torch.Generator(device).manual_seed(seed)
    parts = []
    for part in batches(truth):
        found = row.nll(part, generator=generator)
        if found is None:
            return None
        parts.append(found.cpu())
    return torch.cat(parts)


def batches(windows: Windows) -> Iterator[Windows]:
    """The windows a few at a time."""
    for rows in torch.arange(len(windows)).split(BATCH):
        yield windows.take(rows)
