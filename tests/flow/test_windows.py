"""Clips cut into one-second windows."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flow.basis import unfit
from flow.trajectory import trajectories
from flow.windows import Window, windows
from tests.flow.scenes import Layer, clip, square

LAYERS = [Layer(1), Layer(2, shift=(20, -10), within=square(80))]
TIMES = [5 + n / 10 for n in range(18)]
FRAMES = clip(LAYERS, [t - 5 for t in TIMES])


def cut(frames: list[NDArray] = FRAMES, times: list[float] = TIMES, **how: float) -> list[Window]:
    return list(windows(frames, times, **{"short_side": 80, **how}))  # type: ignore[arg-type]


def test_windows_start_every_stride_and_end_with_the_clip() -> None:
    found = cut(stride=0.3)
    assert [round(w.start - 5, 3) for w in found] == [0, 0.3, 0.6]
    for window, n in zip(found, (0, 3, 6), strict=True):
        np.testing.assert_array_equal(window.frame, FRAMES[n])
    assert [w.start for w in cut(stride=5)] == [5]


def test_a_window_is_the_fitted_trajectory_of_its_second() -> None:
    window = cut(stride=0.4)[1]
    alone = trajectories(FRAMES[4:15], TIMES[4:15], short_side=80)
    assert window.coefficients.shape == (5, 2, 10, 14)
    assert window.coefficients.dtype == window.confidence.dtype == np.float32
    apart = np.linalg.norm(unfit(window.coefficients) - alone.displacements, axis=-1)
    assert apart[:, alone.confidence[-1] > 0.5].mean() < 0.2
    np.testing.assert_allclose(window.confidence, alone.confidence.mean(0), rtol=1e-6)
    assert window.camera_static and window.steady
    assert window.inlier_ratio == alone.camera.inlier_ratio


def test_motion_tells_still_windows_from_lively_ones() -> None:
    still = cut([FRAMES[0]] * 11, TIMES[:11])[0]
    lively = cut()[0]
    assert still.motion < 0.05 < 1 < lively.motion < 22
    assert still.inlier_ratio == 1


def test_a_lost_cell_does_not_run_away() -> None:
    frames = clip([Layer(1, shift=(150, 0))], [t - 5 for t in TIMES])
    for window in cut(frames, stride=1):
        assert np.abs(unfit(window.coefficients)).max() < 300


def test_a_clip_in_chaos_is_not_steady() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (80, 104, 3), dtype=np.uint8) for _ in range(11)]
    assert not cut(noise, TIMES[:11])[0].steady


def test_k_sets_the_coefficients_and_a_short_clip_has_no_window() -> None:
    assert cut(k=3, stride=9)[0].coefficients.shape[0] == 3
    assert cut(FRAMES[:10], TIMES[:10]) == cut([], []) == []


def test_frames_are_read_as_they_are_needed() -> None:
    taken = []

    def stream() -> object:
        for frame in FRAMES:
            taken.append(frame)
            yield frame

    next(windows(stream(), TIMES, short_side=80))  # type: ignore[arg-type]
    assert len(taken) == 11


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="stride of 0"):
        cut(stride=0)
    with pytest.raises(ValueError, match="1 to 30"):
        cut(k=31)
    with pytest.raises(ValueError, match="increase"):
        cut(times=TIMES[::-1])
    with pytest.raises(ValueError, match="shorter"):
        cut(times=TIMES[:-1])
