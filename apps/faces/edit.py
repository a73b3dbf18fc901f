"""Change the face in a photo, or fill what a mask hides of it; the rest of the photo stays."""

import cv2
import numpy as np
import torch
from torch import Tensor

from apps.faces.change import transfer
from apps.faces.frame import to_image
from apps.faces.place import SIZE, Frame, cut, paste
from cvae.latent import optimise
from cvae.model import CVAE

NOISE = 0.15  # standard deviation of what the decoder cannot paint, in [-1, 1]
STARTS = 4  # latents tried beyond those that are asked for
GREY = 128  # what stands under a hole while it is filled


class MaskError(ValueError):
    """A mask that leaves nothing to do, or nothing to go by; the message is one sentence."""


@torch.inference_mode()
def edit(
    model: CVAE, pixels: np.ndarray, frame: Frame, x: Tensor, has: Tensor, new: Tensor
) -> np.ndarray:
    """The photo with its face `x` `(1, 3, 64, 64)` as `new` instead of as it `has`, `(1, A)`."""
    before, after = model.condition(has), model.condition(new)
    z = model.posterior(x, before).mean[None]
    old, changed = (to_image(model.decode(z, y)[0, 0]) for y in (before, after))
    return paste(pixels, frame, *transfer(to_image(x[0]), old, changed))


def complete(
    model: CVAE,
    pixels: np.ndarray,
    hidden: np.ndarray,
    frame: Frame,
    x: Tensor,
    y: Tensor,
    k: int,
    generator: torch.Generator,
) -> list[np.ndarray]:
    """k photos in which what is `hidden` `(H, W)` bool of the face `x` is filled.

    Latents are optimised until their faces agree with what is seen (from the encoder's guess of
    the picture with a grey hole, and from draws of the prior); likeliest first.

    Raises:
        MaskError: the mask hides nothing of the face, or nearly all of it.
    """
    seen = 1 - torch.from_numpy(_hidden_in(frame, hidden)).to(x.device)
    if seen.min() > 0.5:
        raise MaskError("The mask hides nothing of the face: paint over the part to be filled.")
    if seen.mean() < 0.1:
        raise MaskError("The mask hides nearly the whole face: leave some of it to go by.")
    context = model.condition(y)
    guess = model.posterior(x * seen, context).sample((k,), generator=generator).flatten(0, 1)
    prior = model.prior(context)
    drawn = prior.sample((STARTS,), generator=generator).flatten(0, 1)
    z, _ = optimise(
        _Decode(model, context),
        x[0],
        seen[None],
        torch.cat([guess, drawn]).detach(),
        prior=prior,
        noise=NOISE,
        steps=60,
    )
    with torch.inference_mode():
        faces = model.decode(z[:k, None], context)[0]
    return [_fill(pixels, hidden, frame, to_image(face)) for face in faces]


class _Decode:
    """z `(k, D)` -> faces `(k, 3, 64, 64)` of one request."""

    def __init__(self, model: CVAE, context: Tensor) -> None:
        self.model, self.context = model, context.detach()

    def __call__(self, z: Tensor) -> Tensor:
        return self.model.decode(z[:, None], self.context)[0]


def read_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Where a painted mask `(H, W, 3)` uint8 hides the photo, bool `(H, W)`: where it is light.

    Raises:
        MaskError: it is of another size than the photo, or hides nothing.
    """
    if mask.shape[:2] != size:
        got, expected = (f"{w} × {h}" for h, w in (mask.shape[:2], size))
        raise MaskError(
            f"The mask is {got} pixels and the photo {expected}: paint it at the photo's size."
        )
    hidden = mask.max(2) > 127
    if not hidden.any():
        raise MaskError("The mask is empty: paint over the part to be filled in white.")
    return hidden


def _hidden_in(frame: Frame, hidden: np.ndarray) -> np.ndarray:
    """Share of each pixel of the frame that is hidden, above a half as 1, float32 `(64, 64)`."""
    white = np.repeat(hidden[..., None].astype(np.uint8) * 255, 3, 2)
    return (cut(white, frame)[..., 0] > 40).astype(np.float32)


def _fill(pixels: np.ndarray, hidden: np.ndarray, frame: Frame, face: np.ndarray) -> np.ndarray:
    """The hole filled from a face, matched to what surrounds it (Pérez et al., 2003)."""
    ground = pixels.copy()
    ground[hidden] = GREY
    level = np.full((SIZE, SIZE, 3), GREY, np.uint8)
    painted = paste(ground, frame, level, face)
    rows, columns = np.nonzero(hidden)
    # the equation needs a known pixel on every side, also of a hole at the edge of the photo
    pad = ((1, 1), (1, 1))
    source, target = (np.pad(a, (*pad, (0, 0)), mode="edge") for a in (painted, pixels))
    mask = np.pad(hidden.astype(np.uint8) * 255, pad)
    middle = (
        (int(columns.min()) + int(columns.max()) + 1) // 2 + 1,
        (int(rows.min()) + int(rows.max()) + 1) // 2 + 1,
    )
    blended = cv2.seamlessClone(source, target, mask, middle, cv2.NORMAL_CLONE)[1:-1, 1:-1]
    out = pixels.copy()
    out[hidden] = blended[hidden]
    return out
