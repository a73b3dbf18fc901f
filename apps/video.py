"""The only gate for video files: out come sRGB frames with their times, or one clear error."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from apps import boxes
from apps.containers import RefusedError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_BYTES = 256_000_000
MAX_PIXELS = 9_500_000  # of one frame as stored; 4K has 8.8 million
MAX_SIDE = 8192
MAX_SECONDS = 120
MAX_FRAMES = 7_200  # two minutes at 60 a second
MAX_DECODED = 8_000_000_000  # pixels of all frames as stored; a minute of full HD at 60 a second
MAX_MEMORY = 1_000_000_000  # bytes of the frames that are handed out

EXTENSIONS = frozenset((".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi"))

# Only these decoders are ever opened, by FFmpeg itself too when it looks into a file.
_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg")
_STRICT = {
    "codec_whitelist": ",".join((*_CODECS, "libdav1d")),
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "none",
    "enable_drefs": "0",  # a MOV may say that its pictures lie in another file
    "use_absolute_path": "0",
    "max_streams": "16",
    "max_pixels": str(MAX_PIXELS),
}


class VideoError(ValueError):
    """A video that cannot be used; the message is one sentence for the person who gave it."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A video, upright and in sRGB: frames uint8 `(T, H, W, 3)`, times float64 `(T,)`.

    Times are seconds since the first frame, strictly increasing; they need not be even.
    """

    frames: np.ndarray
    times: np.ndarray


def read(source: str | os.PathLike[str] | bytes, *, short_side: int | None = None) -> Clip:
    """Read a video from a path or the bytes of a file.

    MP4, MOV, WebM, MKV or AVI by content, whatever the name says, with H.264, H.265, VP8, VP9,
    AV1, MPEG-4 or MJPEG inside; at most 256 MB, 120 seconds, 7200 frames, 9.5 megapixels a frame
    and 1 GB of frames, checked before and while decoding. Nothing but the given bytes is ever
    opened. Rotation is applied, pixels are made square, and each frame keeps its own time, so
    variable frame rates are safe. Frames are shrunk, never enlarged, to `short_side` pixels as
    they are decoded: memory is then that of the small ones.

    Raises `VideoError`, and nothing else, for whatever cannot be read or has but one frame.

    Example:
        >>> read(b"#EXTM3U")
        Traceback (most recent call last):
        apps.video.VideoError: The file is no MP4, MOV, WebM, MKV or AVI inside: save it as MP4.
    """
    if short_side is not None and short_side < 1:
        raise ValueError(f"got short_side={short_side}, expected at least 1 pixel or None")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = path.name or str(path)
        with _open(path, name) as file:
            return _read(file, os.fstat(file.fileno()).st_size, name, short_side)
    if isinstance(source, bytes | bytearray | memoryview):
        return _read(io.BytesIO(source), len(source), "The file", short_side)
    raise VideoError(
        f"Got {type(source).__name__} where a video was expected: "
        "give a path or the bytes of a file."
    )


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a path is named like a video; nothing is opened.

    Example:
        >>> is_video("holiday/MOV_1.MP4"), is_video("list.m3u8")
        (True, False)
    """
    return Path(path).suffix.lower() in EXTENSIONS


def _open(path: Path, name: str) -> BinaryIO:
    try:
        if path.is_file():  # a pipe or a device would be read for ever
            return path.open("rb")
        missing = "is no file" if path.exists() else "does not exist"
    except (OSError, ValueError):
        missing = "cannot be opened"
    raise VideoError(f"{name} {missing}: give the path of a video that can be read.")


def _read(file: BinaryIO, size: int, name: str, short_side: int | None) -> Clip:
    try:
        if size > MAX_BYTES:
            raise RefusedError(f"has more than {MAX_BYTES // 10**6} MB: save it smaller")
        if not size:
            raise RefusedError("is empty: get the file anew")
        kind = boxes.recognise(file.read(16))
        boxes.check(kind, file, size)
        file.seek(0)
        return _decode(file, kind, short_side)
    except RefusedError as refused:
        raise VideoError(f"{name} {refused}.") from None
    except Exception:  # demuxers and decoders raise whatever they like
        raise VideoError(f"{name} is damaged or cut short: get the file anew.") from None


def _decode(file: BinaryIO, kind: str, short_side: int | None) -> Clip:
    import av  # heavy, and only needed where there are videos
    from av.stream import Discard

    with av.open(
        file, mode="r", format=kind, options=_STRICT, io_open=_never, metadata_errors="replace"
    ) as container:
        stream = _video_of(container)
        _check_header(container, stream)
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "AUTO"
        return _collect(_frames(container, stream), short_side, stream)


def _never(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a video may not open other files")


def _video_of(container: "InputContainer") -> "VideoStream":
    """The first video that is not the cover of a song."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            codec = stream.codec_context and stream.codec_context.codec.canonical_name
            if codec not in _CODECS:
                raise RefusedError(
                    f"is packed with {codec or 'an unknown codec'}, which is not read: "
                    "save it as MP4 with H.264"
                )
            return stream
    raise RefusedError("holds no moving picture: give a video")


def _check_header(container: "InputContainer", stream: "VideoStream") -> None:
    """Refuse by what the file says of itself, before anything is decoded."""
    _check_size(stream.codec_context.width, stream.codec_context.height)
    seconds = _declared_seconds(container, stream)
    if seconds is not None:
        _check_seconds(seconds)
    _check_count(stream.frames)


def _declared_seconds(container: "InputContainer", stream: "VideoStream") -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise RefusedError(f"has no pixels ({width} x {height}): get the file anew")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise RefusedError(
            f"is {width} x {height} pixels: at most {MAX_PIXELS / 1e6:g} megapixels and "
            f"{MAX_SIDE} pixels a side are read, make it smaller first"
        )


def _check_seconds(seconds: float) -> None:
    if seconds > MAX_SECONDS:
        raise RefusedError(
            f"lasts {seconds:.0f} s: at most {MAX_SECONDS} s are read, cut it first"
        )


def _check_count(count: int) -> None:
    if count > MAX_FRAMES:
        raise RefusedError(
            f"has more than {MAX_FRAMES} frames: at most so many are read, cut it first"
        )


def _frames(container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Decoded frames; what the container knows to be torn is an error, not a grey picture."""
    for packets, packet in enumerate(container.demux(stream)):
        if packet.is_corrupt or packets > 4 * MAX_FRAMES:
            raise ValueError("torn or endless packets")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise ValueError("torn frame")
            yield frame


def _collect(
    frames: Iterator["VideoFrame"], short_side: int | None, stream: "VideoStream"
) -> Clip:
    pixels = bytearray()  # grows in place: a list that is stacked at the end takes it all twice
    times: list[float] = []
    size, turns, start, decoded = (0, 0), 0, 0.0, 0
    for frame in frames:
        decoded += frame.width * frame.height
        _check_size(frame.width, frame.height)
        time = _time_of(frame)
        if not times:
            size, turns, start = (
                _target(frame, stream, short_side),
                round(frame.rotation / 90),
                time,
            )
        elif time - start <= times[-1]:
            continue  # shown for no time at all
        _check_seconds(time - start)
        _check_count(len(times) + 1)
        _check_work(decoded, len(pixels) + 3 * size[0] * size[1])
        small = frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        pixels += np.ascontiguousarray(np.rot90(small, turns)).data
        times.append(time - start)
    if len(times) < 2:
        raise RefusedError(
            f"has {len(times) or 'no'} frame{'s' * (not times)}: give a video of at least two"
        )
    width, height = size if turns % 2 == 0 else size[::-1]
    return Clip(
        np.frombuffer(pixels, np.uint8).reshape(-1, height, width, 3),
        np.array(times, np.float64),
    )


def _time_of(frame: "VideoFrame") -> float:
    stamp = frame.pts if frame.pts is not None else frame.dts
    if stamp is None or frame.time_base is None:
        raise ValueError("a frame without a time")
    return float(stamp * frame.time_base)


def _check_work(decoded: int, memory: int) -> None:
    if decoded > MAX_DECODED:
        raise RefusedError(
            f"has more than {MAX_DECODED // 10**9} thousand megapixels in all its frames: "
            "cut it or make it smaller first"
        )
    if memory > MAX_MEMORY:
        raise RefusedError(
            f"takes more than {MAX_MEMORY // 10**9} GB decoded: cut it or ask for a smaller size"
        )


def _target(frame: "VideoFrame", stream: Any, short_side: int | None) -> tuple[int, int]:
    """Width and height to decode to: pixels made square, the short side as asked at most."""
    width, height = float(frame.width), float(frame.height)
    shape = float(stream.sample_aspect_ratio or 1)
    if 1 / 4 < shape < 4:  # else it is nonsense
        width, height = (width * shape, height) if shape < 1 else (width, height / shape)
    scale = min(1.0, (short_side or MAX_SIDE) / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
