"""Moving pictures whose motion is known: textures given by a formula, so seen at any point."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 160, 216
CENTRE = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
Points = NDArray[np.floating]
Texture = Callable[[Points], NDArray[np.floating]]
Motion = Callable[[Points, float], Points]  # points at t = 0 -> where they are at t


def texture(seed: int, *, finest: float = 9.0, waves: int = 12) -> Texture:
    """RGB in [0, 255] at points `(..., 2)`: waves of 9 to 45 pixels in all directions."""
    rng = np.random.default_rng(seed)
    angle, length = rng.uniform(0, 2 * np.pi, waves), finest * 5 ** rng.random(waves)
    wave = 2 * np.pi / length * np.stack([np.cos(angle), np.sin(angle)])  # (2, waves)
    phase, height = rng.uniform(0, 2 * np.pi, waves), rng.normal(size=(waves, 3))
    height *= 45 / np.sqrt(np.square(height).sum(0) / 2)

    ways, starts, heights = (a.astype(np.float32) for a in (wave, phase, height))  # twice as fast

    def colour(points: Points) -> NDArray[np.floating]:
        return np.clip(128 + np.sin(points.astype(np.float32) @ ways + starts) @ heights, 0, 255)

    return colour


def similarity(turn: float, scale: float, shift: Sequence[float]) -> Motion:
    """Even motion about the centre: in 1 s by `turn` rad and `shift` px, and to `scale`."""

    def move(points: Points, t: float) -> Points:
        c, s = np.cos(turn * t) * scale**t, np.sin(turn * t) * scale**t
        return (points - CENTRE) @ np.array([[c, s], [-s, c]]) + CENTRE + np.asarray(shift) * t

    return move


def undo(turn: float, scale: float, shift: Sequence[float]) -> Motion:
    """The way back of `similarity`."""

    def move(points: Points, t: float) -> Points:
        c, s = np.cos(-turn * t) / scale**t, np.sin(-turn * t) / scale**t
        return (points - CENTRE - np.asarray(shift) * t) @ np.array([[c, s], [-s, c]]) + CENTRE

    return move


class Layer:
    """A texture that moves by a similarity, where `within` (of its points at t = 0) says so."""

    def __init__(
        self,
        seed: int,
        *,
        turn: float = 0,
        scale: float = 1,
        shift: Sequence[float] = (0, 0),
        within: Callable[[Points], NDArray[np.bool_]] | None = None,
    ) -> None:
        self.colour, self.within = texture(seed), within
        self.forth, self.back = similarity(turn, scale, shift), undo(turn, scale, shift)


def frame_points() -> NDArray[np.float64]:
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1).astype(float)


def render(layers: Sequence[Layer], t: float) -> NDArray[np.uint8]:
    """The frame at time t, later layers in front."""
    picture = np.zeros((HEIGHT, WIDTH, 3))
    for layer in layers:
        source = layer.back(frame_points(), t)
        shown = np.ones((HEIGHT, WIDTH), bool) if layer.within is None else layer.within(source)
        picture[shown] = layer.colour(source[shown])
    return picture.round().astype(np.uint8)


def clip(layers: Sequence[Layer], times: Sequence[float]) -> list[NDArray[np.uint8]]:
    return [render(layers, t) for t in times]


def disc(radius: float) -> Callable[[Points], NDArray[np.bool_]]:
    def within(points: Points) -> NDArray[np.bool_]:
        return np.hypot(*np.moveaxis(points - CENTRE, -1, 0)) <= radius

    return within


def square(side: float) -> Callable[[Points], NDArray[np.bool_]]:
    def within(points: Points) -> NDArray[np.bool_]:
        return abs(points - CENTRE).max(-1) <= side / 2

    return within
