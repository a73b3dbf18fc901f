"""The camera's similarity, found among points that also move alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flow.camera import find_camera, without_camera

SIZE = (160, 216)
GRID = np.stack(np.meshgrid(np.arange(4, 216, 8.0), np.arange(4, 160, 8.0)), -1).reshape(-1, 2)
MIDDLE = abs(GRID - [108, 80]).max(1) < 50  # about a third of the picture


def similarities(turn: float, scale: float, shift: tuple[float, float], count: int) -> NDArray:
    """A camera that moves evenly, `(count, 2, 3)`, up to the given turn, scale and shift."""
    t = np.linspace(0, 1, count + 1)[1:]
    c, s = scale**t * np.cos(turn * t), scale**t * np.sin(turn * t)
    return np.array([[c, -s, shift[0] * t], [s, c, shift[1] * t]]).transpose(2, 0, 1)


def moved(camera: NDArray, points: NDArray = GRID) -> NDArray:
    return np.einsum("tij,nj->tni", camera[..., :2], points) + camera[:, None, :, 2]


@pytest.mark.parametrize("count", [1, 30])
def test_a_similarity_is_found_exactly_without_noise(count: int) -> None:
    truth = similarities(0.2, 1.15, (20, -7), count)
    found = find_camera(GRID, moved(truth), size=SIZE)
    np.testing.assert_allclose(found.similarities, truth, atol=1e-9)
    assert found.inlier_ratio == 1 and not found.static


def test_a_large_mover_and_noise_do_not_lead_it_astray() -> None:
    rng = np.random.default_rng(1)
    truth = similarities(-0.1, 0.95, (12, 9), 30)
    seen = moved(truth)
    alone = np.linspace(0, 1, 31)[1:, None, None] * [-25.0, 18]
    seen[:, MIDDLE] += alone
    seen += rng.normal(0, 0.3, seen.shape)
    found = find_camera(GRID, seen, size=SIZE)
    error = moved(found.similarities) - moved(truth)
    assert np.linalg.norm(error, axis=-1).max() < 0.3
    assert abs(found.inlier_ratio - (1 - MIDDLE.mean())) < 0.03


def test_a_mover_that_fills_most_of_the_picture_loses_to_the_border() -> None:
    inner = (abs(GRID - [108, 80]) / [108, 80]).max(1) < 0.75
    seen = moved(similarities(0, 1, (10, 0), 30))
    seen[:, inner] -= np.linspace(0, 1, 31)[1:, None, None] * [40.0, 0]
    assert inner.mean() > 0.5  # a plain majority would follow the mover
    found = find_camera(GRID, seen, size=SIZE)
    np.testing.assert_allclose(found.similarities[-1], [[1, 0, 10], [0, 1, 0]], atol=1e-6)


def test_a_slow_mover_is_told_from_the_background_by_the_whole_second() -> None:
    truth = similarities(0, 1, (15, 0), 30)
    seen = moved(truth)
    seen[:, MIDDLE] += np.linspace(0, 1, 31)[1:, None, None] * [0.0, 6]  # 0.2 px a step
    found = find_camera(GRID, seen, size=SIZE)
    np.testing.assert_allclose(found.similarities, truth, atol=1e-6)


def test_a_still_camera_is_exactly_still() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, (30, *GRID.shape))
    seen = GRID + noise
    seen[:, MIDDLE] += np.linspace(0, 1, 31)[1:, None, None] * [30.0, 0]
    found = find_camera(GRID, seen, size=SIZE)
    assert found.static
    assert (found.similarities == np.eye(2, 3)).all()


def test_points_without_weight_do_not_count() -> None:
    truth = similarities(0.1, 1, (8, 3), 10)
    seen = moved(truth)
    lost = GRID[:, 0] > 90  # more than half of them
    seen[5:, lost] = 1e4
    weights = np.ones(seen.shape[:2])
    weights[5:, lost] = 0
    found = find_camera(GRID, seen, size=SIZE, weights=weights)
    np.testing.assert_allclose(found.similarities, truth, atol=1e-9)
    assert found.inlier_ratio == 1


def test_chaos_has_a_poor_inlier_ratio() -> None:
    wild = GRID + np.random.default_rng(0).normal(0, 40, (30, *GRID.shape))
    assert find_camera(GRID, wild, size=SIZE).inlier_ratio < 0.1
    nothing = np.zeros((30, len(GRID)))
    blind = find_camera(GRID, wild, size=SIZE, weights=nothing)
    assert blind.inlier_ratio == 0 and np.isfinite(blind.similarities).all()


def test_the_same_points_give_the_same_camera() -> None:
    seen = GRID + np.random.default_rng(0).normal(0, 3, (5, *GRID.shape))
    first, second = (find_camera(GRID, seen, size=SIZE).similarities for _ in range(2))
    assert (first == second).all()


def test_the_camera_is_taken_out_of_points_of_any_shape() -> None:
    camera = similarities(0.3, 1.2, (5, -9), 7)
    still = GRID[:500].reshape(20, 25, 2)
    seen = moved(camera, still.reshape(-1, 2)).reshape(7, 20, 25, 2)
    np.testing.assert_allclose(without_camera(seen, camera), np.stack([still] * 7), atol=1e-9)
    with pytest.raises(ValueError, match="one each"):
        without_camera(seen[1:], camera)


@pytest.mark.parametrize(
    ("points", "seen", "weights"),
    [
        (GRID, GRID, None),
        (GRID, GRID[None, :5], None),
        (GRID[:3], GRID[None, :3], None),
        (GRID, GRID[None] * np.nan, None),
        (GRID, GRID[None], np.ones(len(GRID))),
        (GRID, GRID[None], -np.ones((1, len(GRID)))),
    ],
)
def test_bad_input_is_refused(points: NDArray, seen: NDArray, weights: NDArray | None) -> None:
    with pytest.raises(ValueError, match=r"^got .*expected"):
        find_camera(points, seen, size=SIZE, weights=weights)
