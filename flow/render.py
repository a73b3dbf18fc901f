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

from flow import edges
from flow.dense import pixels, sample
from flow.grid import check_motion

WORK_PIXELS = 2**18  # of the size at which motion is splatted and the plate is patched
STILL = 0.002  # of the shorter side: cells that never move further are still
FRONT = 100.0  # how sharply softmax splatting prefers the larger motion
INPAINT_RADIUS = 3.0  # in pixels of the working size
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
    matte = edges.matte(image, moving, grid)
    if allowed is not None:
        matte *= allowed
    shrink = min(1.0, math.sqrt(WORK_PIXELS / (height * width)))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    around, known = edges.extend(np.float32(strength) * displacements * scale, moving)
    margin = min(math.ceil(np.abs(around).max()), max(size) // 8)
    lattice = size[1] + 2 * margin, size[0] + 2 * margin
    apart = edges.parting(around, grid, scale)
    weave = edges.weave(image, grid, known, apart, scale, lattice, margin)
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
    return sample(values, pixels(*inverse.shape[:2]) + margin + inverse)


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
    check_motion(displacements, grid)
    x, y = grid[0, :, 0], grid[:, 0, 1]
    lattice = (grid == np.stack(np.meshgrid(x, y), -1)).all()
    if not lattice or (np.diff(x) <= 0).any() or (np.diff(y) <= 0).any():
        raise ValueError("got a grid that is not regular, expected rows and columns of centres")
    if not 0 <= strength < math.inf:
        raise ValueError(f"got strength={strength}, expected a finite number, 0 or more")
    if mask is None:
        return None
    if mask.shape != image.shape[:2]:
        raise ValueError(f"got a mask {mask.shape}, expected {image.shape[:2]} as the image")
    return np.clip(mask.astype(np.float32) / (255 if mask.dtype == np.uint8 else 1), 0, 1)
