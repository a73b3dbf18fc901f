"""Many draws of a model, and the few answers that stand for them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from apps import runtime
from apps.motion import cells
from cvae.model import CVAE
from mdn.medoids import medoids
from mdn.representatives import representatives

POOL = 256  # draws that answers stand for
BATCH = 32  # of them are decoded at once
ROUNDS = 4  # of `representatives`: after more of them the answers grow alike
NEAR = 0.05  # px: what differs by less is the same place to them


@torch.inference_mode()
def draw(
    model: CVAE,
    frames: Tensor,
    n: int,
    *,
    generator: torch.Generator,
    read: Callable[[Tensor], Tensor] = cells.expected,
) -> Tensor:
    """n plain draws a still: uint8 `(B, 3, H, W)` -> coefficients `(B, n, 5, 2, h, w)`, px.

    Args:
        read: takes what the model says `(N, C, h, w)` to what is wanted of it.
    """
    scene = model.condition(frames.float() / 127.5 - 1)
    prior = model.prior(scene)
    parts = []
    for start in range(0, n, BATCH):
        z = prior.sample((min(BATCH, n - start),), generator=generator)
        said = model.decode(z, scene)
        parts.append(read(said.flatten(0, 1)).unflatten(0, said.shape[:2]))
    return torch.cat(parts, 1)


def pool(model: CVAE, frames: Tensor, n: int, *, seed: int) -> Tensor:
    """n draws a still, as `draw` has them: half of its mirror image, mirrored back.

    What may happen has no sides, and where a network thinks so its two opinions are worth more.
    """

    def drawn(seen: Tensor, n: int, seed: int) -> Tensor:
        generator = torch.Generator(frames.device).manual_seed(seed)
        return draw(model, seen, n, generator=generator)

    there = drawn(frames.flip(-1), n // 2, runtime.key(seed, 1)).flip(-1)
    there = there * there.new_tensor([-1.0, 1.0])[:, None, None]  # x goes the other way
    return torch.cat([drawn(frames, n - n // 2, seed), there], 1)


def answers(drawn: Tensor, k: int, *, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """k answers `(k, 5, 2, h, w)` that stand for draws `(n, 5, 2, h, w)`, and their shares.

    They begin as medoids of the motions as wholes, and settle in every cell by the distance that
    forecasts are judged by, but for the root mean square over the second.
    """
    chosen, _, _ = medoids(apart(drawn), k, weights=weights)
    places = drawn.flatten(1, 2).flatten(2).transpose(1, 2)  # (n, h w, 10)
    settled, shares, _ = representatives(
        places, places[chosen], weights=weights, rounds=ROUNDS, least=NEAR
    )
    return settled.transpose(1, 2).reshape(k, *drawn.shape[1:]), shares


def apart(motions: Tensor) -> Tensor:
    r"""Distances between motions as wholes, `(n, 5, 2, h, w)` -> `(n, n)` in px.

    Root mean square over cells and the second: the norm of `apps.motion.scores.joint_energy`.
    """
    x = motions.flatten(1) / math.sqrt(math.prod(motions.shape[-2:]))
    return torch.cdist(x, x)
