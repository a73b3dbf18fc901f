"""Upsampling against a plain implementation of the recipe, and what must hold for any picture."""

import cv2
import numpy as np
import pytest

from apps.colorization.gamut import to_rgb
from apps.colorization.upsample import JointUpsampler, colour

SHAPES = [(40, 56), (37, 53), (64, 24), (8, 8), (5, 40), (3, 2), (1, 1), (1, 20000), (20000, 1)]


def scene(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Lightness with patches, edges and grain."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(10, 90, (6, 7)).astype(np.float32)
    picture = cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.clip(picture + rng.normal(0, 3, (height, width)), 0, 100).astype(np.float32)


def coarse(height: int, width: int, *shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 25, (*shape, height, width, 2)).astype(np.float32)


def area(chroma: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(chroma, (width, height), interpolation=cv2.INTER_AREA)


def back_project(lifted: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    for _ in range(2):
        rest = chroma - area(lifted, *chroma.shape[:2])
        lifted = lifted + cv2.resize(rest, lifted.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return lifted


def bicubic(chroma: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return back_project(cv2.resize(chroma, shape[::-1], interpolation=cv2.INTER_CUBIC), chroma)


def plainly(lightness: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """The recipe word for word, with all weights of all pixels."""
    (height, width), (h, w) = lightness.shape, chroma.shape[:2]
    low = area(lightness, h, w)
    y = (np.arange(height) + 0.5) * h / height - 0.5
    x = (np.arange(width) + 0.5) * w / width - 0.5
    total, weight = np.zeros((height, width, 2)), np.zeros((height, width, 1))
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            row, col = np.floor(y + 0.5).astype(int) + dy, np.floor(x + 0.5).astype(int) + dx
            at = np.ix_(np.clip(row, 0, h - 1), np.clip(col, 0, w - 1))
            space = ((y - row) / 0.7)[:, None] ** 2 + ((x - col) / 0.7)[None] ** 2
            each = np.exp(-(space + ((lightness - low[at]) / 8) ** 2) / 2)[..., None]
            total, weight = total + each * chroma[at], weight + each
    bilateral = back_project((total / weight).astype(np.float32), chroma)
    return (bilateral + bicubic(chroma, lightness.shape)) / 2


@pytest.mark.parametrize(
    ("shape", "size"),
    [((40, 56), (8, 8)), ((37, 53), (7, 9)), ((64, 24), (16, 5)), ((9, 31), (9, 4))],
)
def test_it_is_the_recipe(shape: tuple[int, int], size: tuple[int, int]) -> None:
    lightness, chroma = scene(*shape), coarse(*size)
    np.testing.assert_allclose(
        JointUpsampler(lightness, size).up(chroma), plainly(lightness, chroma), atol=2e-3
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_constant_chroma_stays_constant(shape: tuple[int, int]) -> None:
    chroma = np.broadcast_to(np.array([30, -45], np.float32), (8, 6, 2))
    lifted = JointUpsampler(scene(*shape), (8, 6)).up(chroma)
    assert lifted.shape == (*shape, 2) and lifted.dtype == np.float32
    np.testing.assert_allclose(
        lifted, np.broadcast_to(np.array([30, -45], np.float32), lifted.shape), atol=1e-3
    )


def test_the_area_mean_comes_near_the_chroma_that_was_put_in() -> None:
    lightness, chroma = scene(90, 130), cv2.GaussianBlur(coarse(12, 16), (0, 0), 1)
    mean = area(JointUpsampler(lightness, (12, 16)).up(chroma), 12, 16)
    once = area(cv2.resize(chroma, (130, 90), interpolation=cv2.INTER_CUBIC), 12, 16)
    assert np.abs(mean - chroma).mean() < 0.03 * np.abs(chroma).mean()
    assert np.abs(mean - chroma).mean() < 0.5 * np.abs(once - chroma).mean()


def test_an_edge_of_lightness_brings_the_edge_of_chroma_back() -> None:
    y, x = np.mgrid[:120, :160]
    disc = (y - 60) ** 2 + (x - 75) ** 2 < 40**2
    truth = np.where(
        disc[..., None], np.array([50, 20], np.float32), np.array([-20, -30], np.float32)
    )
    chroma = area(truth, 12, 16)
    lifted = JointUpsampler(np.where(disc, 70, 30).astype(np.float32), (12, 16)).up(chroma)
    error = np.abs(lifted - truth).mean()
    assert error < 0.6 * np.abs(bicubic(chroma, disc.shape) - truth).mean()
    flat = JointUpsampler(np.full(disc.shape, 50, np.float32), (12, 16)).up(chroma)
    assert error < 0.6 * np.abs(flat - truth).mean()


def test_variants_together_are_the_variants_one_by_one() -> None:
    upsampler, chromas = JointUpsampler(scene(41, 30), (6, 5)), coarse(6, 5, 2, 3)
    together = upsampler.up(chromas)
    assert together.shape == (2, 3, 41, 30, 2)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(together[i, j], upsampler.up(chromas[i, j]), atol=1e-4)


def test_it_is_linear_in_the_chroma() -> None:
    up = JointUpsampler(scene(33, 47), (7, 8)).up
    one, two = coarse(7, 8, seed=1), coarse(7, 8, seed=2)
    np.testing.assert_allclose(up(2 * one - 3 * two), 2 * up(one) - 3 * up(two), atol=1e-3)


def test_turning_the_picture_turns_the_answer() -> None:
    lightness, chroma = scene(33, 48), coarse(6, 9)
    lifted = JointUpsampler(lightness, (6, 9)).up(chroma)
    turned = JointUpsampler(lightness.T, (9, 6)).up(chroma.swapaxes(0, 1))
    np.testing.assert_allclose(turned.swapaxes(0, 1), lifted, atol=1e-3)


def test_a_picture_smaller_than_the_chroma_gets_its_area_mean() -> None:
    chroma = coarse(12, 8)
    np.testing.assert_allclose(
        JointUpsampler(scene(1, 1), (12, 8)).up(chroma)[0, 0], chroma.mean((0, 1)), atol=1e-4
    )
    same = JointUpsampler(np.full((12, 8), 50, np.float32), (12, 8)).up(chroma)
    assert np.abs(same - chroma).mean() < 0.25 * np.abs(chroma).mean()


@pytest.mark.parametrize("shape", SHAPES)
def test_colouring_strip_by_strip_is_colouring_the_whole(shape: tuple[int, int]) -> None:
    lightness, chromas = scene(*shape), coarse(8, 6, 3)
    pictures = colour(lightness, chromas)
    assert len(pictures) == 3
    for picture, lifted in zip(
        pictures, JointUpsampler(lightness, (8, 6)).up(chromas), strict=True
    ):
        assert picture.shape == (*shape, 3) and picture.dtype == np.uint8
        np.testing.assert_array_equal(picture, to_rgb(lightness, lifted))


def test_colouring_keeps_the_lightness() -> None:
    lightness = scene(60, 80)
    lightness[:5], lightness[-5:] = 0.4, 99.7
    for picture in colour(lightness, 3 * coarse(8, 8, 4)):
        linear = picture / 255.0
        linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.212671, 0.71516, 0.072169]
        got = np.where(
            luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, luminance * (29 / 3) ** 3
        )
        assert np.abs(got - lightness).max() < 0.5


def test_neutral_chroma_gives_grey() -> None:
    (picture,) = colour(scene(50, 70), np.zeros((1, 8, 8, 2), np.float32))
    assert (picture == picture[..., :1]).all()


def test_an_error_of_a_strip_reaches_the_caller() -> None:
    def fail(rows: slice, strip: np.ndarray) -> None:
        raise RuntimeError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        JointUpsampler(scene(9, 9), (3, 3)).each_strip(coarse(3, 3), fail)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got lightness \(4, 4, 1\)"):
        JointUpsampler(np.zeros((4, 4, 1), np.float32), (2, 2))
    with pytest.raises(ValueError, match=r"size \(0, 2\)"):
        JointUpsampler(np.zeros((4, 4), np.float32), (0, 2))
    with pytest.raises(ValueError, match=r"got chroma \(3, 2, 2\), expected \(\.\.\., 2, 2, 2\)"):
        JointUpsampler(np.zeros((4, 4), np.float32), (2, 2)).up(np.zeros((3, 2, 2), np.float32))
