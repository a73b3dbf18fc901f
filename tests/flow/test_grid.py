"""Cells, and fields on them at other sizes."""

import numpy as np
import pytest

from flow.grid import cell_centres, resample, rescale


def test_centres_are_the_means_of_the_pixels_of_each_cell() -> None:
    y, x = np.mgrid[:24, :40]
    found = cell_centres((3, 5), (24, 40))
    assert found.dtype == np.float32
    for axis, field in ((0, x), (1, y)):
        means = field.reshape(3, 8, 5, 8).mean((1, 3))
        np.testing.assert_allclose(found[..., axis], means)


def test_rescaling_there_and_back_is_the_identity() -> None:
    c = np.random.default_rng(0).normal(size=(2, 5, 2, 3, 4)).astype(np.float32)
    there = rescale(c, (240, 320), (480, 960))
    np.testing.assert_allclose(there, c * np.array([3, 2])[:, None, None], rtol=1e-6)
    np.testing.assert_allclose(rescale(there, (480, 960), (240, 320)), c, rtol=1e-6)


@pytest.mark.parametrize("cells", [(6, 10), (20, 27), (30, 40), (6, 40), (24, 5)])
def test_a_linear_field_is_resampled_to_itself(cells: tuple[int, int]) -> None:
    size = (240, 320)
    source, target = cell_centres((12, 20), size), cell_centres(cells, size)
    found = resample(np.moveaxis(source, -1, 0), cells)
    away = np.s_[:, cells[0] // 6 + 1 : -cells[0] // 6 - 1, cells[1] // 6 + 1 : -cells[1] // 6 - 1]
    np.testing.assert_allclose(found[away], np.moveaxis(target, -1, 0)[away], rtol=2e-3)


def test_fewer_cells_keep_the_mean_and_many_channels_go_through() -> None:
    field = np.random.default_rng(0).normal(size=(3, 700, 12, 20))
    found = resample(field, (4, 5))
    assert found.shape == (3, 700, 4, 5) and found.dtype == np.float32
    means = field.reshape(3, 700, 4, 3, 5, 4).mean((3, 5))
    np.testing.assert_allclose(found, means, atol=1e-5)


def test_cells_without_weight_do_not_colour_their_neighbours() -> None:
    field, weights = np.full((4, 4), 2.0), np.ones((4, 4))
    field[1, 1], weights[1, 1] = 1e3, 0
    np.testing.assert_allclose(resample(field, (2, 2), weights=weights), 2, rtol=1e-5)
    nothing = resample(np.full((4, 4), 3.0), (8, 8), weights=np.zeros((4, 4)))
    np.testing.assert_allclose(nothing, 3, rtol=1e-5)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(\.\.\., 2, h, w\)"):
        rescale(np.zeros((5, 3, 4, 4)), (8, 8), (16, 16))
    with pytest.raises(ValueError, match="at least 1 pixel"):
        rescale(np.zeros((5, 2, 4, 4)), (0, 8), (16, 16))
    with pytest.raises(ValueError, match=r"\(\.\.\., h, w\)"):
        resample(np.zeros(4), (2, 2))
    with pytest.raises(ValueError, match="weights"):
        resample(np.zeros((4, 4)), (2, 2), weights=np.ones((3, 4)))
