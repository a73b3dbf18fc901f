"""Cutting the common frame out of a picture, and its pixels as numbers."""

import numpy as np
import pytest
import torch

from apps.faces import frame
from apps.faces.frame import Crop
from apps.faces.place import Frame, cut


def framed(pixels: np.ndarray, crop: Crop) -> np.ndarray:
    return cut(pixels, Frame.from_crop(crop, *pixels.shape[:2]))


def blobs(size: int, points: list[tuple[float, float]]) -> np.ndarray:
    """White spots at points given as shares of the side, on black."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    spots = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 0.03**2)) for a, b in points)
    return (np.asarray(spots)[..., None].repeat(3, -1).clip(0, 1) * 255).astype(np.uint8)


def centre(pixels: np.ndarray) -> np.ndarray:
    """Of what is bright, as shares (x, y) of the side."""
    weight = pixels[..., 0].astype(float)
    y, x = (np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5) / len(weight)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def test_a_wide_picture_gives_its_middle() -> None:
    picture = np.zeros((64, 100, 3), np.uint8)
    picture[:, 18:82] = np.arange(64, dtype=np.uint8)[:, None, None]
    assert np.array_equal(framed(picture, frame.WHOLE), picture[:, 18:82])


@pytest.mark.parametrize("size", [50, 96, 128, 400])
@pytest.mark.parametrize(
    "crop", [frame.CELEBA_96, frame.LFW, Crop(0.5, 0.4, 0.6, 0.3), Crop(1.4, 0.5, 0.5, -0.2)]
)
def test_points_land_where_the_similarity_says(size: int, crop: Crop) -> None:
    u, v = 0.2, -0.1  # from the frame's centre
    c, s = np.cos(crop.angle), np.sin(crop.angle)
    x = crop.x + crop.side * (c * u - s * v)
    y = crop.y + crop.side * (s * u + c * v)
    face = framed(blobs(size, [(x, y)]), crop)
    assert face.shape == (64, 64, 3) and face.dtype == np.uint8
    assert np.abs(centre(face) - [0.5 + u, 0.5 + v]).max() < 0.004  # a quarter of a pixel


def test_detail_is_neither_lost_nor_folded() -> None:
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, (512, 512, 3), np.uint8)  # noise finer than the frame
    face = framed(fine, Crop(side=0.99))
    expected = 74 / (512 * 0.99 / 64)  # averages of so many values a side
    assert face.astype(float).std() == pytest.approx(expected, rel=0.15)
    wave = 127 + 100 * np.sin(np.arange(96) * 2 * np.pi / 6)  # 6 pixels of 96 are 4 of 64
    stripes = np.broadcast_to(wave[None, :, None], (96, 96, 3)).astype(np.uint8)
    assert framed(stripes, Crop(side=0.999)).std() > 0.8 * stripes.std()


def test_pixels_survive_the_way_to_the_network_and_back() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(frame.to_pixels(frame.to_network(pixels)), pixels)
    assert frame.to_pixels(torch.tensor([-2.0, 2.0])).tolist() == [0, 255]
    face = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1
    image = frame.to_image(face)
    assert image.shape == (4, 5, 3) and image.dtype == np.uint8
    assert np.array_equal(image[1, 2], frame.to_pixels(face[:, 1, 2]).numpy())
