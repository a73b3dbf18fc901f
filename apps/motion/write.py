"""The files of a forecast: animations, pictures of its flow and trails, and its numbers."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.images import encode_png
from apps.motion.predict import ANIMATED, Forecast, animate
from flow.draw import flow_picture, trails
from flow.write import encode_gif, encode_mp4

FPS = 30.0
SMALL = 300_000  # pixels of a frame of a GIF: a megapixel of them would be 50 MB
ENCODERS: dict[str, tuple[Callable[..., bytes], int]] = {
    "gif": (encode_gif, SMALL),
    "mp4": (encode_mp4, ANIMATED),
}
NUMBERS = "trajectories.npz"


def write(
    folder: Path,
    pixels: NDArray[np.uint8],
    forecast: Forecast,
    *,
    form: str = "gif",
    strength: float = 1.0,
    mask: NDArray[np.float32] | None = None,
) -> list[str]:
    """Write `1.gif`, `flow-1.png`, `trails-1.png` … and `trajectories.npz`; names of the first.

    What an earlier run left under such names is removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clear(folder)
    size = (pixels.shape[1], pixels.shape[0])
    names = []
    for i, moves in enumerate(forecast.displacements):
        names.append(f"{i + 1}.{form}")
        film = film_of(pixels, forecast, i, form=form, strength=strength, mask=mask)
        (folder / names[-1]).write_bytes(film)
        flow = flow_picture(moves, forecast.grid, size)
        (folder / f"flow-{i + 1}.png").write_bytes(encode_png(flow))
        drawn = trails(pixels, moves, forecast.grid)
        (folder / f"trails-{i + 1}.png").write_bytes(encode_png(drawn))
    (folder / NUMBERS).write_bytes(numbers(forecast))
    return names


def film_of(
    pixels: NDArray[np.uint8],
    forecast: Forecast,
    i: int,
    *,
    form: str,
    strength: float = 1.0,
    mask: NDArray[np.float32] | None = None,
) -> bytes:
    """Answer i as a looping `gif`, or as `mp4`; frames of a GIF have at most 0.3 megapixels."""
    encode, most = ENCODERS[form]
    frames = animate(pixels, forecast, i, strength=strength, mask=mask, most=most)
    return encode(frames, fps=FPS)


def numbers(forecast: Forecast) -> bytes:
    """`displacements`, `grid` and `probabilities` of a forecast as an NPZ."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        displacements=forecast.displacements,
        grid=forecast.grid,
        probabilities=forecast.probabilities,
    )
    return file.getvalue()


def clear(folder: Path) -> None:
    """Remove what an earlier forecast wrote here, of any number and form; nothing else."""
    for path in folder.iterdir():
        kind, _, number = path.stem.rpartition("-")
        drawn = path.suffix == ".png" and kind in ("flow", "trails") and number.isdigit()
        film = path.suffix in (".gif", ".mp4") and path.stem.isdigit()
        if drawn or film or path.name == NUMBERS:
            path.unlink()
