"""Pictures from outside as models of the lab see them: grey, bright on black, of one size.

Digits are put as MNIST has them: 20 pixels at their longest, the centre of mass in the middle of
28x28. Sprites stay where they are, since that is what is learnt of them.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from apps import images
from apps.lab.digits import SIDE

Image = str | Path | bytes | np.ndarray | Any
LONGEST = 20  # pixels of a digit in its 28
FAINT = 48  # of 255: what stands out less is no drawing
SHADE = 0.25  # of the darkest ink: paper is never even


def read(source: Image, side: int) -> np.ndarray:
    """One picture as uint8 `(side, side)`, bright on black whichever way it came.

    What has that size already stays as it is, but for its colours.

    Raises:
        apps.images.ImageError: it cannot be read, or nothing stands out from its ground.
    """
    drawn = ink(images.read(source).pixels)
    if drawn.shape == (side, side):
        return drawn
    bold = _bold(drawn)
    return _centred(bold) if side == SIDE else _square(bold, side)


def read_masked(source: Image, mask: Image, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and where it is hidden, uint8 and bool, `(side, side)` each.

    The picture is not put into the middle: what is hidden of a digit would move it.

    Args:
        mask: of the picture's size, white where it is hidden.

    Raises:
        apps.images.ImageError: one of the two cannot be read, they differ in size, or the mask
            hides nothing.
    """
    pixels, painted = images.read(source).pixels, images.read(mask).pixels
    if painted.shape != pixels.shape:
        got, expected = (f"{w} × {h}" for h, w, _ in (painted.shape, pixels.shape))
        raise images.ImageError(
            f"The mask is {got} pixels and the picture {expected}: paint it at the picture's size."
        )
    hidden = _square(painted.max(2), side) > 127
    if not hidden.any():
        raise images.ImageError("The mask hides nothing: paint white what is to be completed.")
    drawn = ink(pixels)
    return (drawn if drawn.shape == (side, side) else _square(_bold(drawn), side)), hidden


def ink(pixels: np.ndarray) -> np.ndarray:
    """How far each pixel is from the ground, `(H, W, 3)` uint8 -> `(H, W)` uint8.

    The ground is what most of the outermost pixels are, so that pencil on paper and chalk on a
    board come out alike.

    Raises:
        apps.images.ImageError: nothing stands out.

    Example:
        >>> page = np.full((3, 3, 3), 255, np.uint8)
        >>> page[1, 1] = 5
        >>> ink(page)[1].tolist()
        [0, 250, 0]
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    found = cv2.absdiff(grey, np.full_like(grey, int(np.median(rim))))
    if found.max() < FAINT:
        raise images.ImageError(
            "Nothing stands out in this picture: give one with a digit or a shape, dark on plain "
            "paper or bright on black."
        )
    return found


def _bold(drawn: np.ndarray) -> np.ndarray:
    """Without the shades of the paper, the darkest ink at 255."""
    peak = float(drawn.max())
    bold = (drawn - SHADE * peak) / ((1 - SHADE) * peak)
    return np.rint(255 * bold.clip(0, 1)).astype(np.uint8)


def _fit(drawn: np.ndarray, longest: int) -> np.ndarray:
    """The same proportions with the longer side at `longest`."""
    scale = longest / max(drawn.shape)
    height, width = (max(1, round(side * scale)) for side in drawn.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(drawn, (width, height), interpolation=how)


def _square(drawn: np.ndarray, side: int) -> np.ndarray:
    """The whole picture within a square, black around it."""
    small = _fit(drawn, side)
    height, width = small.shape
    out = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = small
    return out


def _centred(bold: np.ndarray) -> np.ndarray:
    """A digit as MNIST has them; thin strokes are made as bright as others."""
    (top, bottom), (left, right) = (
        np.flatnonzero(bold.any(axis))[[0, -1]] + (0, 1) for axis in (1, 0)
    )
    small = _fit(bold[top:bottom, left:right], LONGEST).astype(np.float64)
    small *= 255 / small.max()
    out = np.zeros((SIDE, SIDE), np.uint8)
    place = []
    for axis, size in enumerate(small.shape):
        centre = np.average(np.arange(size) + 0.5, weights=small.sum(1 - axis))
        place.append(min(max(round(SIDE / 2 - centre), 0), SIDE - size))
    out[place[0] : place[0] + small.shape[0], place[1] : place[1] + small.shape[1]] = small.round()
    return out
