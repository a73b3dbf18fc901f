"""The rows of the table: ways to forecast, all asked in one manner, all scored in one loop."""

from abc import ABC, abstractmethod

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

    `nested`: its first answers do not depend on how many are asked for.
    """

    nested = True

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        """Answers `(B, n, 5, 2, 20, 26)` in px of the working frame, n <= k.

        Frames are uint8 `(B, 3, 160, 208)`. n < k where the method has no more to say.
        `generator` lives on the device of `frames`.
        """


def score_row(
    row: Row, truth: Windows, *, device: torch.device, seed: int = 0
) -> dict[str, Tensor]:
    """All scores of a row, one number a window, `(N,)` each on the CPU.

    And `squares` `(N, n)` of the largest set of answers, for `parzen_nll` with `DIMS`. A few
    windows at a time, so that the answers to all of them never exist at once.
    """
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(truth), BATCH):
        here = slice(start, start + BATCH)
        _, wanted, sure = (part.to(device) for part in truth.tensors(here))
        sets = _ask(row, truth.frames[here].to(device), generator)
        found = score(sets, wanted, sure)
        found["squares"] = squared_distances(sets[max(KS)], wanted)
        parts.append({name: value.cpu() for name, value in found.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _ask(row: Row, frames: Tensor, generator: torch.Generator) -> dict[int, Tensor]:
    """Answers for every k; of a nested row the first of one set."""
    if not row.nested:
        return {k: row.draw(frames, k, generator=generator) for k in KS}
    drawn = row.draw(frames, max(KS), generator=generator)
    return {k: drawn[:, :k] for k in KS}
