"""Dense flow of two frames, and how far to trust it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 240  # of the working frame, in which motion is measured
CELL = 8  # pixels of the working frame; its sides are multiples of it
BLUR = 1.5  # σ in working pixels: on noisy, compressed sequences less drift than 0 or 1
RELATIVE, ABSOLUTE = 0.01, 0.5  # tolerance of the round trip, Sundaram et al. (2010), Eq. 5
NOISE = 1.0  # grey levels per pixel, three times what noise of σ = 3 leaves after the blur


class Flow(NamedTuple):
    """Motion `(h, w, 2)` in x and y from one frame to the next, confidence `(h, w)` in [0, 1]."""

    motion: NDArray[np.float32]
    confidence: NDArray[np.float32]


def check_frame(frame: NDArray[np.uint8]) -> None:
    """Raise a ValueError unless it is a uint8 RGB frame `(H, W, 3)` of at least 8 × 8 pixels."""
    kind = getattr(frame, "dtype", type(frame).__name__)
    shape = np.shape(frame)
    if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) < 8:
        raise ValueError(
            f"got a frame {shape} of {kind}, expected uint8 RGB (H, W, 3) of at least 8 x 8"
        )


def working_size(height: int, width: int, short_side: int = SHORT_SIDE) -> tuple[int, int]:
    """Height and width of the frame in which motion is measured, both multiples of 8.

    The short side is as asked, the long one follows the aspect, rounded to whole cells.

    Example:
        >>> working_size(480, 640), working_size(1920, 1080, 160)
        ((240, 320), (288, 160))
    """
    if short_side < 64 or short_side % CELL:
        raise ValueError(f"got a short side of {short_side}, expected a multiple of {CELL} >= 64")
    scale = short_side / min(height, width)
    first, second = (max(1, round(side * scale / CELL)) * CELL for side in (height, width))
    return first, second


def prepare(frame: NDArray[np.uint8], short_side: int = SHORT_SIDE) -> NDArray[np.uint8]:
    """The blurred grey working frame `(h, w)` of an RGB frame `(H, W, 3)`: what flow is read from.

    Example:
        >>> prepare(np.zeros((480, 640, 3), np.uint8)).shape
        (240, 320)
    """
    check_frame(frame)
    height, width = working_size(frame.shape[0], frame.shape[1], short_side)
    shrinks = height * width < frame.shape[0] * frame.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (width, height), interpolation=way)
    return cv2.GaussianBlur(grey, (0, 0), BLUR).astype(np.uint8, copy=False)


def flow_between(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Flow:
    r"""Flow of two prepared frames in working pixels, with its round trip as confidence.

    .. math:: c = 2^{-e / (0.01 (|f|^2 + |b|^2) + 0.5)}, \quad e = |f(p) + b(p + f(p))|^2

    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, medium preset. The
    confidence is 1/2 where Sundaram et al., "Dense point trajectories by GPU-accelerated large
    displacement optical flow", 2010, call a point occluded, and 0 where it leaves the frame.

    Shapes: grey uint8 `(h, w)` twice, from `prepare` -> `(h, w, 2)` and `(h, w)`.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        >>> first, second = (prepare(np.roll(noise, k, 1), 80) for k in (0, 3))
        >>> np.median(flow_between(first, second).motion, (0, 1)).round() + 0.0
        array([3., 0.], dtype=float32)
    """
    if first.shape != second.shape:
        raise ValueError(f"got frames {first.shape} and {second.shape}, expected one size")
    height, width = first.shape
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # None, which the stubs do not know: an array given here is where the search starts
    there = np.asarray(search.calc(first, second, None), np.float32)  # type: ignore[call-overload]
    back = np.asarray(search.calc(second, first, None), np.float32)  # type: ignore[call-overload]
    end = there + pixels(height, width)
    home = sample(back, end)
    error = np.square(there + home).sum(-1)
    allowed = RELATIVE * (np.square(there).sum(-1) + np.square(home).sum(-1)) + ABSOLUTE
    return Flow(there, np.exp2(-error / allowed) * inside(end, height, width))


def dense_flow(
    first: NDArray[np.uint8], second: NDArray[np.uint8], *, short_side: int = SHORT_SIDE
) -> Flow:
    """Flow of two RGB frames in pixels of these frames, at their resolution.

    It is measured in a working frame of the given short side (160 to 240 is sensible): finer
    detail than its pixels is not seen.

    Shapes: uint8 `(H, W, 3)` twice -> motion `(H, W, 2)`, confidence `(H, W)`.

    Example:
        >>> still = np.zeros((96, 128, 3), np.uint8)
        >>> dense_flow(still, still).motion.shape
        (96, 128, 2)
    """
    check_frame(first)
    check_frame(second)
    if first.shape != second.shape:
        raise ValueError(f"got frames {first.shape} and {second.shape}, expected one size")
    flow = flow_between(prepare(first, short_side), prepare(second, short_side))
    (height, width), (h, w) = first.shape[:2], flow.confidence.shape
    motion, confidence = (
        np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for field in flow
    )
    return Flow(motion * np.array([width / w, height / h], np.float32), confidence)


def texture(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    r"""How well motion can be told at every pixel of a prepared frame: 0 is flat, 1 textured.

    .. math:: \lambda / (\lambda + \nu^2)

    with λ the smaller eigenvalue of the mean gradient tensor over a cell, Shi and Tomasi, "Good
    features to track", 1994: along a straight edge motion is as unknown as on a wall. ν is 1 grey
    level per pixel.

    Shapes: `(h, w)` -> `(h, w)`.

    Example:
        >>> texture(np.full((80, 80), 7, np.uint8)).max()
        np.float32(0.0)
    """
    level = grey.astype(np.float32)
    dx, dy = (cv2.Sobel(level, cv2.CV_32F, *d, ksize=3, scale=1 / 8) for d in ((1, 0), (0, 1)))
    xx, yy, xy = (cv2.blur(p, (2 * CELL, 2 * CELL)) for p in (dx * dx, dy * dy, dx * dy))
    smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    smaller = np.maximum(smaller, 0)  # where rounding has made it negative
    return np.asarray(smaller / (smaller + NOISE**2), np.float32)


def pixels(height: int, width: int) -> NDArray[np.float32]:
    """x and y of every pixel, `(height, width, 2)`; the centre of the first is at (0, 0).

    Example:
        >>> pixels(2, 3)[1, 2]
        array([2., 1.], dtype=float32)
    """
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    return np.stack(np.meshgrid(x, y), -1)


def sample(field: NDArray, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """A field at points between pixels, bilinear; beyond its edge it goes on unchanged.

    Shapes: field `(h, w)` or `(h, w, C)`, points x and y `(a, b, 2)` -> `(a, b)` or `(a, b, C)`.

    Example:
        >>> sample(np.float32([[0, 1], [2, 3]]), np.float32([[[0.5, 0.5], [9, 0]]]))
        array([[1.5, 1. ]], dtype=float32)
    """
    x, y = np.ascontiguousarray(points[..., 0]), np.ascontiguousarray(points[..., 1])
    found = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def inside(points: NDArray[np.float32], height: int, width: int) -> NDArray[np.bool_]:
    """Whether points x and y `(..., 2)` lie in a frame, by the edge of its outermost pixels.

    Example:
        >>> inside(np.float32([[0, 0], [9.4, 0], [9.6, 0]]), 5, 10)
        array([ True,  True, False])
    """
    x, y = points[..., 0], points[..., 1]
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
