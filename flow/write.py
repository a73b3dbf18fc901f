"""Frames to files that play anywhere: GIF and MP4, as bytes."""

import io
from fractions import Fraction

import numpy as np
from PIL import Image

# Ordered dithering (Bayer 1973): the threshold depends on the place alone, so what is still in the
# frames is still in the file; error diffusion would let it shimmer.
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 - 15 / 32
DITHER = 12.0  # steps of 256 between the lowest and the highest threshold
SAMPLES = 8  # frames that the palette is made from


def encode_gif(frames: np.ndarray, *, fps: float = 30.0) -> bytes:
    """Encode frames as a GIF that loops for ever, with one palette of 256 colours for all.

    GIF counts hundredths of a second: frames last 0.03 or 0.04 s in turn at 30 a second, and never
    less than 0.02 s, which browsers would slow down. Equal frames in a row become one that lasts
    as long.

    Shapes: frames uint8 `(T, H, W, 3)`. Raises `ValueError`.

    Example:
        >>> encode_gif(np.zeros((2, 4, 6, 3), np.uint8))[:6]
        b'GIF89a'
    """
    _check(frames, fps)
    height, width = frames.shape[1:3]
    picked = frames[np.unique(np.linspace(0, len(frames) - 1, SAMPLES).astype(int))]
    thin = picked.reshape(-1, width, 3)[:: max(1, picked.size // 3_000_000)]  # rows are enough
    palette = Image.fromarray(thin).quantize(255, Image.Quantize.MEDIANCUT)
    shift = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None] * DITHER
    shift = np.rint(shift).astype(np.int16)
    images = [
        Image.fromarray(np.clip(frame + shift, 0, 255).astype(np.uint8)).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for frame in frames
    ]
    ends = np.rint(np.arange(len(frames) + 1) * max(100 / fps, 2)).astype(int)  # in hundredths
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=(np.diff(ends) * 10).tolist(),
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def encode_mp4(frames: np.ndarray, *, fps: float = 30.0) -> bytes:
    """Encode frames as an MP4 that every browser plays: H.264, 4:2:0, BT.709, no sound.

    Odd sizes are made even by repeating the last row or column.

    Shapes: frames uint8 `(T, H, W, 3)`. Raises `ValueError`.

    Example:
        >>> encode_mp4(np.zeros((2, 4, 6, 3), np.uint8))[4:8]
        b'ftyp'
    """
    import av  # heavy, and only needed here
    from av.video.reformatter import ColorRange, Colorspace

    _check(frames, fps)
    height, width = frames.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "veryfast"}
        context = stream.codec_context
        # Untagged colours are guessed by size, differently from player to player.
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = ColorRange.MPEG
        for frame in frames:
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def _check(frames: np.ndarray, fps: float) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not frames.size:
        raise ValueError(
            f"got frames {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3) with T >= 1"
        )
    if not 0 < fps <= 240:
        raise ValueError(f"got fps={fps}, expected more than 0 and at most 240 frames a second")
