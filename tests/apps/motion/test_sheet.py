"""The contact sheet has stills before their answers, and the answers are of those stills."""

from pathlib import Path
from typing import Any

import numpy as np

from apps.grid import GAP
from apps.images import encode_png
from apps.motion.sheet import sheet
from flow.draw import trails
from tests.apps.motion.stand_in import Stand

HEIGHT, WIDTH = 80, 104


def test_stills_stand_before_their_trails(tmp_path: Path) -> None:
    greys = {"tall.png": (300, 130, 90), "wide.png": (160, 600, 180)}
    photos = []
    for name, (height, width, grey) in greys.items():
        photos.append(tmp_path / name)
        photos[-1].write_bytes(encode_png(np.full((height, width, 3), grey, np.uint8)))
    maker: Any = Stand()
    made = sheet(maker, photos, k=3, height=HEIGHT)
    assert made.shape == (2 * HEIGHT + GAP, 4 * WIDTH + 3 * GAP, 3)
    assert [asked[0] for asked in maker.asked] == [3, 3]
    for row, (_, _, grey) in enumerate(greys.values()):
        line = made[row * (HEIGHT + GAP) :][:HEIGHT]
        still = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
        assert (line[:, :WIDTH] == still).all()
        found = maker(still, k=3)
        for i, moves in enumerate(found.displacements):
            tile = line[:, (i + 1) * (WIDTH + GAP) :][:, :WIDTH]
            assert (tile == trails(still, moves, found.grid)).all()
            assert (tile == still).all() == (i == 2)  # that answer is still
