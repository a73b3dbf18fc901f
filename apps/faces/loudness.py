"""The same toggle, said louder: a model that seldom hears one is asked again, as loud as it takes.

What is not heard does not drift; two models are to be compared where both are heard.
"""

import torch
from torch import Tensor

from apps.faces.held_out import toggled
from apps.faces.judge import Judge
from apps.faces.rows import Row
from apps.faces.scores import toggles

GAINS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


def said(off: Tensor, on: Tensor, gain: float) -> tuple[Tensor, Tensor]:
    """Requests `(..., A)` with `gain` times the change from off to on, around their middle.

    Example:
        >>> off, on = said(torch.tensor([-1.0, 1.0]), torch.tensor([1.0, 1.0]), 3.0)
        >>> off.tolist(), on.tolist()
        ([-3.0, 1.0], [3.0, 1.0])
    """
    middle, half = (on + off) / 2, (on - off) / 2
    return middle - gain * half, middle + gain * half


def loudest(row: Row, asked: Tensor, judge: Judge, lines: Tensor, *, seed: int) -> float:
    """The one of `GAINS` at which toggles are heard most often, the least of equals.

    To be found on val.

    Shapes: asked `(M, A)`, lines `(A,)`.
    """
    pairs = toggled(asked)
    plain = {"scale": torch.ones_like(lines), "weights": lines.new_ones(1, len(asked))}
    heard = []
    for gain in GAINS:
        off, on = (judge.see(x) for x in row.toggle(asked, *said(*pairs, gain), seed=seed))
        heard.append(toggles(off, on, lines=lines, apart=1.0, **plain).flip.mean().item())
    return GAINS[heard.index(max(heard))]
