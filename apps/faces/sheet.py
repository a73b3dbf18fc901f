"""Contact sheets: the same people with one attribute after another, and one attribute in steps."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from apps.faces.attributes import title
from apps.faces.predict import Asked, FaceMaker
from apps.grid import join

SHOWN = (
    *("Smiling", "Male", "Eyeglasses", "Blond_Hair"),
    *("Bangs", "Wearing_Hat", "Mustache", "Bald"),
)
SIDE = 96  # pixels of a tile
CAPTION = 112  # pixels of the column of names


def toggles(
    maker: FaceMaker, names: Sequence[str] = SHOWN, *, k: int = 8, seed: int = 0
) -> np.ndarray:
    """k people across; down, as they come, then with each attribute on: `(H, W, 3)` uint8."""
    rows = {"as they come": maker(k=k, seed=seed).images}
    for name in names:
        rows[title(name)] = maker({name: True}, k=k, seed=seed).images
    return captioned(rows)


def progressions(
    maker: FaceMaker,
    names: Sequence[str] = SHOWN,
    *,
    steps: int = 8,
    attributes: Asked = None,
    seed: int = 0,
) -> np.ndarray:
    """An attribute a row, from off to on in steps, every row another person."""
    rows = {}
    for j, name in enumerate(names):
        rows[title(name)] = maker.progression(name, steps, attributes, seed=seed, j=j)
    return captioned(rows)


def captioned(rows: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of tiles `(h, w, 3)` uint8, the name of each before it, on white."""
    lines = []
    for name, tiles in rows.items():
        large = [cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for x in tiles]
        lines.append(join([_caption(name), *large], axis=1))
    return join(lines, axis=0)


def _caption(name: str) -> np.ndarray:
    canvas = Image.new("RGB", (CAPTION, SIDE), "white")
    place = (CAPTION - 8, SIDE / 2)
    ImageDraw.Draw(canvas).text(
        place, name, fill="black", font=ImageFont.load_default(14), anchor="rm"
    )
    return np.asarray(canvas)
