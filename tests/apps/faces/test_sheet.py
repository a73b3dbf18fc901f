"""Contact sheets have the faces where they say."""

from typing import Any

import cv2
import numpy as np

from apps.faces.attributes import OFFERED
from apps.faces.sheet import CAPTION, SHOWN, SIDE, captioned, progressions, toggles
from apps.grid import GAP


class Maker:
    """Faces of one grey each, which says what was asked for."""

    def __call__(self, attributes: Any = None, *, k: int, seed: int) -> Any:
        asked = 40 * (1 + OFFERED.index(next(iter(attributes)))) % 200 if attributes else 0
        self.images = [np.full((64, 64, 3), asked + j + seed, np.uint8) for j in range(k)]
        return self

    def progression(
        self, name: str, steps: int, attributes: Any, *, seed: int, j: int
    ) -> list[np.ndarray]:
        return [np.full((64, 64, 3), 20 * j + step + seed, np.uint8) for step in range(steps)]


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top, left = row * (SIDE + GAP), CAPTION + GAP + column * (SIDE + GAP)
    return sheet[top : top + SIDE, left : left + SIDE]


def test_people_stand_in_columns_and_attributes_in_rows() -> None:
    maker: Any = Maker()
    made = toggles(maker, ("Smiling", "Bald"), k=3, seed=5)
    assert made.shape == (3 * SIDE + 2 * GAP, CAPTION + 3 * (SIDE + GAP), 3)
    for j in range(3):
        assert (tile(made, 0, j) == j + 5).all()
        for row, name in ((1, "Smiling"), (2, "Bald")):
            expected = maker({name: True}, k=3, seed=5).images[j]
            assert (tile(made, row, j) == expected[0, 0]).all()


def test_every_row_of_steps_is_of_another_person() -> None:
    maker: Any = Maker()
    made = progressions(maker, ("Smiling", "Bald"), steps=4, seed=2)
    for row in range(2):
        for step in range(4):
            assert (tile(made, row, step) == 20 * row + step + 2).all()


def test_names_are_written_before_the_rows_and_fit() -> None:
    face = np.zeros((64, 64, 3), np.uint8)
    blank = captioned({"": [face]})[:, :CAPTION]
    assert (blank == 255).all()
    for name in SHOWN:
        made = captioned({name.replace("_", " "): [face]})[:, :CAPTION]
        dark = np.argwhere(cv2.cvtColor(made, cv2.COLOR_RGB2GRAY) < 128)
        assert len(dark) > 20 and dark[:, 1].min() > 0 and dark[:, 1].max() < CAPTION - 4
