"""Animations as files: what is read back is what was written."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from flow.write import encode_gif, encode_mp4


def clip(steps: int = 7, height: int = 36, width: int = 52) -> np.ndarray:
    """A smooth ground with a square that moves two pixels a step."""
    y, x = np.mgrid[0:height, 0:width]
    ground = np.dstack((4 * x, 6 * y, 200 - 2 * x - 2 * y)).astype(np.uint8)
    frames = np.repeat(ground[None], steps, 0)
    for step, frame in enumerate(frames):
        frame[10:20, 2 * step : 2 * step + 10] = (250, 240, 20)
    return frames


def read_gif(data: bytes) -> tuple[np.ndarray, list[int], Image.Image]:
    image = Image.open(io.BytesIO(data), formats=("GIF",))
    frames, durations = [], []
    for index in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(index)
        frames.append(np.asarray(image.convert("RGB")))
        durations.append(image.info["duration"])
    return np.stack(frames), durations, image


def test_a_gif_has_the_frames_the_colours_and_loops_for_ever() -> None:
    frames = clip()
    read, _, image = read_gif(encode_gif(frames))
    assert read.shape == frames.shape
    assert image.info["loop"] == 0
    error = np.abs(read.astype(int) - frames)
    assert error.mean() < 5 and np.percentile(error, 99) < 25
    assert abs(error.max(-1)[:, 10:20, :10].mean()) < 25
    mean = (read.astype(float) - frames).mean((0, 1, 2))
    assert np.abs(mean).max() < 1.5  # the dither is even


def test_gif_times_add_up_where_hundredths_do_not_suffice() -> None:
    for fps, seconds in ((30.0, 7 / 30), (24.0, 7 / 24), (10.0, 0.7), (200.0, 0.14)):
        _, durations, _ = read_gif(encode_gif(clip(), fps=fps))
        assert len(durations) == 7
        assert abs(sum(durations) / 1000 - seconds) <= 0.006
        assert min(durations) >= 20


def test_what_is_still_is_still_in_a_gif() -> None:
    """No dither that crawls: the ground keeps its bytes from frame to frame."""
    read, _, _ = read_gif(encode_gif(clip()))
    assert (read[:, 22:] == read[0, 22:]).all()
    assert (read[:, :, 24:] == read[0, :, 24:]).all()


@pytest.mark.parametrize("size", [(36, 52), (35, 51), (1, 1), (33, 52)])
def test_an_mp4_has_the_frames_the_times_and_the_colours(size: tuple[int, int]) -> None:
    frames = clip(7, *size)
    with av.open(io.BytesIO(encode_mp4(frames, fps=30)), "r") as container:
        stream = container.streams.video[0]
        decoded = list(container.decode(stream))
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
    height, width = size[0] + size[0] % 2, size[1] + size[1] % 2
    read = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
    assert read.shape == (7, height, width, 3)
    assert np.allclose([frame.time for frame in decoded], np.arange(7) / 30, atol=1e-3)
    error = read[:, : size[0], : size[1]].astype(int) - frames
    assert np.abs(error).mean() < 8
    assert np.abs(error.mean((0, 1, 2))).max() < 4


def test_an_mp4_says_what_its_colours_mean() -> None:
    """Saturated colours differ by far between BT.601 and BT.709, between full and video range."""
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]])
    frames = np.repeat(colours.astype(np.uint8)[:, None, None], 32, 1).repeat(32, 2)
    with av.open(io.BytesIO(encode_mp4(frames, fps=5)), "r") as container:
        stream = container.streams.video[0]
        read = [f.to_ndarray(format="rgb24")[16, 16] for f in container.decode(stream)]
        context = stream.codec_context
        tags = context.colorspace, context.color_primaries, context.color_trc, context.color_range
    assert np.abs(np.stack(read).astype(int) - colours).max() <= 8
    assert tuple(map(int, tags)) == (1, 1, 1, 1)


@pytest.mark.parametrize("encode", [encode_gif, encode_mp4])
def test_one_frame_will_do_and_what_is_no_animation_is_refused(encode) -> None:  # type: ignore[no-untyped-def]
    assert len(encode(clip(1))) > 100
    for frames in (clip()[0], clip().astype(float), clip()[..., :2], clip()[:0]):
        with pytest.raises(ValueError, match="expected uint8"):
            encode(frames)
    for fps in (0.0, -1.0, float("nan"), 1e6):
        with pytest.raises(ValueError, match="fps"):
            encode(clip(), fps=fps)
