"""A contact sheet: photos down, the grey version and the answers across."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps import images
from apps.colorization.data import centre_square, resize
from apps.colorization.predict import Colorizer
from apps.grid import join


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
        rows.append(join(tiles, axis=1))
    return join(rows, axis=0)
