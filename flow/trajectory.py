"""Where every cell of a frame goes within the next second.

Units, here and in all of `flow`: lengths in pixels of the input frames, x to the right and y
down, the centre of the first pixel at (0, 0); time in seconds.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator

from flow.basis import STEPS
from flow.camera import Camera, find_camera, without_camera
from flow.dense import (
    CELL,
    SHORT_SIDE,
    Flow,
    flow_between,
    inside,
    prepare,
    sample,
    texture,
)
from flow.grid import cell_centres
from flow.refine import realign

PLAIN = 0.1  # weight of a cell without texture for the camera: a plain wall stands behind movers
LOOK_BACK = 1 / 6  # s between corrections by the picture: 1/3 loses fast movers, 1/10 costs more
SLACK = 0.002  # s: containers round timestamps, and 30 steps of 29.97 fps are 1.001 s


@dataclass(frozen=True)
class Trajectories:
    """The second after a frame, on the grid of its cells.

    Attributes:
        displacements: `(30, h, w, 2)` float32, x and y relative to t = 0 at t = 1/30, … 1 s,
            in pixels of the input.
        confidence: `(30, h, w)` float32 in [0, 1], for every moment; it never rises.
        grid: `(h, w, 2)` float32, x and y of each cell's centre at t = 0 in pixels of the input.
        camera: how the camera moved; the displacements are without it if so asked.
    """

    displacements: NDArray[np.float32]
    confidence: NDArray[np.float32]
    grid: NDArray[np.float32]
    camera: Camera


class Step(NamedTuple):
    """A frame of a clip, as it was given and as it is measured, and the flow that led to it."""

    time: float
    frame: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    flow: Flow | None


def follow(
    frames: Iterable[NDArray[np.uint8]], times: Iterable[float], *, short_side: int = SHORT_SIDE
) -> Iterator[Step]:
    """The flow from each frame to the next, in working pixels, one by one as they come."""
    last: Step | None = None
    for frame, time in zip(frames, times, strict=True):
        grey = prepare(frame, short_side)
        if last is None:
            last = Step(time, frame, grey, None)
        else:
            if frame.shape != last.frame.shape:
                raise ValueError(
                    f"got a frame {frame.shape} after {last.frame.shape}, expected one size"
                )
            if not time > last.time:
                raise ValueError(
                    f"got a frame at {time} s after one at {last.time} s, expected times that "
                    "increase"
                )
            last = Step(time, frame, grey, flow_between(last.grey, grey))
        yield last


class Tracker:
    """Follows the cells of one frame through those after it, step by step of `follow`."""

    def __init__(self, start: Step) -> None:
        self.size = (start.frame.shape[0], start.frame.shape[1])
        self.working = (start.grey.shape[0], start.grey.shape[1])
        self.begun = start.time
        self.times = [0.0]
        self.points = [cell_centres(self.cells, self.working)]
        self.texture = sample(texture(start.grey), self.points[0])
        self.trust = [np.ones(self.cells, np.float32)]  # in the round trips so far
        self.anchor = (0, start.grey)  # the step last looked back from

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.working[0] // CELL, self.working[1] // CELL

    def advance(self, step: Step) -> None:
        """One frame on."""
        if step.flow is None:
            raise ValueError("got the first frame of a clip, expected one that follows another")
        here = self.points[-1]
        there = here + sample(step.flow.motion, here)
        kept = sample(step.flow.confidence, here) * inside(there, *self.working)
        self.times.append(step.time - self.begun)
        self.points.append(there)
        self.trust.append(np.minimum(self.trust[-1], kept))
        if self.times[-1] - self.times[self.anchor[0]] >= LOOK_BACK - SLACK or self.complete:
            self._look_back(step.grey)

    def _look_back(self, grey: NDArray[np.uint8]) -> None:
        """Set the points right; what they were off has grown evenly since the anchor."""
        since, picture = self.anchor
        off = realign(picture, grey, self.points[since], self.points[-1]) - self.points[-1]
        span = self.times[-1] - self.times[since]
        for n in range(since + 1, len(self.points)):
            share = (self.times[n] - self.times[since]) / span
            self.points[n] = self.points[n] + np.float32(share) * off
        self.anchor = (len(self.points) - 1, grey)

    @property
    def complete(self) -> bool:
        """Whether the second is full."""
        return self.times[-1] >= 1 - SLACK

    def trajectories(self, *, steady: bool = True) -> Trajectories:
        """What has been followed, at the 30 moments; `steady`: without the camera's motion."""
        moments = np.arange(1, STEPS + 1) / STEPS
        times = np.array(self.times)
        moments = np.minimum(moments, times[-1])
        path = Akima1DInterpolator(times, np.stack(self.points))(moments)  # (30, h, w, 2)
        trust = _linear(times, np.stack(self.trust), moments)
        scale = np.array(self.size[::-1]) / self.working[::-1]
        seen = (path + 0.5) * scale - 0.5
        grid = cell_centres(self.cells, self.size)
        flat = (STEPS, -1)
        camera = find_camera(
            grid.reshape(-1, 2),
            seen.reshape(*flat, 2),
            size=self.size,
            weights=(trust * (PLAIN + (1 - PLAIN) * self.texture)).reshape(flat),
        )
        if steady and not camera.static:
            seen = without_camera(seen, camera.similarities)
        shift = (seen - grid).astype(np.float32)
        return Trajectories(shift, (trust * self.texture).astype(np.float32), grid, camera)


def _linear(
    times: NDArray[np.float64], values: NDArray[np.float32], moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values at the times `(n, ...)` -> at the moments `(m, ...)`, straight between."""
    after = np.searchsorted(times, moments).clip(1, len(times) - 1)
    share = (moments - times[after - 1]) / (times[after] - times[after - 1])
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return (1 - share) * values[after - 1] + share * values[after]


def trajectories(
    frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    times: Iterable[float],
    *,
    short_side: int = SHORT_SIDE,
    steady: bool = True,
) -> Trajectories:
    r"""Follow every cell of the first frame for one second.

    .. math:: p_{n+1} = p_n + f_n(p_n)

    with f_n the dense flow from one frame to the next, and six times a second the points are set
    right against the picture (`flow.refine`). The path is interpolated in time
    (Akima 1970: smooth, and calm beside a jump), so that clips of any frame rate, also a varying
    one, give the same 30 moments. Confidence is that of the worst step so far, times the texture
    at the start; 0 once a cell leaves the frame.

    Args:
        frames: uint8 RGB `(H, W, 3)` each, of one size; at least one second of them.
        times: of the frames, in seconds, increasing.
        short_side: of the working frame, a multiple of 8, 160 to 240; its cells have 8 × 8
            pixels: `h = short_side / 8` where the frame is wider than tall.
        steady: take the motion of the camera out.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> frame = np.kron(rng.integers(0, 256, (16, 16, 3)), np.ones((5, 5, 1))).astype("uint8")
        >>> found = trajectories([frame, frame, frame], [0.0, 0.5, 1.0], short_side=80)
        >>> found.displacements.shape, found.grid.shape, found.camera.static
        ((30, 10, 10, 2), (10, 10, 2), True)
    """
    frames, times = list(frames), [float(time) for time in times]
    if len(frames) != len(times) or len(frames) < 2 or times[-1] - times[0] < 1 - SLACK:
        span = f" over {times[-1] - times[0]:.3f} s" if times else ""
        raise ValueError(
            f"got {len(frames)} frames and {len(times)} times{span}, expected a time for each "
            "frame and at least one second of them"
        )
    tracker: Tracker | None = None
    for step in follow(frames, times, short_side=short_side):
        if tracker is None:
            tracker = Tracker(step)
        else:
            tracker.advance(step)
        if tracker.complete:
            break
    assert tracker is not None  # there are frames
    return tracker.trajectories(steady=steady)
