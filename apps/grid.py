"""Pictures side by side on white."""

import math
from collections.abc import Sequence

import numpy as np

GAP = 4  # pixels


def join(parts: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Concatenate pictures `(H, W, 3)` uint8 down (axis 0) or across (1), a gap between.

    Example:
        >>> join([np.zeros((2, 5, 3), np.uint8)] * 2, axis=1).shape
        (2, 14, 3)
    """
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    spaced = [piece for part in parts for piece in (part, gap)][:-1]
    return np.concatenate(spaced, axis)


def grid(tiles: Sequence[np.ndarray], *, columns: int | None = None) -> np.ndarray:
    """Tiles of one size in rows, about as many as columns; the last row is filled with white.

    Example:
        >>> grid([np.zeros((2, 2, 3), np.uint8)] * 3).shape
        (8, 8, 3)
    """
    across = columns or math.ceil(math.sqrt(len(tiles)))
    blank = np.full_like(tiles[0], 255)
    full = [*tiles, *[blank] * (-len(tiles) % across)]
    rows = [full[i : i + across] for i in range(0, len(full), across)]
    return join([join(row, axis=1) for row in rows], axis=0)
