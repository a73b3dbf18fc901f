"""The contact sheet has its tiles where it says."""

from pathlib import Path

import numpy as np
from PIL import Image

from apps.colorization import Colorizer
from apps.colorization.sheet import sheet
from apps.grid import GAP


def test_grey_first_then_the_answers(weights: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    colorizer = Colorizer.from_pretrained(weights, device="cpu")
    made = sheet(colorizer, [tmp_path / "a.png", tmp_path / "b.png"], k=3, side=32)
    assert made.shape == (2 * 32 + GAP, 4 * 32 + 3 * GAP, 3)
    grey = made[:32, :32]
    assert (grey[..., 0] == grey[..., 2]).all()
    assert (made[:32, 32 : 32 + GAP] == 255).all()
    assert np.array_equal(made[:32], made[32 + GAP :])  # one photo, one row, the same answers
    answer = colorizer(grey, k=3).images[0]
    assert np.abs(made[:32, 32 + GAP : 64 + GAP].astype(int) - answer).mean() < 2
