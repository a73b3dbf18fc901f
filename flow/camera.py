"""The motion of the camera: a similarity per moment, found among points that also move alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRIALS = 256  # pairs tried: one in 7 hits a background of 40 %, so to miss it always is hopeless
MOMENTS = 6  # at which the trials are compared; all moments enter the final fit
SPREAD = 0.25  # least distance of a pair, in diagonals of the points: near pairs amplify noise
TOLERANCE = 1 / 100  # of the short side: a point further off than this does not move as the camera
STILL = 1 / 160  # of the short side: a camera that shifts no corner further stands still
BORDER = 3.0  # weight of a point at the border against one in the middle, where movers are
LEAST = 8  # points that must stay in sight


@dataclass(frozen=True)
class Camera:
    """Where the camera takes the points of the first frame.

    Attributes:
        similarities: `(T, 2, 3)` float64, for T moments: point p of the first frame, if it does
            not move by itself, is seen at `similarities[t] @ (x, y, 1)`.
        inlier_ratio: in [0, 1], the share of points that move as the camera does. Low where
            there is no camera motion to be found: a mover fills the picture, or near and far
            move apart.
        static: no corner of the frame is shifted by more than 1/160 of its short side;
            `similarities` are then the identity.
    """

    similarities: NDArray[np.float64]
    inlier_ratio: float
    static: bool


def find_camera(
    points: NDArray[np.floating],
    moved: NDArray[np.floating],
    *,
    size: tuple[int, int],
    weights: NDArray[np.floating] | None = None,
) -> Camera:
    r"""The similarity, for every moment, by which most of the points move.

    .. math:: q_t \approx a_t p + b_t

    with points as complex numbers x + iy, so that a_t turns and scales and b_t shifts. RANSAC
    (Fischler and Bolles, 1981) with the truncated loss of MSAC (Torr and Zisserman, 2000): two
    points give a motion for *all* moments at once, so that a slow mover, which no single pair of
    frames tells from the background, betrays itself over the second. Points near the border
    count more: movers tend to be in the middle. No randomness remains: the trials are the same
    every time.

    Shapes: points `(N, 2)`, a balanced grid over the frame; moved `(T, N, 2)`, where they are at
    T moments; weights `(T, N)` in [0, 1], how sure that is, 1 by default; size (height, width) of
    the frame. All lengths in its pixels.

    Example:
        >>> points = np.stack(np.meshgrid(np.arange(0, 160, 16), np.arange(0, 120, 16)), -1)
        >>> points = points.reshape(-1, 2)
        >>> camera = find_camera(points, 1.1 * points[None] + [4, 0], size=(120, 160))
        >>> camera.similarities[0].round(6) + 0.0
        array([[1.1, 0. , 4. ],
               [0. , 1.1, 0. ]])
        >>> round(camera.inlier_ratio, 3), camera.static
        (1.0, False)
    """
    p, q, sure = _checked(points, moved, weights)
    tolerance = TOLERANCE * min(size)
    centre = complex(size[1] - 1, size[0] - 1) / 2
    p, q = p - centre, q - centre
    at_border = np.maximum(abs(p.real) / abs(centre.real), abs(p.imag) / abs(centre.imag))
    weight = sure * (1 + (BORDER - 1) * at_border.clip(0, 1))
    a, b = _best_pair(p, q, weight, tolerance)
    for _ in range(5):
        weight_now = weight * (_misfit(a, b, p, q, weight) < tolerance)
        a, b = _least_squares(p, q, weight_now, (a, b))
    inlier = _misfit(a, b, p, q, weight) < tolerance
    total = sure.sum()
    corners = np.array([1, -1, 1j, -1j]) * abs(centre)  # a circle through them
    shift = abs(np.outer(a - 1, corners) + b[:, None])
    ratio = float((sure * inlier).sum() / total) if total > 0 else 0.0
    if ratio == 0 or shift.max() <= STILL * min(size):
        return Camera(np.tile(np.eye(2, 3), (len(q), 1, 1)), ratio, True)
    b = b + centre - a * centre
    rows = [[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]]
    return Camera(np.moveaxis(np.array(rows), -1, 0), ratio, False)


def without_camera(
    points: NDArray[np.floating], similarities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points seen at T moments, brought back to where the first frame would show them.

    Shapes: points `(T, ..., 2)`, similarities `(T, 2, 3)` -> `(T, ..., 2)`.

    Example:
        >>> shifted = np.array([[[1.0, 0.0, 5.0], [0.0, 1.0, 0.0]]])
        >>> without_camera(np.array([[[8.0, 2.0]]]), shifted)
        array([[[3., 2.]]])
    """
    if len(points) != len(similarities):
        raise ValueError(
            f"got points at {len(points)} moments and {len(similarities)} similarities, "
            "expected one each"
        )
    shift = similarities[:, :, 2].reshape(len(points), *[1] * (points.ndim - 2), 2)
    back = np.linalg.inv(similarities[:, :, :2])
    return np.einsum("tij,t...j->t...i", back, points - shift)


def _checked(
    points: NDArray[np.floating],
    moved: NDArray[np.floating],
    weights: NDArray[np.floating] | None,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
    """Points and where they go as complex numbers, and weights in double precision."""
    p, q = np.asarray(points, float), np.asarray(moved, float)
    if p.ndim != 2 or q.ndim != 3 or q.shape[1:] != p.shape or p.shape[1] != 2 or len(p) < LEAST:
        raise ValueError(
            f"got points {p.shape} moved to {q.shape}, expected (N, 2) and (T, N, 2) with at "
            f"least {LEAST} points"
        )
    sure = np.ones(q.shape[:2]) if weights is None else np.asarray(weights, float)
    if sure.shape != q.shape[:2] or not (sure >= 0).all():
        raise ValueError(f"got weights {sure.shape}, expected {q.shape[:2]}, none below 0")
    if not (np.isfinite(p).all() and np.isfinite(q).all() and np.isfinite(sure).all()):
        raise ValueError("got points or weights that are not finite, expected numbers only")
    return p[:, 0] + 1j * p[:, 1], q[..., 0] + 1j * q[..., 1], sure


def _misfit(
    a: NDArray[np.complex128],
    b: NDArray[np.complex128],
    p: NDArray[np.complex128],
    q: NDArray[np.complex128],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Root mean square over the moments by which each point departs: a, b `(..., T)` -> (..., N).

    Moments at which a point is lost do not count; a point that is always lost departs by inf.
    """
    square = abs(a[..., None] * p + b[..., None] - q) ** 2
    total = weight.sum(0)
    mean = (square * weight).sum(-2) / np.where(total > 0, total, 1)
    return np.where(total > 0, np.sqrt(mean), np.inf)


def _best_pair(
    p: NDArray[np.complex128],
    q: NDArray[np.complex128],
    weight: NDArray[np.float64],
    tolerance: float,
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """The best of many motions through two points each, and of standing still."""
    count = len(q)
    a, b = np.ones((1, count), complex), np.zeros((1, count), complex)
    seen = np.flatnonzero(weight.min(0) > 0)
    if len(seen) >= LEAST:
        draw = np.random.default_rng(0).choice(seen, (8 * TRIALS, 2))
        far = abs(p[draw[:, 0]] - p[draw[:, 1]]) >= SPREAD * np.hypot(
            np.ptp(p.real), np.ptp(p.imag)
        )
        i, j = draw[far][:TRIALS].T
        turn = (q[:, i] - q[:, j]) / (p[i] - p[j])
        a = np.concatenate([a, turn.T])
        b = np.concatenate([b, (q[:, i] - turn * p[i]).T])
    some = np.unique(np.linspace(0, count - 1, MOMENTS).round().astype(int))
    misfit = _misfit(a[:, some], b[:, some], p, q[some], weight[some])
    loss = (np.minimum(misfit, tolerance) ** 2 * weight.mean(0)).sum(1)
    best = int(loss.argmin())
    return a[best], b[best]


def _least_squares(
    p: NDArray[np.complex128],
    q: NDArray[np.complex128],
    weight: NDArray[np.float64],
    otherwise: tuple[NDArray[np.complex128], NDArray[np.complex128]],
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """The similarity of least weighted squares for every moment; too few points: as before."""
    total = np.maximum(weight.sum(1), 1e-12)
    p_mean, q_mean = (weight * p).sum(1) / total, (weight * q).sum(1) / total
    from_mean = p - p_mean[:, None]
    spread = (weight * abs(from_mean) ** 2).sum(1)
    product = (weight * from_mean.conj() * (q - q_mean[:, None])).sum(1)
    a = product / np.maximum(spread, 1e-12)
    enough = (weight > 0).sum(1) >= LEAST
    a = np.where(enough, a, otherwise[0])
    return a, np.where(enough, q_mean - a * p_mean, otherwise[1])
