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


class Scored(ABC):
    """Whatever has answers to windows that can be scored."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def sets(
        self, windows: Windows, ks: Sequence[int], *, generator: torch.Generator
    ) -> dict[int, Tensor]:
        """Answers `(B, n, 5, 2, 20, 26)` in px for every k, n <= k, where `generator` lives."""

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor | None:
        """-log p(Y | X), or a bound above it, `(B,)` nats of the `DIMS` coefficients in px.

        None where the method has no density.
        """
        return None


class Row(Scored):
    """A way to forecast from a still: of the windows it sees nothing else.

    `nested`: its first answers do not depend on how many are asked for. `blind`: it answers every
    still alike.
    """

    nested = True
    blind = False

    @abstractmethod
    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """Answers `(B, n, 5, 2, 20, 26)` in px of the working frame, n <= k.

        Frames are uint8 `(B, 3, 160, 208)`. n < k where the method has no more to say.
        `generator` lives on the device of `frames`.
        """

    def sets(
        self, windows: Windows, ks: Sequence[int], *, generator: torch.Generator
    ) -> dict[int, Tensor]:
        """Answers for every k; of a nested row the first of one set."""
        frames = windows.frames.to(generator.device)
        if not self.nested:
            return {k: self.draw(frames, k, generator=generator) for k in ks}
        drawn = self.draw(frames, max(ks), generator=generator)
        return {k: drawn[:, :k] for k in ks}


class Pooled(Row):
    """A row whose k answers are chosen among many draws: the draws are made once for every k."""

    nested = False

    @abstractmethod
    def gather(self, frame: Tensor, *, generator: torch.Generator) -> Tensor:
        """The draws `(n, ...)` for one still `(1, 3, 160, 208)`, as `choose` takes them."""

    @abstractmethod
    def choose(self, drawn: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """k answers among them, `(k, 5, 2, 20, 26)`."""

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return self._answers(frames, (k,), generator)[k]

    def sets(
        self, windows: Windows, ks: Sequence[int], *, generator: torch.Generator
    ) -> dict[int, Tensor]:
        """Answers for every k, each chosen by itself."""
        return self._answers(windows.frames.to(generator.device), ks, generator)

    def _answers(
        self, frames: Tensor, ks: Sequence[int], generator: torch.Generator
    ) -> dict[int, Tensor]:
        found: dict[int, list[Tensor]] = {k: [] for k in ks}
        for frame in frames:
            drawn = self.gather(frame[None], generator=generator)
            for k in ks:
                found[k].append(self.choose(drawn, k, generator=generator))
        return {k: torch.stack(answers) for k, answers in found.items()}


def score_row(
    row: Scored,
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


def squares_of(row: Scored, truth: Windows, *, device: torch.device, seed: int = 0) -> Tensor:
    """What a bandwidth is chosen by: `squares` of `score_row` alone."""
    generator = torch.Generator(device).manual_seed(seed)
    parts = []
    for part in batches(truth):
        drawn = row.sets(part, KS[-1:], generator=generator)[KS[-1]]
        parts.append(squared_distances(drawn, part.coefficients.to(device).float()).cpu())
    return torch.cat(parts)


def nll_of(row: Scored, truth: Windows, *, device: torch.device, seed: int = 0) -> Tensor | None:
    """`Scored.nll` of all windows, `(N,)` on the CPU; None where the row has no density."""
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


def evenly(windows: Windows, most: int) -> Windows:
    """At most so many of the windows, every n-th."""
    return windows.take(torch.arange(0, len(windows), max(1, -(-len(windows) // most))))
