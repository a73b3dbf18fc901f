"""A clip cut into one-second windows: a picture, and how it moves in the second after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flow.basis import COEFFICIENTS, fit
from flow.dense import SHORT_SIDE
from flow.trajectory import SLACK, Step, Tracker, follow

STRIDE = 0.5  # s between the starts of windows
FLOOR = 0.05  # weight in the fit of a step that is lost: it bounds the curve, and hardly bends it
FOUND = 0.4  # inlier ratio below which a moving camera has not been found


@dataclass(frozen=True)
class Window:
    """One still and the second that follows it. Lengths in pixels of the input.

    Attributes:
        start: time of the frame in seconds, on the clock of the clip.
        frame: `(H, W, 3)` uint8, as given.
        coefficients: `(k, 2, h, w)` float32, of the displacements without the camera's motion;
            `flow.basis.unfit` gives them back.
        confidence: `(h, w)` float32 in [0, 1], the mean over the second.
        camera_static: whether the camera stands still.
        inlier_ratio: in [0, 1], the share of the picture that moves as the camera does.
        motion: length of the displacements, mean over the second and over the cells, each
            weighing as much as its confidence.
    """

    start: float
    frame: NDArray[np.uint8]
    coefficients: NDArray[np.float32]
    confidence: NDArray[np.float32]
    camera_static: bool
    inlier_ratio: float
    motion: float

    @property
    def steady(self) -> bool:
        """Whether the camera stands still or its motion has been found, and so taken out."""
        return self.inlier_ratio >= FOUND


def windows(
    frames: Iterable[NDArray[np.uint8]],
    times: Iterable[float],
    *,
    stride: float = STRIDE,
    k: int = COEFFICIENTS,
    short_side: int = SHORT_SIDE,
) -> Iterator[Window]:
    """The one-second windows of a clip, in order, while its frames come in.

    Frames are read once and not kept, so a clip may be longer than memory. Windows overlap where
    the stride is below one second; each flow is still computed once. A clip shorter than a
    second has none.

    Args:
        frames: uint8 RGB `(H, W, 3)` each, of one size.
        times: of the frames, in seconds, increasing.
        stride: least time between the starts of two windows, in seconds.
        k: coefficients an axis.
        short_side: of the working frame, a multiple of 8, 160 to 240; with a landscape frame
            `h = short_side / 8`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> frame = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((5, 5, 1))).astype("uint8")
        >>> clip = windows([frame] * 4, [0.0, 0.5, 1.0, 1.5], short_side=80)
        >>> [(w.start, w.coefficients.shape, round(w.motion, 2)) for w in clip]
        [(0.0, (5, 2, 10, 10), 0.0), (0.5, (5, 2, 10, 10), 0.0)]
    """
    if not stride > 0:
        raise ValueError(f"got a stride of {stride} s, expected more than 0")
    running: list[tuple[Step, Tracker]] = []
    last = -np.inf
    for step in follow(frames, times, short_side=short_side):
        for _, tracker in running:
            tracker.advance(step)
        while running and running[0][1].complete:
            yield _window(*running.pop(0), k)
        if step.time - last >= stride - SLACK:
            running.append((step, Tracker(step)))
            last = step.time


def _window(start: Step, tracker: Tracker, k: int) -> Window:
    found = tracker.trajectories()
    coefficients = fit(
        found.displacements, k, weights=FLOOR + (1 - FLOOR) * found.confidence.clip(0, 1)
    )
    confidence = found.confidence.mean(0)
    length = np.linalg.norm(found.displacements, axis=-1).mean(0)
    motion = float((length * confidence).sum() / max(float(confidence.sum()), 1e-9))
    return Window(
        start=start.time,
        frame=start.frame,
        coefficients=coefficients,
        confidence=confidence,
        camera_static=found.camera.static,
        inlier_ratio=found.camera.inlier_ratio,
        motion=motion,
    )
