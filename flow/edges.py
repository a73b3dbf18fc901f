"""Where motion ends: from coarse cells to the edges of the picture.

Motion comes on a grid of cells, and what moves in a photo ends at an edge of it. Here are the two
ways from one to the other: the matte, which says how much of each pixel moves, and the weave,
which brings the motion itself to every place.
"""

import cv2
import numpy as np
from scipy import sparse

GUIDE_CELL = 8.0  # pixels of a cell where the matte is fitted to colours
SMOOTH = 1e-4  # ridge of that fit: variance of colour, from 0 to 1, that counts as flat
STEEP = 4.0  # contrast of the matte
UNLIKE = np.float32(1e-4)  # weight of a cell of quite another colour
ALIKE = 0.1  # standard deviation of colours, from 0 to 1, that count as alike


def weave(
    image: np.ndarray,
    grid: np.ndarray,
    known: np.ndarray,
    parting: np.ndarray,
    scale: np.ndarray,
    lattice: tuple[int, int],
    margin: int,
) -> sparse.csr_array:
    """The sparse matrix (lattice, cells) that brings motion from known cells to the lattice.

    Joint bilateral upsampling (Kopf et al. 2007): bilinear weights of the four cells around, each
    times how alike the colours of place and cell are, as far as the cells part: there motion
    changes where the picture does, and elsewhere it stays as smooth as it came.
    """
    height, width = lattice
    size = width - 2 * margin, height - 2 * margin
    x, y = grid[0, :, 0], grid[:, 0, 1]
    colours = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lower, share = zip(
        *(
            _between(c, (np.arange(-margin, n + margin) + 0.5) / ratio - 0.5)
            for c, n, ratio in ((y, size[1], scale[1]), (x, size[0], scale[0]))
        ),
        strict=True,
    )
    there = np.pad(colours, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    mean = cv2.resize(colours, known.shape[::-1], interpolation=cv2.INTER_AREA)
    parts = parting[lower[0][:, None], lower[1][None]]
    cells, weights = [], []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row = np.minimum(lower[0] + down, known.shape[0] - 1)[:, None]
        column = np.minimum(lower[1] + right, known.shape[1] - 1)[None]
        weight = np.abs(1 - down - share[0])[:, None] * np.abs(1 - right - share[1])[None]
        apart = np.square(there - mean[row, column]).sum(-1)
        weight = weight * (1 - parts + parts * (np.exp(-apart / (2 * ALIKE**2)) + UNLIKE))
        cells.append((row * known.shape[1] + column).ravel())
        weights.append((weight * known[row, column]).ravel())
    total = np.sum(weights, 0)
    places = np.flatnonzero(total > 0)
    entries = np.concatenate([(weight[places] / total[places]) for weight in weights])
    columns = np.concatenate([cell[places] for cell in cells])
    matrix = sparse.csr_array(
        (entries, (np.tile(places, 4), columns)), shape=(height * width, known.size)
    )
    matrix.eliminate_zeros()
    return matrix


def parting(displacements: np.ndarray, grid: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """How far the four cells from each one on part, `(h, w)`: 0 hang together, 1 are torn."""
    apart = np.zeros(grid.shape[:2], np.float32)
    for axis in (1, 2):
        if displacements.shape[axis] > 1:
            between = np.linalg.norm(np.diff(displacements, axis=axis), axis=-1).max(0)
            room = np.linalg.norm(np.diff(grid * scale, axis=axis - 1), axis=-1)
            stretch = between / room
            here = apart[: stretch.shape[0], : stretch.shape[1]]
            np.maximum(here, stretch, out=here)
    around = cv2.dilate(apart, np.ones((2, 2), np.uint8), anchor=(0, 0))
    return np.clip(around - 1, 0, 1)


def _between(centres: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell before each position, and how far on towards the next one it lies, 0 to 1."""
    place = np.interp(positions, centres, np.arange(len(centres)))
    lower = np.minimum(place.astype(np.int64), max(len(centres) - 2, 0))
    return lower, (place - lower).astype(np.float32)


def extend(displacements: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Motion carried on into still cells around what moves, and the cells that then have some."""
    steps, height, width, _ = displacements.shape
    known = moving.astype(np.float32)
    stacked = np.moveaxis(displacements * known[..., None], 0, 2).reshape(height, width, -1)
    total, share = (_spread(x) for x in (stacked, known))
    carried = total / np.where(share > 0, share, 1)[..., None]
    carried = np.moveaxis(carried.reshape(height, width, steps, 2), 2, 0)
    return np.where(moving[..., None], displacements, carried), share > 0


def _spread(x: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(x, (5, 5), 1, borderType=cv2.BORDER_CONSTANT)


def _interpolation(centres: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The matrix `(positions, centres)` that interpolates linearly, constant beyond the ends."""
    steps = np.arange(len(centres))
    place = np.interp(positions, centres, steps)
    return np.maximum(0, 1 - np.abs(place[:, None] - steps)).astype(np.float32)


def matte(image: np.ndarray, moving: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """How much of each pixel moves, float32 `(H, W)`: the cells' answer, drawn to image edges.

    Guided feathering (He et al. 2013, the fast form of 2015): within a window of cells the matte
    is an affine function of colour, so it changes where the colour does. Steepened, so that
    nothing but a narrow edge is in between; and never further than one cell from a moving one.
    """
    height, width = image.shape[:2]
    x, y = grid[0, :, 0], grid[:, 0, 1]
    columns, rows = (_interpolation(c, np.arange(n)) for c, n in ((x, width), (y, height)))
    coarse = rows @ moving.astype(np.float32) @ columns.T
    cell = _spacing(x, y)
    if cell < 2:  # the cells know better than the colours
        return coarse
    near = rows @ cv2.dilate(moving.astype(np.uint8), np.ones((3, 3), np.uint8)) @ columns.T
    shrink = min(1.0, GUIDE_CELL / cell)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    guide, cue = (cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in (image, coarse))
    window = 2 * round(cell * shrink) + 1
    slope, offset = _affine(guide.astype(np.float32) / 255, cue, window)
    slope, offset = (cv2.resize(a, (width, height)) for a in (slope, offset))
    matte = np.einsum("hwc,hwc->hw", slope, image.astype(np.float32) / 255) + offset
    matte = np.clip(STEEP * (matte - 0.5) + 0.5, 0, 1)
    return np.where(near > 0, matte, 0).astype(np.float32)


def _spacing(x: np.ndarray, y: np.ndarray) -> float:
    steps = [np.diff(c).mean() for c in (x, y) if len(c) > 1]
    return float(np.mean(steps)) if steps else 1.0


def _affine(guide: np.ndarray, cue: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Slopes `(H, W, 3)` and offsets `(H, W)` of the cue as a local affine function of colour."""

    def mean(a: np.ndarray) -> np.ndarray:
        return cv2.blur(a, (window, window))

    centre, level = mean(guide), mean(cue)
    pairs = (guide[..., :, None] * guide[..., None, :]).reshape(*guide.shape[:2], 9)
    spread = mean(pairs).reshape(*guide.shape, 3) - centre[..., :, None] * centre[..., None, :]
    shared = mean(guide * cue[..., None]) - centre * level[..., None]
    slope = np.linalg.solve(spread + SMOOTH * np.eye(3, dtype=np.float32), shared[..., None])[
        ..., 0
    ]
    offset = level - np.einsum("hwc,hwc->hw", slope, centre)
    return mean(slope), mean(offset)
