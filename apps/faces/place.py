"""Where a face lies in a photo: cut it out as the models see faces, and put an edit back."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from apps.faces.frame import SIZE, Crop

# Where the training frame has the eyes and the mouth, in shares of its side: read off the mean
# dark spots of CelebA's training faces. Left is left in the picture.
LEFT_EYE, RIGHT_EYE, MOUTH = (0.382, 0.443), (0.618, 0.443), (0.5, 0.692)

_TILE = 1024  # pixels: what is lifted at once, which bounds memory for huge photos
_SHRINK = 8  # up to here the photo is sampled at its own resolution, beyond it is shrunk first


@dataclass(frozen=True)
class Frame:
    r"""A square on a photo, turned with the face in it.

    The point at shares $(u, v)$ of the frame lies at $(x, y) + s R(\rho) (u - ½, v - ½)$ with
    side s and roll ρ. Photo coordinates are edges, not centres, of pixels: the photo spans
    [0, W] × [0, H], y runs down, and positive roll turns the face clockwise as seen.

    Args:
        x, y: centre in pixels of the photo; it may lie outside.
        side: in pixels of the photo, above 0.
        roll: in radians.

    Raises:
        ValueError: a number is not finite, or the side is not positive.

    Example:
        >>> Frame(50, 40, 20).points([(0, 0), (1, 1)]).tolist()
        [[40.0, 30.0], [60.0, 50.0]]
    """

    x: float
    y: float
    side: float
    roll: float = 0.0

    def __post_init__(self) -> None:
        if not (all(map(math.isfinite, (self.x, self.y, self.side, self.roll))) and self.side > 0):
            raise ValueError(f"got {self}, expected finite numbers and a side above 0")

    @classmethod
    def from_box(cls, x0: float, y0: float, x1: float, y1: float) -> "Frame":
        """The upright square around a box that somebody dragged, from any corner to the opposite.

        Example:
            >>> Frame.from_box(30, 10, 10, 20)
            Frame(x=20.0, y=15.0, side=20, roll=0.0)
        """
        wide, high = abs(x1 - x0), abs(y1 - y0)
        if not (math.isfinite(wide + high) and min(wide, high) >= 1):
            raise ValueError(
                f"Got a box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}): "
                "drag one of at least one pixel each way around the face."
            )
        return cls((x0 + x1) / 2, (y0 + y1) / 2, max(wide, high))

    @classmethod
    def from_crop(cls, crop: Crop, height: int, width: int) -> "Frame":
        """What a set's constant crop is in a picture of that size.

        Example:
            >>> Frame.from_crop(Crop(side=0.5), 100, 120)
            Frame(x=60.0, y=50.0, side=50.0, roll=0.0)
        """
        short = min(height, width)
        x, y = (width - short) / 2 + crop.x * short, (height - short) / 2 + crop.y * short
        return cls(x, y, crop.side * short, crop.angle)

    def points(self, shares: np.ndarray | Sequence[tuple[float, float]]) -> np.ndarray:
        """Photo coordinates `(N, 2)` of points given in shares of the frame, `(N, 2)`."""
        return (np.asarray(shares, float) - 0.5) @ self._turn().T * self.side + (self.x, self.y)

    def matrix(self, size: int = SIZE) -> np.ndarray:
        """Pixel centres of the frame at `size` × `size` to pixel centres of the photo, `(2, 3)`.

        As OpenCV takes it, which counts from the centre of the first pixel.
        """
        linear = self._turn() * (self.side / size)
        middle = np.full(2, (size - 1) / 2)
        return np.column_stack((linear, (self.x - 0.5, self.y - 0.5) - linear @ middle))

    def shift(self, dx: float, dy: float) -> "Frame":
        """The same frame in a photo with so many more pixels to its left and top."""
        return replace(self, x=self.x + dx, y=self.y + dy)

    def scale(self, factor: float) -> "Frame":
        """The same frame in the photo made `factor` times as large."""
        return Frame(self.x * factor, self.y * factor, self.side * factor, self.roll)

    def mirror(self, width: float) -> "Frame":
        """The same frame in the photo of that width seen in a mirror."""
        return replace(self, x=width - self.x, roll=-self.roll)

    def within(self, outer: "Frame", size: int) -> "Frame":
        """This frame, given in pixels of `outer` cut at `size`, in pixels of the photo."""
        ((x, y),) = outer.points([(self.x / size, self.y / size)])
        return Frame(x, y, self.side * outer.side / size, outer.roll + self.roll)

    def _turn(self) -> np.ndarray:
        c, s = math.cos(self.roll), math.sin(self.roll)
        return np.array([[c, -s], [s, c]])


def cut(pixels: np.ndarray, frame: Frame, size: int = SIZE) -> np.ndarray:
    """Cut a frame out of a photo, upright and without aliasing; beyond the photo its edge goes on.

    Shapes: pixels uint8 `(H, W, 3)` -> uint8 `(size, size, 3)`.

    Example:
        >>> photo = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)
        >>> np.array_equal(cut(photo, Frame(32, 32, 64)), photo)
        True
    """
    _check(pixels, "pixels")
    (top, bottom), (left, right) = _window(frame, pixels.shape, margin=4)
    pixels, frame = pixels[top:bottom, left:right], frame.shift(-left, -top)
    factor = int(frame.side / size / _SHRINK)
    if factor > 1:
        pixels, frame = _shrink(pixels, factor), frame.scale(1 / factor)
    # samples per pixel and direction: at least three where it shrinks, as fewer blur or alias
    finer = max(3, math.ceil(frame.side / size - 1e-6)) if frame.side > size else 1
    warped = cv2.warpAffine(
        pixels,
        frame.matrix(size * finer),
        (size * finer, size * finer),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return warped if finer == 1 else cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)


def paste(pixels: np.ndarray, frame: Frame, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Put an edit of a frame back into the photo it was cut from.

    Only the change, after - before, is lifted to the photo's size and added, fading out towards
    the border of the frame: the photo keeps its own detail, and every byte that nothing changed.

    Shapes: pixels uint8 `(H, W, 3)`, before and after uint8 `(n, n, 3)` -> uint8 `(H, W, 3)`.

    Example:
        >>> photo = np.full((80, 90, 3), 100, np.uint8)
        >>> face = cut(photo, Frame(45, 40, 32))
        >>> edited = paste(photo, Frame(45, 40, 32), face, face + 50)
        >>> edited[40, 45].tolist(), edited[0, 0].tolist()
        ([150, 150, 150], [100, 100, 100])
    """
    for name, array in (("pixels", pixels), ("before", before), ("after", after)):
        _check(array, name)
    size = len(before)
    if before.shape != (size, size, 3) or after.shape != before.shape:
        raise ValueError(
            f"got before {before.shape} and after {after.shape}, expected squares of one size"
        )
    change = (after.astype(np.float32) - before.astype(np.float32)) * _feather(size)
    if frame.side < size:  # the change has more detail than the photo can hold
        size = math.ceil(frame.side)
        change = cv2.resize(change, (size, size), interpolation=cv2.INTER_AREA)
    matrix = frame.matrix(size)
    out = pixels.copy()
    rows, columns = _window(frame, pixels.shape, margin=0)
    for top, left in itertools.product(range(*rows, _TILE), range(*columns, _TILE)):
        tile = out[top : min(top + _TILE, rows[1]), left : min(left + _TILE, columns[1])]
        lifted = cv2.warpAffine(
            change,
            matrix - [[0, 0, left], [0, 0, top]],
            (tile.shape[1], tile.shape[0]),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0),
        )
        tile[:] = (tile + np.rint(lifted)).clip(0, 255).astype(np.uint8)
    return out


def _check(array: np.ndarray, name: str) -> None:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise ValueError(f"got {name} {array.dtype} {array.shape}, expected uint8 (H, W, 3)")


def smoothstep(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """From 0 at `low` to 1 at `high`, level at both ends.

    Example:
        >>> smoothstep(np.array([0.0, 2.0, 3.0, 4.0, 9.0]), 2, 4).tolist()
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    t = ((x - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def _feather(size: int, *, width: float = 0.15) -> np.ndarray:
    """Weights `(size, size, 1)`: 1 inside, falling smoothly to 0 at the border."""
    place = (np.arange(size) + 0.5) / size
    line = smoothstep(np.minimum(place, 1 - place), 0, width)
    return np.outer(line, line)[..., None].astype(np.float32)


def _window(
    frame: Frame, shape: tuple[int, ...], *, margin: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns of the photo that the frame covers; the nearest where it covers none."""
    corners = frame.points([(0, 0), (0, 1), (1, 0), (1, 1)])
    low, high = corners.min(0) - margin, corners.max(0) + margin
    spans = []
    for axis, length in ((1, shape[0]), (0, shape[1])):
        start = min(max(math.floor(low[axis]), 0), length - 1)
        stop = max(min(math.ceil(high[axis]), length), start + 1)
        spans.append((start, stop))
    return spans[0], spans[1]


def _shrink(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` × `factor`; a rest at the edge is filled with the edge."""
    h, w = pixels.shape[:2]
    whole = cv2.copyMakeBorder(pixels, 0, -h % factor, 0, -w % factor, cv2.BORDER_REPLICATE)
    return cv2.resize(
        whole, (whole.shape[1] // factor, whole.shape[0] // factor), interpolation=cv2.INTER_AREA
    )
