"""A still picture set in motion: what moves is splatted forwards, in front of a patched plate.

The picture is taken apart once into a moving layer and a still plate. For every frame the motion
is splatted, not the colours: that gives for each target the place where it came from, and the
layer is then read there. So edges stay as sharp as in the photo, and holes are holes of a smooth
field, not of a picture. Motion comes on a coarse grid; it is therefore splatted at a working size,
and only the colours pass through the full one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse

WORK_PIXELS = 2**18  # of the size at which motion is splatted and the plate is patched
STILL = 0.002  # of the shorter side: cells that never move further are still
FRONT = 100.0  # how sharply softmax splatting prefers the larger motion
INPAINT_RADIUS = 3.0  # in pixels of the working size
GUIDE_CELL = 8.0  # pixels of a cell where the matte is fitted to colours
SMOOTH = 1e-4  # ridge of that fit: variance of colour, from 0 to 1, that counts as flat
STEEP = 4.0  # contrast of the matte
UNLIKE = np.float32(1e-4)  # weight of a cell of quite another colour
ALIKE = 0.1  # standard deviation of colours, from 0 to 1, that count as alike
TEAR = 4.0  # pixels by which neighbours may move apart and still hang together
HOLE = 4  # pixels across which motion is continued into holes


def animate(
    image: np.ndarray,
    displacements: np.ndarray,
    grid: np.ndarray,
    *,
    strength: float = 1.0,
    mask: np.ndarray | None = None,
    loop: bool = False,
) -> np.ndarray:
    r"""Let a picture move along trajectories.

    Softmax splatting (Niklaus & Liu 2020) of the inverse motion,

    .. math:: b(q) = - \frac{\sum_{p \to q} e^{\beta a(p)} d(p)}{\sum_{p \to q} e^{\beta a(p)}}

    with d(p) the displacement of p and a(p) the length of its trajectory, so that larger motion
    comes in front; then frame(q) = L(q + b(q)) + (1 - A(q + b(q))) B(q), with L the moving layer
    (multiplied by its matte A) and B the picture with the area that is ever vacated painted in.
    Pixels that neither move nor are covered keep their bytes.

    Shapes: image uint8 `(H, W, 3)`; displacements `(T, h, w, 2)`, x and y in pixels of the image
    relative to the start, evenly spaced in time without the start itself; grid `(h, w, 2)`, x and
    y of the cells' centres, regular; mask `(H, W)` of what may move, bool, or from 0 to 1, or
    uint8 from 0 to 255. `strength` multiplies the motion. -> uint8 `(T + 1, H, W, 3)`, the image
    first. With `loop` the motion swings there and back with rest at both ends, `(2T, H, W, 3)`,
    and the end meets the beginning.

    Example:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> image[2:4, 2:4] = 255
        >>> grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), -1)
        >>> to_the_right = np.zeros((1, 8, 8, 2), np.float32)
        >>> to_the_right[0, 2:4, 2:4, 0] = 3
        >>> animate(image, to_the_right, grid)[1, 2, :, 0].tolist()
        [0, 0, 0, 0, 0, 255, 255, 0]
    """
    allowed = _check(image, displacements, grid, strength, mask)
    steps = len(displacements)
    moments = np.arange(1.0, steps + 1)
    if loop:  # a swing slows down at both ends, and its way back is its way there
        moments = steps * (1 - np.cos(np.pi * moments / steps)) / 2
    frames = np.empty((2 * steps if loop else steps + 1, *image.shape), np.uint8)
    frames[:] = image
    scene = _scene(image, displacements, grid, strength, allowed)
    if scene is not None:
        for index, frame in enumerate(_render(image, scene, moments), start=1):
            frames[index] = frame
            if loop:
                frames[-index] = frame
    return frames


@dataclass(frozen=True)
class _Scene:
    """What is fixed for all frames: what moves, on a lattice to splat from.

    The lattice lies over the picture at its working size (`scale` of the full one) and goes on
    `margin` beyond each side, so that what enters from outside is a continuation and no hole.
    """

    matte: np.ndarray  # float32 (H, W) in [0, 1]: how much of a pixel moves
    sources: np.ndarray  # (N,) flat places of the lattice that move, or lie around what does
    motion: np.ndarray  # float32 (T, 2, N): their displacements in working pixels
    weights: np.ndarray  # float64 (N,): softmax weights
    length: np.ndarray  # float32 (H', W'): how far each working pixel ever moves
    scale: np.ndarray  # float32 (2,): working pixels a pixel, x and y
    lattice: tuple[int, int]  # height and width
    margin: int

    @property
    def size(self) -> tuple[int, int]:
        """Working width and height."""
        return self.lattice[1] - 2 * self.margin, self.lattice[0] - 2 * self.margin


def _scene(
    image: np.ndarray,
    displacements: np.ndarray,
    grid: np.ndarray,
    strength: float,
    allowed: np.ndarray | None,
) -> _Scene | None:
    """Find what moves; None where nothing does."""
    height, width = image.shape[:2]
    moving = np.linalg.norm(displacements, axis=-1).max(0) > STILL * min(height, width)
    if not moving.any() or strength == 0:
        return None
    matte = _matte(image, moving, grid)
    if allowed is not None:
        matte *= allowed
    shrink = min(1.0, math.sqrt(WORK_PIXELS / (height * width)))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    around, known = _extend(np.float32(strength) * displacements * scale, moving)
    margin = min(math.ceil(np.abs(around).max()), max(size) // 8)
    lattice = size[1] + 2 * margin, size[0] + 2 * margin
    weave = _weave(image, grid, known, _parting(around, grid, scale), scale, lattice, margin)
    sources = np.flatnonzero(np.diff(weave.indptr))
    stacked = np.moveaxis(around, 0, -1).reshape(known.size, -1)  # cells, then x and y by time
    motion = np.ascontiguousarray((weave[sources] @ stacked).T).reshape(2, len(around), -1)
    motion = motion.swapaxes(0, 1)
    reach = np.sqrt(np.square(motion).sum(1).max(0))
    inside = np.pad(cv2.resize(matte, size, interpolation=cv2.INTER_AREA), margin, mode="edge")
    # The surroundings of what moves carry its motion for the sake of soft edges, but behind all.
    front = reach / reach.max() - 1 - 2 * (1 - inside.ravel()[sources])
    weights = np.exp(FRONT * front.astype(np.float64))
    length = np.zeros(lattice, np.float32)
    length.ravel()[sources] = reach
    length = length[margin : margin + size[1], margin : margin + size[0]]
    return _Scene(matte, sources, motion, weights, length, scale, lattice, margin)


def _weave(
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


def _parting(displacements: np.ndarray, grid: np.ndarray, scale: np.ndarray) -> np.ndarray:
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


def _extend(displacements: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def _matte(image: np.ndarray, moving: np.ndarray, grid: np.ndarray) -> np.ndarray:
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


def _render(image: np.ndarray, scene: _Scene, moments: np.ndarray) -> Iterator[np.ndarray]:
    """Frames at the given moments, counted in steps from the start (which is 0)."""
    fields = [_inverse(scene, _at(scene.motion, moment)) for moment in moments]
    plate = _plate(image, scene, fields)
    matte = scene.matte[..., None]
    layer = np.concatenate([image - (1 - matte) * plate, matte], 2)  # what is seen less the plate
    background = plate.astype(np.float32)
    for inverse, covered in fields:
        inverse /= scene.scale
        if covered.shape != image.shape[:2]:
            inverse, covered = (cv2.resize(a, image.shape[1::-1]) for a in (inverse, covered))
        moved = _read(layer, inverse) * covered[..., None]
        frame = moved[..., :3] + (1 - moved[..., 3:]) * background
        yield np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def _at(motion: np.ndarray, moment: float) -> np.ndarray:
    """Displacements `(2, N)` between two steps; before the first lies the start, all zero."""
    last = math.ceil(moment)
    later = motion[last - 1]
    earlier = motion[last - 2] if last > 1 else np.zeros_like(later)
    return earlier + np.float32(moment - last + 1) * (later - earlier)


def _inverse(scene: _Scene, motion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each working pixel comes from, `(H', W', 2)`, and whether from anywhere `(H', W')`.

    A softmax splat to the nearest pixel. Sources that the motion tears apart stay out. What is
    empty near splatted pixels is filled by them, where the motion at the place found agrees.
    """
    width, height = scene.size
    dense = np.zeros((*scene.lattice, 2), np.float32)
    dense.reshape(-1, 2)[scene.sources] = motion.T
    y, x = np.divmod(scene.sources, scene.lattice[1])
    x = np.rint(x - scene.margin + motion[0]).astype(np.int64)
    y = np.rint(y - scene.margin + motion[1]).astype(np.int64)
    hits = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hits &= ~_torn(dense).ravel()[scene.sources]
    place, weight = (y * width + x)[hits], scene.weights[hits]
    mass, *sums = (
        np.bincount(place, weights, width * height).reshape(height, width)
        for weights in (weight, *(weight * part[hits] for part in motion))
    )
    hit = mass > 0
    inverse = np.stack([-part / np.where(hit, mass, 1) for part in sums], -1).astype(np.float32)
    share, near = (_around(part) for part in (hit.astype(np.float32), inverse))
    filled = near / np.maximum(share, 1e-6)[..., None]
    inverse = np.where(hit[..., None], inverse, filled)
    apart = np.linalg.norm(_read(dense, inverse, scene.margin) + inverse, axis=-1)
    return inverse, (hit | ((share > 1e-6) & (apart < TEAR))).astype(np.float32)


def _around(values: np.ndarray) -> np.ndarray:
    return cv2.blur(values, (2 * HOLE + 1, 2 * HOLE + 1), borderType=cv2.BORDER_CONSTANT)


def _torn(dense: np.ndarray) -> np.ndarray:
    """Where motion differs from that of a neighbour by more than a continuous thing bears."""
    torn = np.zeros(dense.shape[:2], bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        apart = np.square(dense[one] - dense[other]).sum(-1) > TEAR**2
        torn[one] |= apart
        torn[other] |= apart
    return torn


def _read(values: np.ndarray, inverse: np.ndarray, margin: int = 0) -> np.ndarray:
    """Values at the places that each pixel of `inverse`, in their pixels, comes from."""
    y, x = np.indices(inverse.shape[:2], np.float32) + np.float32(margin)
    x += inverse[..., 0]
    y += inverse[..., 1]
    return cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _plate(
    image: np.ndarray, scene: _Scene, fields: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The picture with what is ever vacated painted in, once for all frames, uint8 `(H, W, 3)`.

    The hole takes in all of a thing that leaves, lest its remainder be painted with: whatever
    moves at least a quarter as far as the fastest nearby.
    """
    small = cv2.resize(scene.matte, scene.size, interpolation=cv2.INTER_AREA)
    vacated = np.zeros(small.shape, bool)
    for inverse, covered in fields:
        vacated |= covered * _read(small, inverse) < 0.99
    vacated &= small > 0
    furthest = min(math.ceil(scene.length.max()), max(scene.size))
    near = np.ones(2 * [2 * furthest + 1], np.uint8)
    leaving = cv2.dilate(vacated.astype(np.uint8), near) > 0
    leaving &= scene.length > cv2.dilate(scene.length, near) / 4
    hole = ((vacated | leaving) & (small > 0)).astype(np.uint8)
    if not hole.any() or hole.all():
        return image
    shrunk = cv2.resize(image, scene.size, interpolation=cv2.INTER_AREA)
    # Telea's method would add ripples of a few steps even to a plain ground (OpenCV 5.0).
    patch = cv2.inpaint(shrunk, hole, INPAINT_RADIUS, cv2.INPAINT_NS)
    full = image.shape[1::-1]
    inside = cv2.resize(hole, full, interpolation=cv2.INTER_NEAREST).astype(bool)
    inside &= scene.matte > 0
    return np.where(inside[..., None], cv2.resize(patch, full), image)


def _check(
    image: np.ndarray,
    displacements: np.ndarray,
    grid: np.ndarray,
    strength: float,
    mask: np.ndarray | None,
) -> np.ndarray | None:
    """Refuse what does not fit; the mask as float32 from 0 to 1."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"got an image {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    if displacements.ndim != 4 or displacements.shape[3] != 2 or not displacements.size:
        raise ValueError(f"got displacements {displacements.shape}, expected (T, h, w, 2)")
    if grid.shape != displacements.shape[1:]:
        raise ValueError(f"got a grid {grid.shape}, expected {displacements.shape[1:]}")
    x, y = grid[0, :, 0], grid[:, 0, 1]
    lattice = (grid == np.stack(np.meshgrid(x, y), -1)).all()
    if not lattice or (np.diff(x) <= 0).any() or (np.diff(y) <= 0).any():
        raise ValueError("got a grid that is not regular, expected rows and columns of centres")
    if not np.isfinite(displacements).all():
        raise ValueError("got displacements that are not finite, expected pixels")
    if not 0 <= strength < math.inf:
        raise ValueError(f"got strength={strength}, expected a finite number, 0 or more")
    if mask is None:
        return None
    if mask.shape != image.shape[:2]:
        raise ValueError(f"got a mask {mask.shape}, expected {image.shape[:2]} as the image")
    return np.clip(mask.astype(np.float32) / (255 if mask.dtype == np.uint8 else 1), 0, 1)
