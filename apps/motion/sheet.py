"""A contact sheet: stills down, their forecasts as trails across."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps import images
from apps.grid import join
from apps.motion.predict import Forecaster
from apps.motion.working import SIZE, crop, resized
from flow.draw import trails


def sheet(
    forecaster: Forecaster, photos: Sequence[str | Path], *, k: int = 3, height: int = 240
) -> np.ndarray:
    """Forecast the centre of photos k times each, on white: `(H, W, 3)` uint8.

    A row is the still, then the answers as trails, most probable first; each tile is `height`
    pixels tall and of the shape of the working frame.
    """
    size = height, height * SIZE[1] // SIZE[0]
    rows = []
    for photo in photos:
        pixels = images.read(photo).pixels
        still = resized(crop(pixels, (pixels.shape[0], pixels.shape[1])), size)
        found = forecaster(still, k=k)
        tiles = [trails(still, moves, found.grid) for moves in found.displacements]
        rows.append(join([still, *tiles], axis=1))
    return join(rows, axis=0)
