"""Known motions are recovered within 1.5 px after a second, at every frame rate."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from flow.basis import STEPS
from flow.trajectory import Trajectories, follow, trajectories
from tests.flow.scenes import CENTRE, HEIGHT, WIDTH, Layer, clip, disc, render, square

T = np.arange(1, STEPS + 1) / STEPS
CAMERA = Layer(1, turn=0.1, scale=1.08, shift=(18, 8))
SQUARE = Layer(2, shift=(-30, 14), turn=0.5, within=square(76))
BLANK = np.zeros((64, 64, 3), np.uint8)


def seconds(fps: float) -> list[float]:
    """Times of as many frames as cover one second."""
    return [n / fps for n in range(int(np.ceil(fps - 1e-6)) + 1)]


@cache
def moving_square(fps: float) -> Trajectories:
    times = seconds(fps) if fps else VARIABLE
    return trajectories(clip([CAMERA, SQUARE], times), times, short_side=160)


VARIABLE = [0, 0.03, 0.1, 0.11, 0.15, 0.24, 0.29, 0.36, 0.4, 0.49, 0.55, 0.58, 0.67, 0.71, 0.8]
VARIABLE = [*VARIABLE, 0.84, 0.93, 0.97, 1.05]


def errors(found: Trajectories, layer: Layer, camera: Layer | None = None) -> NDArray:
    """Distance from the truth `(30, h, w)`, nan where a cell starts or ends near the border."""
    grid = found.grid.astype(float)
    truth = [layer.forth(grid, t) for t in T]
    far = np.array([WIDTH - 1, HEIGHT - 1]) - 12
    seen = ((grid > 12) & (grid < far) & (truth[-1] > 12) & (truth[-1] < far)).all(-1)
    if camera is not None:
        truth = [camera.back(p, t) for p, t in zip(truth, T, strict=True)]
    gone = np.linalg.norm(found.displacements + grid - np.array(truth), axis=-1)
    return np.where(seen, gone, np.nan)


def whole(layers: Sequence[Layer]) -> Trajectories:
    times = seconds(30)
    return trajectories(clip(layers, times), times, short_side=160, steady=False)


def test_constant_flow_gives_a_shift() -> None:
    layer = Layer(1, shift=(24, -12))
    found = whole([layer])
    assert found.displacements.shape == (30, 20, 27, 2)
    assert found.displacements.dtype == found.confidence.dtype == found.grid.dtype == np.float32
    assert np.nanmax(errors(found, layer)) < 0.5
    assert not found.camera.static and found.camera.inlier_ratio > 0.9


def test_a_turning_disc_is_recovered_and_the_rest_is_still() -> None:
    layer = Layer(2, turn=1.0, within=disc(62))
    found = whole([Layer(1), layer])
    inside, outside = disc(48)(found.grid), ~disc(74)(found.grid)
    assert np.nanmax(errors(found, layer)[:, inside]) < 1.5
    assert np.abs(found.displacements[:, outside]).max() < 0.5
    assert found.camera.static


def test_a_zooming_plane_is_recovered() -> None:
    layer = Layer(1, scale=1.25)
    error = errors(whole([layer]), layer)
    assert np.nanmax(error) < 1.5 and np.nanmean(error[-1]) < 0.5


def test_a_square_that_moves_over_a_moving_camera_is_recovered() -> None:
    found = moving_square(30)
    on = square(56)(found.grid)
    off = found.grid[..., 0] > CENTRE[0] + 50  # what the square never covers
    assert np.nanmax(errors(found, SQUARE, CAMERA)[:, on]) < 1.5
    assert np.nanmax(errors(found, CAMERA, CAMERA)[:, off]) < 1.5
    assert not found.camera.static
    corner = found.camera.similarities[-1] @ [0, 0, 1]
    np.testing.assert_allclose(corner, CAMERA.forth(np.zeros(2), 1), atol=0.7)


@pytest.mark.parametrize("fps", [10, 15, 25, 29.97, 60, 0])  # 0: it varies
def test_frame_rates_agree(fps: float) -> None:
    found, usual = moving_square(fps), moving_square(30)
    on = square(56)(found.grid)
    assert np.nanmax(errors(found, SQUARE, CAMERA)[:, on]) < 1.5
    apart = np.linalg.norm(found.displacements - usual.displacements, axis=-1)
    trusted = np.minimum(found.confidence, usual.confidence) > 0.5
    assert np.median(apart[trusted]) < 0.15 and apart[trusted].mean() < 0.5


def test_units_are_pixels_of_the_input() -> None:
    layer = Layer(1, shift=(24, -12))
    times = seconds(10)
    small = clip([layer], times)
    large = [np.kron(f, np.ones((2, 3, 1), np.uint8)) for f in small]
    found = trajectories(large, times, short_side=160, steady=False)
    assert found.grid[-1, -1, 0] > 2.5 * WIDTH and found.grid[-1, -1, 1] > 1.7 * HEIGHT
    end = np.median(found.displacements[-1], (0, 1))
    np.testing.assert_allclose(end, [72, -24], atol=1)


def test_confidence_never_rises_and_ends_where_cells_leave_the_frame() -> None:
    found = whole([Layer(1, shift=(60, 0))])
    assert (np.diff(found.confidence, axis=0) <= 1e-6).all()
    assert found.confidence.min() >= 0 and found.confidence.max() <= 1
    gone = found.grid[..., 0] > WIDTH - 50
    assert found.confidence[-1][gone].max() == 0 < found.confidence[0][gone].min()


def test_a_wall_has_little_confidence() -> None:
    found = trajectories([BLANK, BLANK], [5.0, 6.0], short_side=64)
    assert (found.displacements == 0).all() and (found.confidence == 0).all()
    assert found.camera.static


def test_frames_after_the_second_are_not_looked_at() -> None:
    frame = render([Layer(1)], 0)
    times = [0.0, 0.5, 1.0, 1.5]
    broken: list[NDArray] = [frame, frame, frame, np.zeros(3)]
    assert trajectories(broken, times, short_side=80).camera.static


@pytest.mark.parametrize(
    ("frames", "times", "said"),
    [
        ([], [], "at least one second"),
        ([BLANK], [0.0], "at least one second"),
        ([BLANK] * 3, [0, 0.4, 0.9], "over 0.900 s"),
        ([BLANK] * 3, [0, 1.0], "3 frames and 2 times"),
        ([BLANK] * 3, [0, 0, 1.0], "increase"),
        ([BLANK, BLANK, BLANK], [0, float("nan"), 1.0], "increase"),
        ([BLANK, BLANK[:50]], [0, 1.0], "one size"),
        ([BLANK, BLANK / 2], [0, 1.0], "uint8 RGB"),
    ],
)
def test_bad_input_is_refused(frames: list, times: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trajectories(frames, times, short_side=64)


def test_flows_come_one_by_one() -> None:
    def endless() -> object:
        while True:
            yield BLANK

    steps = follow(endless(), iter([0.0, 0.1]), short_side=64)  # type: ignore[arg-type]
    assert next(steps).flow is None
    flow = next(steps).flow
    assert flow is not None and flow.motion.shape == (64, 64, 2)
