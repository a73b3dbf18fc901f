"""Whether faces have what was asked for: by the ranks of the judge's logits, and by its lines.

All measures are `(R + 1, ...)` as `apps.faces.resamples` says.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS, partners
from apps.faces.judge import Seen


def auc_draws(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """AUC on every resample, `(R + 1,)`; NaN where one of the states is not drawn.

    As `cvae.fidelity.auc`, with every picture counted as often as its weight says.

    Shapes: scores `(N,)`, labels `(N,)` in {-1, 0, 1} of which 0 does not count, weights
    `(R + 1, N)`.
    """
    levels, place = scores.unique(return_inverse=True)  # sorted; equal scores share a place
    empty = weights.new_zeros(len(weights), len(levels))
    on, off = (
        empty.index_add(1, place[labels == state], weights[:, labels == state])
        for state in (1, -1)
    )
    below = off.cumsum(1) - off / 2
    return (on * below).sum(1) / (on.sum(1) * off.sum(1))


def accuracy_draws(scores: Tensor, labels: Tensor, line: float, weights: Tensor) -> Tensor:
    """Balanced accuracy of `score >= line` on every resample, `(R + 1,)`; shapes as above."""
    said = (scores.double() >= line).double()
    on, off = (weights * (labels == state) for state in (1, -1))
    return (on @ said / on.sum(1) + off @ (1 - said) / off.sum(1)) / 2


class Requested(NamedTuple):
    """AUC and balanced accuracy of every attribute, `(R + 1, A)` each."""

    auc: Tensor
    accuracy: Tensor


def requested(logits: Tensor, labels: Tensor, lines: Tensor, weights: Tensor) -> Requested:
    """How well the judge finds in faces what was asked for.

    Shapes: logits and labels `(N, A)`, lines `(A,)` as `judge.thresholds` finds them.
    """
    columns = range(labels.shape[1])
    auc = [auc_draws(logits[:, i], labels[:, i], weights) for i in columns]
    accuracy = [
        accuracy_draws(logits[:, i], labels[:, i], lines[i].item(), weights) for i in columns
    ]
    return Requested(torch.stack(auc, 1), torch.stack(accuracy, 1))


def averages(of: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the strong attributes, and over all, `(R + 1, A)` -> `(R + 1,)` each.

    An attribute that the pictures do not show in both states does not count.
    """
    return of[:, list(STRONG_COLUMNS)].nanmean(1), of.nanmean(1)


class Toggles(NamedTuple):
    """What toggling does: `flip` and `drift` `(R + 1, T)` by attribute, `identity` `(R + 1,)`."""

    flip: Tensor
    drift: Tensor
    identity: Tensor


def toggles(
    off: Seen,
    on: Seen,
    *,
    lines: Tensor,
    scale: Tensor,
    apart: float,
    weights: Tensor,
    counted: Tensor | None = None,
) -> Toggles:
    """The judge on pairs of faces that differ in one request, M requests and T attributes.

    `flip`: share of pairs in which it finds the attribute on and not off. `drift`: how far its
    logits of the other attributes move, in their spread on real faces; those that the toggled one
    excludes do not count. `identity`: how far its features move, against how far apart two
    different faces of the same model are.

    Args:
        off: of `(M T, ...)` faces, all attributes of a request in a row; `on` likewise.
        lines: the judge's thresholds, `(A,)`.
        scale: standard deviation of every logit on real faces, `(A,)`.
        apart: mean distance between the features of different faces.
        weights: of the requests, `(R + 1, M)`.
        counted: which pairs count, bool `(M, T)`; all if None. An attribute of none is NaN.
    """
    targets, rows = torch.tensor(STRONG_COLUMNS), torch.arange(len(STRONG_COLUMNS))
    before, after = (
        seen.logits.double().unflatten(0, (-1, len(rows))) for seen in (off, on)
    )  # (M, T, A)
    line = lines[targets]
    flip = (before[:, rows, targets] < line) & (after[:, rows, targets] >= line)
    step = (on.features.double() - off.features.double()).norm(dim=1) / apart
    share = torch.ones(flip.shape) if counted is None else counted
    times = weights @ share.double()  # (R + 1, T)
    flips, moved, steps = (
        weights @ (of * share).double()
        for of in (flip, drift(after - before, scale), step.unflatten(0, (-1, len(rows))))
    )
    return Toggles(flips / times, moved / times, steps.sum(1) / times.sum(1))


def drift(change: Tensor, scale: Tensor) -> Tensor:
    """Mean change of the logits of the others, in their deviation, `(..., T)`.

    What the toggled attribute excludes does not count.

    Shapes: change `(..., T, A)` for each of the strong attributes, scale `(A,)`.
    """
    others = ~partners()[list(STRONG_COLUMNS)]  # (T, A)
    others[range(len(others)), STRONG_COLUMNS] = False
    return (change.abs() / scale.clamp(min=1e-12) * others).sum(-1) / others.sum(1)
