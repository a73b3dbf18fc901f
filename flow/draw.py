"""Motion to look at: a colour-wheel picture with its legend, arrows and trails over the photo."""

import math

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flow.grid import check_motion

# Steps from each hue to the next in the wheel of Baker et al., spaced as the eye tells hues apart.
_HUES = {"red": 15, "yellow": 6, "green": 4, "cyan": 11, "blue": 13, "magenta": 6}
LINES = 26  # arrows or trails along the longer side of the picture
SMALLEST = 0.004  # of the shorter side: motion below it is not drawn
_SHIFT = 4  # fractional bits of a place
_Place = tuple[int, int]
_Ink = tuple[float, ...]  # red, green, blue and cover
_OUTLINE: _Ink = (20, 20, 20, 255)
DRAWN = 1600  # pixels of the longer side that lines are drawn at, at least; then they are averaged


def colour_wheel(displacements: np.ndarray, *, longest: float | None = None) -> np.ndarray:
    """Colours of motion: direction as hue, length as saturation; white is still.

    Baker et al. (2007), A database and evaluation methodology for optical flow: right is red,
    down yellow, left cyan, up violet. What is longer than `longest` (by default the longest there
    is) darkens.

    Shapes: displacements `(..., 2)`, x and y -> uint8 `(..., 3)` sRGB.

    Example:
        >>> colour_wheel(np.array([[0.0, 0.0], [5.0, 0.0], [-5.0, 0.0]])).tolist()
        [[255, 255, 255], [255, 0, 0], [0, 209, 255]]
    """
    if displacements.shape[-1:] != (2,) or not np.isfinite(displacements).all():
        raise ValueError(f"got {displacements.shape}, expected finite displacements (..., 2)")
    length = np.linalg.norm(displacements, axis=-1)
    if longest is None:
        longest = float(length.max(initial=0))
    length = (length / (longest or 1))[..., None]
    pure = _hue(displacements)
    colour = np.where(length <= 1, 1 - length * (1 - pure), 0.75 * pure)
    return np.rint(255 * colour).astype(np.uint8)


def flow_picture(
    displacements: np.ndarray, grid: np.ndarray, size: tuple[int, int], *, legend: bool = True
) -> np.ndarray:
    """The motion of a whole picture in colours of the wheel, with the wheel as legend.

    Shapes: displacements `(h, w, 2)` or `(T, h, w, 2)`, of which the last counts; grid
    `(h, w, 2)`; size is the width and height of the picture -> uint8 `(H, W, 3)`.

    Example:
        >>> grid = np.stack(np.meshgrid([8.0, 24.0], [8.0, 24.0]), -1)
        >>> flow_picture(np.ones((2, 2, 2)), grid, (32, 32), legend=False)[0, 0].tolist()
        [255, 115, 0]
    """
    end = displacements[-1] if displacements.ndim == 4 else displacements
    check_motion(end[None], grid)
    longest = float(np.linalg.norm(end, axis=-1).max())
    dense = _lift(end.astype(np.float32), grid, size)
    picture = colour_wheel(dense, longest=longest)
    return _with_legend(picture, longest) if legend else picture


def arrows(image: np.ndarray, displacements: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The photo with arrows from where things are to where they end, coloured by direction.

    Shapes: image uint8 `(H, W, 3)`, displacements `(T, h, w, 2)`, grid `(h, w, 2)` -> uint8
    `(H, W, 3)`.

    Example:
        >>> grid = np.stack(np.meshgrid(np.arange(4.0, 64, 8), np.arange(4.0, 64, 8)), -1)
        >>> drawn = arrows(np.zeros((64, 64, 3), np.uint8), np.full((1, 8, 8, 2), 9.0), grid)
        >>> drawn.shape, bool(drawn.any())
        ((64, 64, 3), True)
    """
    canvas = _Canvas(image, fade=0.25)
    for path in _paths(image, displacements, grid):
        canvas.arrow(path[0], path[-1])
    return canvas.finish()


def trails(image: np.ndarray, displacements: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The photo with the way of each moving point: hue is direction, width grows with time.

    Shapes: image uint8 `(H, W, 3)`, displacements `(T, h, w, 2)`, grid `(h, w, 2)` -> uint8
    `(H, W, 3)`.

    Example:
        >>> grid = np.stack(np.meshgrid(np.arange(4.0, 64, 8), np.arange(4.0, 64, 8)), -1)
        >>> still = np.zeros((3, 8, 8, 2))
        >>> bool(trails(np.zeros((64, 64, 3), np.uint8), still, grid).any())
        False
    """
    canvas = _Canvas(image, fade=0.45)
    for path in _paths(image, displacements, grid):
        canvas.trail(path)
    return canvas.finish()


def _hue(displacements: np.ndarray) -> np.ndarray:
    """The saturated colour of each direction, `(..., 3)` from 0 to 1."""
    angle = np.arctan2(-displacements[..., 1], -displacements[..., 0]) / np.pi  # right is -1
    place = (angle + 1) / 2 * (len(_WHEEL) - 1)
    low = np.floor(place).astype(int)
    share = (place - low)[..., None]
    return (1 - share) * _WHEEL[low] + share * _WHEEL[(low + 1) % len(_WHEEL)]


def _wheel() -> np.ndarray:
    """The hues round the wheel, `(55, 3)`: in each part one channel rises or falls, in turn."""
    corners = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])
    parts = [
        255 * corner + (following - corner) * (255 * np.arange(steps)[:, None] // steps)
        for corner, following, steps in zip(
            corners, np.roll(corners, -1, axis=0), _HUES.values(), strict=True
        )
    ]
    return np.concatenate(parts) / 255


_WHEEL = _wheel()


def _lift(values: np.ndarray, grid: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Values on a grid interpolated to every pixel, `(H, W, C)`."""
    x, y = (
        np.interp(np.arange(n), centres, np.arange(len(centres))).astype(np.float32)
        for n, centres in zip(size, (grid[0, :, 0], grid[:, 0, 1]), strict=True)
    )
    return cv2.remap(values, *np.meshgrid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _with_legend(picture: np.ndarray, longest: float) -> np.ndarray:
    """The wheel in the lower right corner, and what its rim stands for."""
    height, width = picture.shape[:2]
    radius = max(8, round(0.11 * min(height, width)))
    edge = max(2, radius // 6)
    fine = 4 * radius  # drawn at four times the size, then averaged
    y, x = (np.indices((2 * fine, 2 * fine)) + 0.5 - fine) / fine
    disc = colour_wheel(np.stack([x, y], -1), longest=1.0)
    rim = np.abs(np.hypot(x, y) - 1 + 0.02) < 0.02
    disc[rim] = 60
    colours = cv2.resize(disc, (2 * radius, 2 * radius), interpolation=cv2.INTER_AREA)
    inside = (np.hypot(x, y) <= 1).astype(np.float32)
    share = cv2.resize(inside, (2 * radius, 2 * radius), interpolation=cv2.INTER_AREA)[..., None]
    font = ImageFont.load_default(max(9, radius * 0.42))
    text = f"{longest:.0f} px" if longest >= 10 else f"{longest:.1f} px"
    box = font.getbbox(text, anchor="lt")
    top, left = height - edge - 2 * radius, width - edge - 2 * radius
    if top < 0 or left < 0:
        return picture
    under = picture[top : top + 2 * radius, left : left + 2 * radius]
    under[:] = np.rint(share * colours + (1 - share) * under).astype(np.uint8)
    drawn = Image.fromarray(picture)
    place = (left - edge - box[2], height - 2 * edge - box[3])
    ImageDraw.Draw(drawn).text(place, text, fill=(40, 40, 40), font=font, anchor="lt")
    return np.asarray(drawn)


def _paths(image: np.ndarray, displacements: np.ndarray, grid: np.ndarray) -> list[np.ndarray]:
    """The ways `(T + 1, 2)` to draw, evenly spread over what moves, the longest last."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"got an image {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    check_motion(displacements, grid)
    height, width = image.shape[:2]
    apart = max(height, width) / LINES
    x, y = (np.arange(apart / 2, n, apart) - 0.5 for n in (width, height))
    step, cells = len(displacements), grid.shape[:2]
    stacked = np.moveaxis(displacements.astype(np.float32), 0, 2).reshape(*cells, -1)
    column = np.interp(x, grid[0, :, 0], np.arange(cells[1])).astype(np.float32)
    row = np.interp(y, grid[:, 0, 1], np.arange(cells[0])).astype(np.float32)
    where = np.meshgrid(column, row)
    parts = [  # remap takes up to four channels
        cv2.remap(stacked[..., i : i + 2], *where, cv2.INTER_LINEAR) for i in range(0, 2 * step, 2)
    ]
    ways = np.stack([np.zeros_like(parts[0]), *parts], 2).reshape(-1, step + 1, 2)
    starts = np.stack(np.meshgrid(x, y), -1).reshape(-1, 1, 2)
    length = np.linalg.norm(ways, axis=-1).max(1)
    order = [i for i in np.argsort(length) if length[i] > SMALLEST * min(height, width)]
    return [(starts + ways)[i] for i in order]


class _Canvas:
    """A photo, a little greyed, with lines drawn finely and averaged onto it."""

    def __init__(self, image: np.ndarray, *, fade: float) -> None:
        height, width = image.shape[:2]
        self.image, self.fade = image, fade
        self.zoom = max(1, math.ceil(DRAWN / max(height, width)))
        # of a line at its widest, and in a tiny picture still to be seen
        self.width = self.zoom * max(max(height, width) / LINES / 8, 1.5)
        self.ink = np.zeros((height * self.zoom, width * self.zoom, 4), np.uint8)  # and its cover

    def arrow(self, start: np.ndarray, end: np.ndarray) -> None:
        way = end - start
        length = float(np.linalg.norm(way))
        along = way / (length or 1)
        head = min(3.2 * self.width / self.zoom, 0.6 * length)
        across = np.array([-along[1], along[0]])
        neck = end - head * along
        wings = np.stack([end, neck + 0.55 * head * across, neck - 0.55 * head * across])
        ends = self._fixed(np.stack([start, neck]))
        (colour,) = _inks(way[None])
        for ink, more in ((_OUTLINE, 0.5 * self.width), (colour, 0.0)):
            self._line(ends[0], ends[1], ink, 0.6 * self.width + more)
            self._fill(self._fixed(wings), ink, more)

    def trail(self, path: np.ndarray) -> None:
        steps = len(path) - 1
        widths = self.width * (0.25 + 0.75 * np.arange(1, steps + 1) / steps)
        places, inks = self._fixed(path), _inks(np.diff(path, axis=0))
        for i, width in enumerate(widths):
            self._line(places[i], places[i + 1], _OUTLINE, width + 0.4 * self.width)
        self._line(places[-1], places[-1], _OUTLINE, 2.1 * self.width)
        for i, width in enumerate(widths):
            self._line(places[i], places[i + 1], inks[i], width)
        self._line(places[-1], places[-1], inks[-1], 1.7 * self.width)

    def finish(self) -> np.ndarray:
        if not self.ink.any():
            return self.image.copy()
        size = self.image.shape[1::-1]
        ink = cv2.resize(self.ink, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        grey = cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        photo = (1 - self.fade) * self.image + self.fade * (0.8 * grey)
        # ink is black where nothing is drawn, so it is multiplied by the cover already
        mixed = photo * (1 - ink[..., 3:] / 255) + ink[..., :3]
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _line(self, a: _Place, b: _Place, ink: _Ink, width: float) -> None:
        cv2.line(self.ink, a, b, ink, max(1, round(width)), cv2.LINE_8, _SHIFT)

    def _fill(self, corners: list[_Place], ink: _Ink, more: float) -> None:
        shape = np.array(corners, np.int32)
        cv2.fillConvexPoly(self.ink, shape, ink, cv2.LINE_8, _SHIFT)
        if more:
            cv2.polylines(self.ink, [shape], True, ink, max(1, round(more)), cv2.LINE_8, _SHIFT)

    def _fixed(self, points: np.ndarray) -> list[_Place]:
        """Pixels of the photo to fixed-point places of the canvas."""
        fine = ((points + 0.5) * self.zoom - 0.5) * 2**_SHIFT
        return [(x, y) for x, y in np.rint(fine).astype(int).tolist()]


def _inks(displacements: np.ndarray) -> list[_Ink]:
    """The colours of directions `(N, 2)`, opaque."""
    return [(*rgb, 255) for rgb in np.rint(255 * _hue(displacements)).tolist()]
