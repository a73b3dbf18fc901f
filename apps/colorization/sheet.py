"""A contact sheet: photos down, the grey version and the answers across."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps import images
from apps.colorization.data import centre_square, resize
from apps.colorization.predict import Colorizer

GAP = 4


def sheet(
    colorizer: Colorizer, photos: Sequence[str | Path], *, k: int = 8, side: int = 128
) -> np.ndarray:
    """Colour the centre squares of photos k times each, on white: `(H, W, 3)` uint8.

    A row is grey, then the answers, most probable first; each tile is `side` pixels a side.
    """
    rows = []
    for photo in photos:
        square = resize(centre_square(images.read(photo).pixels), (side, side))
        tiles = [colorizer.grey(square), *colorizer(square, k=k).images]
        rows.append(_join(tiles, axis=1))
    return _join(rows, axis=0)


def _join(parts: Sequence[np.ndarray], *, axis: int) -> np.ndarray:
    """Concatenate with a white gap between."""
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    spaced = [piece for part in parts for piece in (part, gap)][:-1]
    return np.concatenate(spaced, axis)
