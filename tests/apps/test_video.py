"""The gate for videos: the same frames and times from every container, and hostile files."""

import io
import re
import struct
import time
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from apps import video
from apps.video import MAX_BYTES, Clip, VideoError, is_video, read
from tests.apps.no_files import refuses_what_is_no_file

KINDS = {  # what phones, cameras, browsers and data sets hold
    "mp4": ("mp4", "libx264", {}),
    "fragments": ("mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": ("mov", "mjpeg", {}),
    "webm": ("webm", "libvpx-vp9", {}),
    "mkv": ("matroska", "libx264", {}),
    "avi": ("avi", "mpeg4", {}),
}


def scene(steps: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth frames that differ by time and whose corners differ."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    frames = [np.dstack((red, green, np.full_like(red, 16 * t))) for t in range(steps)]
    return np.stack(frames).round().astype(np.uint8)


def encoded(
    kind: str = "mp4",
    frames: np.ndarray | None = None,
    *,
    times: list[int] | None = None,
    rotation: int | None = None,
    codec: str | None = None,
    container: str | None = None,
    aspect: Fraction | None = None,
) -> bytes:
    """A video of frames at 25 a second or at given milliseconds."""
    form, usual, options = KINDS[kind]
    codec = codec or usual
    frames = scene() if frames is None else frames
    file = io.BytesIO()
    with av.open(file, "w", format=container or form, options=options) as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return file.getvalue()


FILES = {kind: encoded(kind) for kind in KINDS}


def clip_or_error(source: bytes | Path) -> Clip | None:
    """The promise of the gate: a sound clip, or `VideoError` with one clear sentence."""
    try:
        clip = read(source)
    except VideoError as error:
        text = str(error)
        assert text.endswith(".") and "\n" not in text and len(text) < 200
        assert re.search(r": (get|give|save|cut|make|at most)", text), text
        assert error.__cause__ is None and (error.__suppress_context__ or not error.__context__)
        return None
    assert clip.frames.dtype == np.uint8 and clip.frames.ndim == 4 and clip.frames.shape[3] == 3
    assert clip.times.dtype == np.float64 and clip.times.shape == clip.frames.shape[:1]
    assert len(clip.times) >= 2 and clip.times[0] == 0 and (np.diff(clip.times) > 0).all()
    return clip


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_gives_the_same_frames_and_times(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"  # whatever the name says
    path.write_bytes(FILES[kind])
    for source in (FILES[kind], path, str(path)):
        clip = read(source)
        assert clip.frames.shape == (12, 48, 64, 3)
        assert np.allclose(clip.times, np.arange(12) / 25, atol=1e-3)
        assert np.abs(clip.frames.astype(int) - scene()).mean() < 8
    assert clip.frames.flags.writeable


def test_variable_frame_rates_keep_their_times() -> None:
    times = np.cumsum([0, 20, 60, 35, 200, 17, 33, 33, 90, 40, 41, 5]).tolist()
    for kind in ("mp4", "mkv"):
        clip = read(encoded(kind, times=[900 + t for t in times]))
        assert np.allclose(clip.times, np.array(times) / 1000, atol=1e-3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_applied(rotation: int) -> None:
    """The file says by how much to turn, counter-clockwise, what the camera stored."""
    clip = read(encoded(rotation=rotation))
    upright = np.rot90(scene(), rotation // 90, axes=(1, 2)).astype(int)
    assert clip.frames.shape == upright.shape
    assert np.abs(clip.frames - upright).mean() < 8


def test_frames_shrink_as_they_are_decoded_and_never_grow() -> None:
    frames = scene(4, 96, 160)
    data = encoded(frames=frames)
    small = read(data, short_side=24).frames
    assert small.shape == (4, 24, 40, 3)
    expected = frames.reshape(4, 24, 4, 40, 4, 3).mean((2, 4))
    assert np.abs(small - expected).mean() < 8
    assert read(data, short_side=500).frames.shape == frames.shape
    assert read(encoded(frames=frames, rotation=90), short_side=24).frames.shape == (4, 40, 24, 3)
    large = encoded(frames=np.repeat(scene(1, 240, 320), 30, 0))
    tracemalloc.start()
    read(large, short_side=16)
    assert tracemalloc.get_traced_memory()[1] < 10 * 240 * 320 * 3
    tracemalloc.stop()
    with pytest.raises(ValueError, match="short_side=0"):
        read(data, short_side=0)


def test_pixels_come_out_square() -> None:
    assert read(encoded(aspect=Fraction(1, 2))).frames.shape == (12, 48, 32, 3)
    assert read(encoded(aspect=Fraction(2, 1))).frames.shape == (12, 24, 64, 3)
    assert read(encoded(aspect=Fraction(200, 1))).frames.shape == (12, 48, 64, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_at_each_tenth(kind: str, tmp_path: Path) -> None:
    data = FILES[kind]
    for tenth in range(10):
        path = tmp_path / str(tenth)
        path.write_bytes(data[: len(data) * tenth // 10])
        assert clip_or_error(path) is None
        with pytest.raises(VideoError, match=r"damaged|empty"):
            read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_bytes(kind: str) -> None:
    """Headers are where the harm is, so half of the changes are made there."""
    rng = np.random.default_rng(0)
    for trial in range(12):
        data = bytearray(FILES[kind])
        for place in rng.integers(0, 600 if trial % 2 else len(data), 4):
            data[place : place + 2] = rng.bytes(2)
        clip_or_error(bytes(data))


def test_random_bytes() -> None:
    rng = np.random.default_rng(0)
    starts = [b"", b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF\xff\0\0\0AVI LIST"]
    for start in starts:
        for length in (0, 1, 4, 30, 5000):
            assert clip_or_error(start + rng.bytes(length)) is None


def test_what_is_no_video_that_is_read(tmp_path: Path) -> None:
    """Playlists above all: FFmpeg would follow them into files and networks."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(FILES["mp4"])
    name = str(secret).encode()
    playlists = [
        b"ffconcat version 1.0\nfile '" + name + b"'\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n" + name + b"\n#EXT-X-ENDLIST\n",
        b'<?xml version="1.0"?><MPD><BaseURL>http://localhost/a.mp4</BaseURL></MPD>',
        b"v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    ]
    others = [
        encoded(container="mpegts"),
        encoded(container="flv"),
        b"GIF89a" + bytes(99),
        b"RIFF\x10\0\0\0WAVEfmt " + bytes(99),
        b"text\n" * 9,
        bytes(200),
    ]
    for data in (*playlists, *others):
        path = tmp_path / "clip.mp4"
        path.write_bytes(data)
        for source in (path, data):
            with pytest.raises(VideoError, match="is no MP4, MOV, WebM, MKV or AVI inside"):
                read(source)


def test_other_codecs_other_streams_and_single_frames() -> None:
    with pytest.raises(VideoError, match=r"packed with .*which is not read: save it as MP4"):
        read(encoded("mkv", codec="ffv1"))
    with pytest.raises(VideoError, match="has 1 frame"):
        read(encoded(frames=scene(1)))
    with pytest.raises(VideoError, match=r"damaged|empty|no frames"):
        read(encoded(frames=np.zeros((0, 48, 64, 3), np.uint8)))
    sound = io.BytesIO()
    with av.open(sound, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        out.mux(stream.encode(silence))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match="holds no moving picture"):
        read(sound.getvalue())


def patched(data: bytes, kind: bytes, *fields: tuple[int, int]) -> bytes:
    """A file of which 32-bit fields of one table, counted from its name, are written over."""
    changed = bytearray(data)
    start = data.index(kind)
    for offset, value in fields:
        struct.pack_into(">I", changed, start + offset, value)
    return bytes(changed)


def claims(samples: int) -> bytes:
    """A small file whose tables claim many samples of one byte, all in one chunk."""
    data = patched(FILES["mp4"], b"stsz", (8, 1), (12, samples))
    data = patched(data, b"stts", (8, 1), (12, samples), (16, 1))
    return patched(data, b"stsc", (8, 1), (12, 1), (16, samples), (20, 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (claims(10**8), r"claims \d+ frames and pieces"),
        (claims(9_000), "frames|lasts|damaged"),
        (patched(FILES["fragments"], b"trun", (4, 1), (8, 10**8)), "claims"),
        (encoded("mkv", scene(2), times=[0, 500_000]), "lasts"),
        (encoded(frames=np.zeros((2, 3200, 3200, 3), np.uint8)), "is 3200 x 3200 pixels: at most"),
        (encoded(frames=np.zeros((2, 16, 8208, 3), np.uint8)), "is 8208 x 16 pixels: at most"),
        (patched(FILES["mp4"], b"moov", (-4, 2**31 - 1)), "damaged"),
    ],
    ids=["table", "table of few", "fragment", "length", "pixels", "side", "box"],
)
def test_bombs_are_refused_quickly(data: bytes, reason: str) -> None:
    start = time.process_time()
    with pytest.raises(VideoError, match=reason):
        read(data)
    assert time.process_time() - start < 5  # without the check of tables: minutes


def test_ceilings_hold_while_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a file does not declare, or lies about, is counted."""
    live = encoded("mkv", times=[0, 40, 80, 2_000, *range(3_000, 3_008)])
    for name, value, reason in (
        ("MAX_SECONDS", 1, "lasts"),
        ("MAX_FRAMES", 5, "more than 5 frames"),
        ("MAX_DECODED", 5 * 48 * 64, "megapixels in all"),
        ("MAX_MEMORY", 5 * 48 * 64 * 3, "GB decoded"),
        ("MAX_PIXELS", 48 * 63, "64 x 48 pixels"),
        ("MAX_BYTES", 1000, "MB: save it smaller"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(video, name, value)
            with pytest.raises(VideoError, match=reason):
                read(live)
    assert clip_or_error(live) is not None


def test_what_is_no_file(tmp_path: Path) -> None:
    refuses_what_is_no_file(read, VideoError, tmp_path, suffix=".mp4", most=MAX_BYTES)


def test_names() -> None:
    assert is_video("a/B.MOV") and is_video(Path("c.webm"))
    assert not is_video("a.m3u8") and not is_video("mp4")
