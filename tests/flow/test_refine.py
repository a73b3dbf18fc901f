"""Points set right against a picture."""

import numpy as np
import pytest

from flow.dense import pixels
from flow.grid import cell_centres
from flow.refine import REACH, realign
from tests.flow.scenes import HEIGHT, WIDTH, Layer, render

INNER = np.s_[3:-3, 3:-3]
POINTS = cell_centres((20, 27), (HEIGHT, WIDTH))


def grey(layer: Layer, t: float) -> np.ndarray:
    return np.ascontiguousarray(render([layer], t)[..., 1])


@pytest.mark.parametrize(
    "motion",
    [{"shift": (6.3, -2.6)}, {"turn": 0.2}, {"scale": 1.1}, {"turn": -0.1, "shift": (3, 4)}],
)
def test_patches_that_shift_turn_or_grow_are_found(motion: dict) -> None:
    layer = Layer(3, **motion)
    truth = layer.forth(POINTS, 1).astype(np.float32)
    guess = truth + np.random.default_rng(0).uniform(-0.8, 0.8, truth.shape).astype(np.float32)
    found = realign(grey(layer, 0), grey(layer, 1), POINTS, guess)
    error, before = (np.linalg.norm(p - truth, axis=-1)[INNER] for p in (found, guess))
    assert found.shape == POINTS.shape and found.dtype == np.float32
    assert np.median(error) < 0.1 and np.quantile(error, 0.95) < 0.3 < np.median(before)


def test_light_that_changes_does_not_move_points() -> None:
    layer = Layer(3)
    darker = (grey(layer, 0) * 0.5 + 60).astype(np.uint8)
    dimmed = (grey(layer, 0) * 0.5).astype(np.uint8)
    found = realign(dimmed, darker, POINTS, POINTS)
    assert np.abs(found - POINTS)[INNER].max() < 0.05


def test_a_flat_or_unlike_picture_leaves_the_guess() -> None:
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    np.testing.assert_array_equal(realign(flat, flat, POINTS, POINTS + 1), POINTS + 1)
    found = realign(grey(Layer(3), 0), grey(Layer(4), 0), POINTS, POINTS)
    assert np.linalg.norm(found - POINTS, axis=-1).max() <= REACH


def test_a_correct_guess_stays() -> None:
    picture = grey(Layer(3), 0)
    everywhere = pixels(HEIGHT, WIDTH)[20:-20:10, 20:-20:10]
    np.testing.assert_allclose(realign(picture, picture, everywhere, everywhere), everywhere)
