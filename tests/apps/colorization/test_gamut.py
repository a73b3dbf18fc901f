"""Gamut mapping keeps lightness and hue, gives up chroma only where it must, and never clips."""

import numpy as np
import pytest

from apps.colorization.gamut import to_rgb

LIGHTNESS = np.linspace(0, 100, 501, dtype=np.float32)
HUES = np.linspace(0, 2 * np.pi, 181, dtype=np.float32)


def lab(pixels: np.ndarray) -> np.ndarray:
    """CIE Lab of 8-bit sRGB, in double precision from the definition: the outside oracle."""
    encoded = pixels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.412453, 0.35758, 0.180423],
            [0.212671, 0.71516, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * 841 / 108 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ring(chroma: float) -> tuple[np.ndarray, np.ndarray]:
    """Every lightness against every hue at one chroma."""
    circle = chroma * np.stack([np.cos(HUES), np.sin(HUES)], -1)
    lightness = np.repeat(LIGHTNESS[:, None], len(HUES), 1)
    return lightness, np.repeat(circle[None], len(LIGHTNESS), 0).astype(np.float32)


@pytest.mark.parametrize(
    "chroma", [0, 0.1, 0.5, 2, 5, 10, 20, 40, 60, 80, 100, 120, 140, 1e3, 1e6]
)
def test_lightness_is_kept_for_every_lightness_and_hue(chroma: float) -> None:
    lightness, ab = ring(chroma)
    assert np.abs(lab(to_rgb(lightness, ab))[..., 0] - lightness).max() < 0.3


def test_zero_chroma_is_exactly_grey_and_rises_with_lightness() -> None:
    lightness = np.linspace(0, 100, 100_000, dtype=np.float32).reshape(100, 1000)
    pixels = to_rgb(lightness, np.zeros((100, 1000, 2), np.float32))
    assert (pixels == pixels[..., :1]).all()
    grey = pixels[..., 0].ravel().astype(int)
    assert grey[0] == 0 and grey[-1] == 255
    assert set(np.diff(grey)) == {0, 1}


def test_every_srgb_colour_comes_back() -> None:
    levels = np.arange(0, 256, 5)
    pixels = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, len(levels), 3)
    colours = lab(pixels).astype(np.float32)
    error = np.abs(to_rgb(colours[..., 0], colours[..., 1:]).astype(int) - pixels)
    inside = ((pixels > 20) & (pixels < 235)).all(-1)
    assert error[inside].max() <= 1
    assert (
        np.mean(error > 1) < 0.005
    )  # on the rim round pure yellow, rays leave the gamut and return


def test_chroma_shrinks_towards_grey_along_its_hue() -> None:
    lightness, ab = ring(150)
    middle = slice(150, 350)  # L* 30 to 70, where 8 bit resolve hue well
    got = lab(to_rgb(lightness[middle], ab[middle]))[..., 1:]
    size = np.hypot(got[..., 0], got[..., 1])
    assert (size < 140).all() and (size > 20).all()
    turn = np.angle((got[..., 0] + 1j * got[..., 1]) * np.exp(-1j * HUES.astype(float)))
    assert np.abs(turn).max() < np.radians(3)


def test_no_more_chroma_is_given_up_than_needed() -> None:
    lightness, ab = ring(200)
    middle = slice(50, 450)
    pixels = to_rgb(lightness[middle], ab[middle])
    at_the_surface = (pixels <= 4).any(-1) | (pixels >= 252).any(-1)
    assert at_the_surface.all()


def test_the_ends_of_the_scale_hold_no_colour() -> None:
    ends = np.array([[-5, 0, 100, 130]], np.float32)
    pixels = to_rgb(ends, np.full((1, 4, 2), 80, np.float32))
    assert pixels[0].tolist() == [[0] * 3, [0] * 3, [255] * 3, [255] * 3]


@pytest.mark.parametrize(
    "shape", [(1, 1), (4, 1), (3, 1), (1, 4), (1, 20000), (20000, 1), (300, 517)]
)
def test_any_size_gives_the_same_pixels(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    lightness = rng.uniform(0, 100, shape).astype(np.float32)
    chroma = rng.normal(0, 40, (*shape, 2)).astype(np.float32)
    pixels = to_rgb(lightness, chroma)
    assert pixels.shape == (*shape, 3) and pixels.dtype == np.uint8
    assert pixels[-1:, -1:].tolist() == to_rgb(lightness[-1:, -1:], chroma[-1:, -1:]).tolist()


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"got lightness \(4, 5\) and chroma \(2, 5, 2\), expected"
    ):
        to_rgb(np.zeros((4, 5), np.float32), np.zeros((2, 5, 2), np.float32))
