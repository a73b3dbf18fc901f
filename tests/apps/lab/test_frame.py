"""Pictures from outside, put as the models of the lab have seen theirs."""

from pathlib import Path

import numpy as np
import pytest

from apps.images import ImageError, encode_png
from apps.lab.frame import LONGEST, ink, read, read_masked


def paper(height: int, width: int, rows: slice, columns: slice, ground: int = 230) -> np.ndarray:
    """A dark stroke on bright paper that gets darker to the right."""
    page = np.full((height, width), ground, np.int64) - np.arange(width) * 30 // width
    page[rows, columns] = 25
    return page.astype(np.uint8)


def centre(picture: np.ndarray) -> list[float]:
    places = np.arange(len(picture)) + 0.5
    return [float(np.average(places, weights=picture.sum(axis))) for axis in (1, 0)]


def test_a_digit_is_put_as_in_mnist_wherever_it_was() -> None:
    page = paper(300, 400, slice(10, 110), slice(300, 340))
    seen = read(page, 28)
    assert seen.shape == (28, 28) and seen.dtype == np.uint8 and seen.max() == 255
    rows, columns = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
    assert len(rows) == LONGEST and len(columns) == 0.4 * LONGEST  # 100 × 40 as it was
    assert centre(seen) == pytest.approx([14, 14], abs=0.6)


def test_the_middle_is_that_of_the_ink() -> None:
    page = paper(200, 200, slice(20, 180), slice(20, 180))
    page[20:140, 60:180] = page[0, 0]  # an L, heavy below and on the left
    seen = read(page, 28)
    assert centre(seen) == pytest.approx([14, 14], abs=0.6)
    columns = np.flatnonzero(seen.any(0))
    assert (columns[0] + columns[-1] + 1) / 2 > 15  # so that its box is not in the middle


def test_dark_on_bright_and_bright_on_dark_are_one() -> None:
    chalk = np.zeros((90, 60), np.uint8)
    chalk[20:70, 25:35] = 240
    for side in (28, 64):
        assert np.array_equal(read(chalk, side), read(255 - chalk, side))


def test_what_has_the_size_stays_as_it_is() -> None:
    digit = np.zeros((28, 28), np.uint8)
    digit[3:9, 4:6], digit[12, 12] = 200, 17
    assert np.array_equal(read(digit, 28), digit)
    assert np.array_equal(read(255 - digit, 28), digit)


def test_shapes_stay_where_they_are_and_whole() -> None:
    page = np.zeros((128, 256), np.uint8)
    page[96:112, 32:64] = 255
    seen = read(page, 64)  # a quarter of the size, 16 rows of black above and below
    expected = np.zeros((64, 64), np.uint8)
    expected[16 + 24 : 16 + 28, 8:16] = 255
    assert np.array_equal(seen, expected)


def test_a_long_strip_costs_nothing() -> None:
    strip = np.zeros((2, 30_000), np.uint8)
    strip[:, 15_000:20_000] = 255
    assert read(strip, 64).any() and read(strip, 28).any()


def test_a_mask_goes_where_the_picture_goes() -> None:
    picture = np.zeros((56, 112), np.uint8)
    picture[20:36, 40:72] = 255
    mask = np.zeros((56, 112), np.uint8)
    mask[:, 56:] = 255
    seen, hidden = read_masked(picture, mask, 28)
    assert np.array_equal(np.argwhere(seen)[[0, -1]], [[12, 10], [15, 17]])  # 7 + 20/4, 40/4
    assert hidden[7:21, 14:].all() and not hidden[:, :14].any() and not hidden[:7].any()


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_what_shows_nothing_is_refused(ground: int) -> None:
    with pytest.raises(ImageError, match="Nothing stands out"):
        read(np.full((40, 40), ground, np.uint8), 28)


def test_masks_that_fit_nothing_are_refused() -> None:
    picture = np.zeros((40, 40), np.uint8)
    picture[10:20, 10:20] = 255
    with pytest.raises(ImageError, match=r"30 × 40 pixels and the picture 40 × 40"):
        read_masked(picture, np.full((40, 30), 255, np.uint8), 28)
    with pytest.raises(ImageError, match="hides nothing"):
        read_masked(picture, np.zeros((40, 40), np.uint8), 28)


def test_files_pass_the_gate(tmp_path: Path) -> None:
    page = np.repeat(paper(60, 60, slice(20, 40), slice(20, 30))[..., None], 3, 2)
    (tmp_path / "a.png").write_bytes(encode_png(page))
    assert np.array_equal(read(tmp_path / "a.png", 28), read(page, 28))
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="is no JPEG"):
        read(tmp_path / "b.png", 28)


def test_ink_is_the_distance_from_the_ground() -> None:
    grey = np.full((5, 5, 3), 100, np.uint8)
    grey[2, 2], grey[2, 1] = 250, 20
    assert ink(grey)[2].tolist() == [0, 80, 150, 0, 0]
