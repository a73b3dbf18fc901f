"""How well a layered model parts a face from what is behind it, with no masks to compare with."""

from typing import Any

import torch
from torch import Tensor

from apps.faces.judge import Judge
from apps.faces.resamples import mean
from apps.faces.rows import BATCH, Row


def separation(
    row: Row, asked: Tensor, judge: Judge, *, scale: Tensor, weights: Tensor, seed: int
) -> dict[str, Tensor]:
    """Of faces drawn for requests `(N, A)`, as `apps.faces.resamples` says, `(R + 1,)` each.

    `front`: share of the picture that is face; `undecided`: share of pixels of which the gate is
    between a tenth and nine tenths; `follows`: mean difference of the gate to the mean gate, 0
    where it is the same for everybody; `by_scene` and `by_face`: how far the judge's logits move,
    in their deviation over real faces, where one layer's latent is drawn anew and the other's is
    held. A face is apart from its scene where the first is little beside the second.

    Args:
        row: its generation network is one of layers, `apps.faces.layered.LayeredDecoder`.
        scale: standard deviation of every logit on real faces, `(A,)`.
        weights: of the requests, `(R + 1, N)`.
    """
    layered: Any = row.model.generation
    z, other = (row.latents(asked, seed=seed + i) for i in (0, 1))
    n = layered.front_size
    scene, face = torch.cat([z[:, :n], other[:, n:]], 1), torch.cat([other[:, :n], z[:, n:]], 1)
    logits, by_scene, by_face = (
        judge.see(row.paint(latents, asked)).logits.double() for latents in (z, scene, face)
    )
    gate = _gates(row, z, asked)
    figures = {
        "front": gate.mean((1, 2)),
        "undecided": ((gate > 0.1) & (gate < 0.9)).double().mean((1, 2)),
        "follows": (gate - gate.mean(0)).abs().mean((1, 2)),
        "by_scene": ((by_scene - logits).abs() / scale).mean(1),
        "by_face": ((by_face - logits).abs() / scale).mean(1),
    }
    return {name: mean(weights, values) for name, values in figures.items()}


@torch.inference_mode()
def _gates(row: Row, z: Tensor, asked: Tensor) -> Tensor:
    """How much of each pixel is face, `(N, 64, 64)` in [0, 1]."""
    layered: Any = row.model.generation
    parts = []
    for own, y in zip(z.split(BATCH), asked.split(BATCH), strict=True):
        _, gate, _ = layered.layers(own, row.model.condition(y.to(row.device)))
        parts.append(gate[:, 0].sigmoid().double().cpu())
    return torch.cat(parts)
