"""Sprites with known factors: a square, an ellipse or a heart, of a size, turned, somewhere.

The factor grid and its order are those of dSprites (Matthey et al., 2017): shape 3, scale 6,
rotation 40, x 32, y 32; 737,280 binary pictures of 64x64, the last factor running fastest. Nothing
is stored: pictures are drawn when they are asked for, the same bytes every time.

As in the public set, rotation runs from 0 to 2π with both ends, so that the first and the last
value are one and the same picture. A square looks the same after a quarter of a turn and an
ellipse after half, but no two of the 39 steps lie so far apart: there are 3 · 6 · 39 · 32 · 32 =
718,848 different pictures.

What differs from the public set, whose drawing program is not published: all three shapes have the
same area and turn about their centroid; a step in x or y is one pixel exactly, and no sprite is
ever cut off; a pixel is white where the shape covers at least half of it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Points = NDArray[np.float64]
Inside = NDArray[np.bool_]

NAMES = ("shape", "scale", "rotation", "x", "y")
SIZES = (3, 6, 40, 32, 32)
SHAPES = ("square", "ellipse", "heart")
COUNT = math.prod(SIZES)
CANVAS = 64
AREA = 400.0  # of every shape at scale 1, in pixels
# Where the centroid is at x = y = 0; whole numbers are centres of pixels. Off those centres,
# where a small square could turn by a step (9.2°) and no pixel would show it.
ORIGIN = (16.25, 16.2)

_REACH = 16  # no sprite reaches further than this many pixels beyond that of its centroid
_FINE = 8  # points a side that a pixel's coverage is counted on
_STRIDES = tuple(math.prod(SIZES[place + 1 :]) for place in range(len(SIZES)))


def factors(index: Tensor) -> Tensor:
    """The five factors of pictures given by number, `(...)` -> `(..., 5)` integers, as in NAMES.

    Example:
        >>> factors(torch.tensor([0, 33, COUNT - 1]))
        tensor([[ 0,  0,  0,  0,  0],
                [ 0,  0,  0,  1,  1],
                [ 2,  5, 39, 31, 31]])
    """
    if index.is_floating_point() or not ((index >= 0) & (index < COUNT)).all():
        raise ValueError(f"got numbers of pictures beyond 0 to {COUNT - 1}, or not whole")
    steps = zip(_STRIDES, SIZES, strict=True)
    return torch.stack([index // stride % size for stride, size in steps], -1)


def index(factors: Tensor) -> Tensor:
    """The number of pictures given by their factors, `(..., 5)` -> `(...)`.

    Example:
        >>> index(torch.tensor([2, 5, 39, 31, 31]))
        tensor(737279)
    """
    _on_grid(factors)
    return (factors * factors.new_tensor(_STRIDES)).sum(-1)


def values(factors: Tensor) -> Tensor:
    """What the factors stand for: shape 0 to 2, scale 0.5 to 1, radians, x and y from 0 to 1.

    Rotation is clockwise, y points down. Shapes: `(..., 5)` integers -> `(..., 5)` float32.

    Example:
        >>> values(torch.tensor([2, 5, 39, 0, 31]))
        tensor([2.0000, 1.0000, 6.2832, 0.0000, 1.0000])
    """
    _on_grid(factors)
    low = torch.tensor([0, 0.5, 0, 0, 0], device=factors.device)
    high = torch.tensor([2, 1, 2 * math.pi, 1, 1], device=factors.device)
    return low + (high - low) * factors / (factors.new_tensor(SIZES) - 1)


def _on_grid(factors: Tensor) -> None:
    whole = not factors.is_floating_point() and factors.shape[-1:] == (len(SIZES),)
    if not whole or not ((factors >= 0) & (factors < factors.new_tensor(SIZES))).all():
        raise ValueError(
            f"got factors {tuple(factors.shape)} of {factors.dtype}, expected integers (..., 5) "
            f"from 0 to {tuple(size - 1 for size in SIZES)}"
        )


class Batch(NamedTuple):
    """Pictures `(N, 1, 64, 64)` and the factors that they show, `(N, 5)`."""

    images: Tensor
    factors: Tensor


class Sprites:
    """The set, ready to be drawn from; it keeps one drawing (95x95) of each sprite, 7 MB.

    Args:
        device: where pictures are made; they are the same everywhere.

    Example:
        >>> sprites = Sprites()
        >>> sprites.sample(2, torch.Generator().manual_seed(0)).images.shape
        torch.Size([2, 1, 64, 64])
    """

    def __init__(self, *, device: torch.device | str = "cpu") -> None:
        margin = SIZES[3] - 1
        plates = F.pad(_stamps(), (margin, margin, margin, margin)).to(device)
        # (3, 6, 40, 32, 32, 64, 64) as a view: a place in the picture is a window on the drawing
        self._windows = plates.unfold(3, CANVAS, 1).unfold(4, CANVAS, 1)

    def __len__(self) -> int:
        return COUNT

    def render(self, factors: Tensor) -> Tensor:
        """Pictures of the factors, `(N, 5)` -> `(N, 1, 64, 64)` float32, 0 (black) or 1."""
        _on_grid(factors)
        shape, scale, rotation, x, y = factors.to(self._windows.device).unbind(-1)
        # the window goes left for the sprite to go right
        drawn = self._windows[shape, scale, rotation, SIZES[4] - 1 - y, SIZES[3] - 1 - x]
        return drawn.unsqueeze(1).float()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Batch:
        """n pictures, every one of the set as likely as any other, with replacement."""
        place = generator.device if generator is not None else None
        drawn = factors(torch.randint(COUNT, (n,), generator=generator, device=place))
        return Batch(self.render(drawn), drawn.to(self._windows.device))


def _stamps() -> Tensor:
    """Every shape, scale and rotation about the middle of its own plate, `(3, 6, 40, 33, 33)`."""
    side = 2 * _REACH + 1
    fine = (np.arange(side * _FINE) + 0.5) / _FINE - side / 2
    column, row = fine + _REACH - ORIGIN[0], (fine + _REACH - ORIGIN[1])[:, None]
    stamps = np.empty((*SIZES[:3], side, side), np.uint8)
    for rotation in range(SIZES[2]):  # one by one, which the caches of a processor can hold
        turn = 2 * math.pi / 39 * (rotation % 39)
        # the sprite's own axes, u to its right and v down
        u = math.cos(turn) * column + math.sin(turn) * row
        v = math.cos(turn) * row - math.sin(turn) * column
        for scale in range(SIZES[1]):
            unit = math.sqrt(AREA) * (0.5 + 0.1 * scale)
            for shape, inside in enumerate(_INSIDE):
                points = inside(u / unit, v / unit).reshape(side, _FINE, side, _FINE)
                stamps[shape, scale, rotation] = points.sum((1, 3)) >= _FINE**2 / 2
    return torch.from_numpy(stamps)


def _square(u: Points, v: Points) -> Inside:
    return np.maximum(np.abs(u), np.abs(v)) <= 0.5


def _ellipse(u: Points, v: Points) -> Inside:
    """Twice as wide as high."""
    return u * u / 2 + 2 * v * v <= 1 / math.pi


def _heart(u: Points, v: Points) -> Inside:
    """A square on its corner, of side 2, and a disc of radius 1 on each of the upper sides."""
    size = math.sqrt(4 + math.pi)  # the root of the area: a square and two halves of a disc
    # half a disc of area π/2 has its centroid 4/(3π) beyond the side that it stands on
    centroid = math.pi / 2 * (1 + 4 / (3 * math.pi)) / (4 + math.pi)
    p, q = ((sign * u - v) * (math.sqrt(0.5) * size) + centroid for sign in (1, -1))
    discs = np.minimum(p * p + (q - 1) ** 2, (p - 1) ** 2 + q * q)
    return (np.maximum(np.abs(p), np.abs(q)) <= 1) | (discs <= 1)


_INSIDE: tuple[Callable[[Points, Points], Inside], ...] = (_square, _ellipse, _heart)
