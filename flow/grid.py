"""Grids of cells over a frame: where they lie, and fields on them brought to other grids."""

import cv2
import numpy as np
from numpy.typing import NDArray


def cell_centres(cells: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
    """x and y of the centres of h × w equal cells of a frame, `(h, w, 2)` in its pixels.

    `cells` (h, w), `size` (height, width) of the frame. The centre of its first pixel is (0, 0).

    Example:
        >>> cell_centres((1, 2), (8, 16))
        array([[[ 3.5,  3.5],
                [11.5,  3.5]]], dtype=float32)
    """
    y, x = ((np.arange(n) + 0.5) * (side / n) - 0.5 for n, side in zip(cells, size, strict=True))
    return np.stack(np.meshgrid(x, y), -1).astype(np.float32)


def check_motion(displacements: NDArray, grid: NDArray) -> None:
    """Raise a ValueError unless displacements `(T, h, w, 2)` are finite and on a grid `(h, w, 2)`.

    Example:
        >>> check_motion(np.zeros((30, 1, 2, 2)), cell_centres((1, 3), (8, 16)))
        Traceback (most recent call last):
        ValueError: got a grid (1, 3, 2), expected (1, 2, 2)
    """
    if displacements.ndim != 4 or displacements.shape[3] != 2 or not displacements.size:
        raise ValueError(f"got displacements {displacements.shape}, expected (T, h, w, 2)")
    if grid.shape != displacements.shape[1:]:
        raise ValueError(f"got a grid {grid.shape}, expected {displacements.shape[1:]}")
    if not np.isfinite(displacements).all():
        raise ValueError("got displacements that are not finite, expected pixels")


def rescale(
    coefficients: NDArray[np.floating], source: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float32]:
    """Motion in pixels of a frame of one size -> in pixels of the same frame at another size.

    Shapes: coefficients `(..., 2, h, w)`, as `flow.basis.fit` gives them; sizes (height, width).

    Example:
        >>> rescale(np.ones((2, 1, 1)), (100, 100), (200, 300)).ravel()
        array([3., 2.], dtype=float32)
    """
    if np.ndim(coefficients) < 3 or coefficients.shape[-3] != 2:
        raise ValueError(f"got {np.shape(coefficients)}, expected (..., 2, h, w)")
    if min(*source, *target) < 1:
        raise ValueError(f"got sizes {source} and {target}, expected at least 1 pixel a side")
    factors = np.array([target[1] / source[1], target[0] / source[0]], np.float32)
    return np.asarray(coefficients, np.float32) * factors[:, None, None]


def resample(
    field: NDArray[np.floating],
    cells: tuple[int, int],
    *,
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """A field on one grid of cells -> on another over the same frame; values keep their unit.

    Bilinear between centres towards more cells, the mean over what a cell covers towards fewer.
    With weights, say confidence, what weighs nothing does not colour its neighbours.

    Shapes: field `(..., h, w)` with weights `(h, w)`, not negative -> `(..., *cells)` float32.

    Example:
        >>> field = np.array([[0.0, 4.0], [0.0, 4.0]])
        >>> resample(field, (1, 1)), resample(field, (2, 4))[0]
        (array([[2.]], dtype=float32), array([0., 1., 3., 4.], dtype=float32))
        >>> resample(field, (1, 1), weights=field)
        array([[4.]], dtype=float32)
    """
    field = np.asarray(field, np.float32)
    if field.ndim < 2 or 0 in field.shape or min(cells) < 1:
        raise ValueError(f"got {field.shape} to {cells}, expected (..., h, w) and two sides >= 1")
    if weights is None:
        return _resized(field, cells)
    mass = np.asarray(weights, np.float32)
    if mass.shape != field.shape[-2:] or not (mass >= 0).all():
        raise ValueError(f"got weights {mass.shape}, expected {field.shape[-2:]}, none below 0")
    mass = mass + 1e-9 * max(float(mass.max()), 1e-9)  # where all weigh nothing: the plain mean
    return _resized(field * mass, cells) / _resized(mass, cells)


def _resized(field: NDArray[np.float32], cells: tuple[int, int]) -> NDArray[np.float32]:
    """Axis by axis, so that fewer cells take a mean and more cells interpolate."""
    flat = field.reshape(-1, *field.shape[-2:])
    for axis in (1, 2):
        flat = np.moveaxis(flat, axis, 0)  # (n, ...)
        rows = flat.reshape(len(flat), -1)
        way = cv2.INTER_AREA if cells[axis - 1] < len(flat) else cv2.INTER_LINEAR
        found = np.asarray(
            cv2.resize(rows, (rows.shape[1], cells[axis - 1]), interpolation=way), np.float32
        )
        flat = np.moveaxis(found.reshape(cells[axis - 1], *flat.shape[1:]), 0, axis)
    return np.ascontiguousarray(flat.reshape(*field.shape[:-2], *cells))
