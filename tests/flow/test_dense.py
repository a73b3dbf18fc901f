"""Flow of two drawn frames, and when it is not to be trusted."""

import numpy as np
import pytest

from flow.dense import dense_flow, flow_between, inside, prepare, sample, texture, working_size
from tests.flow.scenes import CENTRE, HEIGHT, WIDTH, Layer, clip, frame_points, square


@pytest.mark.parametrize("side", [160, 240])
def test_a_shift_is_seen_in_pixels_of_the_input(side: int) -> None:
    first, second = clip([Layer(0, shift=(4, -3))], [0, 1])
    motion, confidence = dense_flow(first, second, short_side=side)
    assert motion.shape == (HEIGHT, WIDTH, 2) and confidence.shape == (HEIGHT, WIDTH)
    assert motion.dtype == confidence.dtype == np.float32
    middle = motion[20:-20, 20:-20]
    assert np.abs(middle - [4, -3]).mean() < 0.2
    assert confidence[20:-20, 20:-20].mean() > 0.9


def test_a_larger_picture_has_larger_motion() -> None:
    first, second = (np.kron(f, np.ones((3, 2, 1), np.uint8)) for f in _pair())
    motion = dense_flow(first, second, short_side=160).motion
    assert motion.shape[:2] == (3 * HEIGHT, 2 * WIDTH)
    np.testing.assert_allclose(np.median(motion, (0, 1)), [2 * 4, 3 * -3], atol=0.5)


def _pair() -> list[np.ndarray]:
    return clip([Layer(0, shift=(4, -3))], [0, 1])


def test_confidence_falls_where_something_is_covered() -> None:
    layers = [Layer(0), Layer(1, shift=(7, 0), within=square(60))]
    motion, confidence = dense_flow(*clip(layers, [0, 1]), short_side=160)
    x = frame_points()[..., 0] - CENTRE[0]
    rows = abs(frame_points()[..., 1] - CENTRE[1]) < 20
    covered = rows & (x > 31) & (x < 36)  # background that the square slides over
    assert confidence[covered].mean() < 0.5 < 0.95 < confidence[rows & (x < -50)].mean()
    assert np.abs(motion[rows & (abs(x) < 15)] - [7, 0]).mean() < 0.5


def test_what_leaves_the_frame_is_not_trusted() -> None:
    flow = dense_flow(*clip([Layer(0, shift=(12, 0))], [0, 1]), short_side=160)
    assert flow.confidence[30:-30, -8:].max() < 0.5
    assert not inside(np.array([[-1.0, 3], [5, 5.6], [4.6, 0]]), 6, 5).any()


def test_the_working_frame_has_whole_cells_and_the_aspect_of_the_input() -> None:
    for size in ((480, 640), (1080, 1920), (333, 100), (160, 214)):
        found = working_size(*size, 160)
        assert min(found) == 160 and found[0] % 8 == found[1] % 8 == 0
        assert abs(found[1] / found[0] * size[0] / size[1] - 1) < 4.1 / 160
    assert prepare(np.zeros((90, 60, 3), np.uint8), 64).shape == (96, 64)


def test_texture_is_low_on_walls_and_along_edges() -> None:
    grey = prepare(clip([Layer(0)], [0])[0], 160)
    assert texture(grey).mean() > 0.9
    edges = np.tile(grey[80], (160, 1))
    noise = np.random.default_rng(0).normal(128, 3, (160, 216, 3)).astype(np.uint8)
    assert texture(edges).max() < 0.01 and texture(prepare(noise, 160)).mean() < 0.2


def test_sampling_is_linear_and_goes_on_beyond_the_edge() -> None:
    y, x = np.mgrid[:6, :9].astype(np.float32)
    plane = np.stack([x, 2 * y - x], -1)
    points = np.array([[[2.25, 3.5], [20, -4]]], np.float32)
    expected = np.array([[2.25, 4.75], [8, -8]])
    np.testing.assert_allclose(sample(plane, points)[0], expected, atol=0.04)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((20, 20, 3)),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((4, 20, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame: np.ndarray) -> None:
    good = np.zeros((20, 20, 3), np.uint8)
    for pair in ((frame, good), (good, frame)):
        with pytest.raises(ValueError, match="uint8 RGB"):
            dense_flow(*pair)


def test_frames_of_two_sizes_and_odd_working_sizes_are_refused() -> None:
    small, large = (np.zeros((n, n, 3), np.uint8) for n in (64, 72))
    with pytest.raises(ValueError, match="one size"):
        dense_flow(small, large)
    with pytest.raises(ValueError, match="one size"):
        flow_between(small[..., 0], large[..., 0])
    for side in (8, 100, -160):
        with pytest.raises(ValueError, match="multiple of 8"):
            prepare(small, side)
