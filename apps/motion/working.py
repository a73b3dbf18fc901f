"""One frame size and one grid for all: what a network can batch.

Units, here and in all of `apps.motion` before a forecast is scaled back to its picture: pixels of
the working frame of 160 × 208, x to the right and y down.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flow.basis import unfit
from flow.dense import CELL
from flow.grid import resample, rescale
from flow.windows import Window

CELLS = (20, 26)  # rows and columns of the grid
SIZE = (CELLS[0] * CELL, CELLS[1] * CELL)  # 160 x 208: 4:3 and a little less in width
MOVES = 3.0  # px: a cell that within the second gets further from its place moves


@dataclass(frozen=True, eq=False)
class Still:
    """A window in the working frame.

    Attributes:
        frame: `(160, 208, 3)` uint8.
        coefficients: `(5, 2, 20, 26)` float32, px of the working frame.
        confidence: `(20, 26)` float32 in [0, 1].
        motion: length of the displacements, mean over second and cells by confidence, px.
        moving: share of the cells, by confidence, that move (`MOVES`).
    """

    frame: NDArray[np.uint8]
    coefficients: NDArray[np.float32]
    confidence: NDArray[np.float32]
    motion: float
    moving: float


def region(cells: tuple[int, int]) -> tuple[slice, slice]:
    """The largest part in the middle of a grid (h, w) that has about the working aspect.

    Whole cells, so that nothing is interpolated where the grid already has the right scale.

    Example:
        >>> region((20, 27)), region((40, 20))
        ((slice(0, 20, None), slice(0, 26, None)), (slice(12, 27, None), slice(0, 20, None)))
    """
    h, w = cells
    if w * CELLS[0] >= h * CELLS[1]:
        rows, columns = h, max(1, round(h * CELLS[1] / CELLS[0]))
    else:
        rows, columns = max(1, round(w * CELLS[0] / CELLS[1])), w
    top, left = (h - rows) // 2, (w - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def crop(frame: NDArray[np.uint8], cells: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels under `region(cells)` of a frame `(H, W, 3)`, not resized: a view."""
    ends = []
    for part, count, side in zip(region(cells), cells, frame.shape[:2], strict=True):
        ends.append((round(part.start * side / count), round(part.stop * side / count)))
    (y0, y1), (x0, x1) = ends
    return frame[y0:y1, x0:x1]


def to_working(window: Window) -> Still:
    """Crop a window to the working aspect and bring it to the working frame and grid."""
    cells = (window.confidence.shape[0], window.confidence.shape[1])
    rows, columns = region(cells)
    pixels = crop(window.frame, cells)
    size = (pixels.shape[0], pixels.shape[1])
    moves = rescale(window.coefficients[..., rows, columns], size, SIZE)
    sure = window.confidence[rows, columns]
    if sure.shape != CELLS:
        moves = resample(moves, CELLS, weights=sure)
        sure = resample(sure, CELLS).clip(0, 1)
    motion, moving = _liveliness(moves, sure)
    return Still(resized(pixels, SIZE), moves, sure, motion, moving)


def resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels `(H, W, 3)` at another (height, width), by area where they get fewer."""
    if pixels.shape[:2] == size:
        return np.ascontiguousarray(pixels)
    shrinks = pixels.shape[0] * pixels.shape[1] > size[0] * size[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, size[::-1], interpolation=way).astype(np.uint8, copy=False)


def _liveliness(
    coefficients: NDArray[np.float32], confidence: NDArray[np.float32]
) -> tuple[float, float]:
    """Mean length of the displacements and share of the cells that move, by confidence."""
    length = np.linalg.norm(unfit(coefficients), axis=-1)  # (30, h, w)
    total = max(float(confidence.sum()), 1e-9)
    motion = float((length.mean(0) * confidence).sum()) / total
    moving = float(((length.max(0) > MOVES) * confidence).sum()) / total
    return motion, moving
