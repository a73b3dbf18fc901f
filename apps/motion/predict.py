"""From an uploaded still to k forecasts of its next second."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from apps import images, runtime
from apps.motion.answers import POOL, answers, pool
from apps.motion.model import KINDS
from apps.motion.scores import displacements
from apps.motion.working import MOVES, SIZE, resized
from cvae.model import CVAE
from flow import render
from flow.basis import unfit
from flow.dense import CELL
from flow.grid import cell_centres, rescale
from pretrained.store import WeightsError

MOST = 32  # answers at a time
POINTED = 4.0  # concentration of an arrow drawn by hand
ANIMATED = 2_000_000  # pixels of a frame
LONGEST = 2.2  # times as long as tall, or as tall as long: what is longer is squeezed
BLOCK = 16  # the tower halves four times

Image = str | Path | bytes | np.ndarray | Any


@dataclass(frozen=True)
class Hint:
    """What somebody knows: the thing at `start` goes towards `end`; x, y in px of the image."""

    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Forecast:
    """k ways in which one still may go on.

    Attributes:
        displacements: float32 `(k, 30, h, w, 2)`, x and y in pixels of the image, relative to
            t = 0, at t = 1/30 … 1 s.
        grid: `(h, w, 2)`, x and y of each cell's centre in pixels of the image.
        probabilities: `(k,)` float32, they do not increase and sum to 1.
        seed: what they can be had again by.
    """

    displacements: NDArray[np.float32]
    grid: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    seed: int


class Forecaster:
    """A trained model and the way from a still to its next second around it.

    Example:
        >>> forecaster = Forecaster.from_pretrained()
        >>> still = np.full((160, 160, 3), 128, np.uint8)
        >>> forecast = forecaster(still, k=5, seed=0)
        >>> forecast.displacements.shape
        (5, 30, 20, 20, 2)
        >>> frames = forecaster.animate(still, 0, forecast=forecast)
        >>> frames.shape[1:]
        (160, 160, 3)
    """

    def __init__(self, model: CVAE, *, device: str = "auto", name: str = "") -> None:
        self.device = runtime.pick_device(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.name = name

    @classmethod
    def from_pretrained(
        cls, path_or_name: str | Path = "motion", device: str = "auto"
    ) -> "Forecaster":
        """Load checked weights: a folder, or the name of a model that is shipped.

        Raises:
            pretrained.store.WeightsError: not there, damaged, or of another domain.
        """
        return cls(load(path_or_name), device=device, name=str(path_or_name))

    @torch.inference_mode()
    def __call__(
        self, image: Image, k: int = 5, seed: int = 0, hint: Hint | None = None
    ) -> Forecast:
        """Forecast the next second k times, the most probable answer first.

        Args:
            image: path, encoded bytes, PIL image, or array `(H, W)` or `(H, W, 3)` uint8 or
                uint16.
            k: how many, 1 to 32.
            seed: the same one gives the same bytes on the same device.
            hint: where something goes; draws that agree count more.

        Raises:
            apps.images.ImageError: the image cannot be read.
            ValueError: a number out of its range.
        """
        runtime.check("k", k, 1, MOST)
        pixels = images.read(image).pixels
        size = (pixels.shape[0], pixels.shape[1])
        inner = network_size(*size)
        frame = torch.from_numpy(resized(pixels, inner)).to(self.device)
        drawn = pool(self.model, frame.permute(2, 0, 1)[None], POOL, seed=seed)[0]
        scale = inner[1] / size[1], inner[0] / size[0]
        weights = None if hint is None else agreement(drawn, _scaled(hint, scale))
        chosen, shares = answers(drawn, k, weights=weights)
        moves = rescale(chosen.cpu().numpy(), inner, size)
        return Forecast(
            displacements=unfit(moves),
            grid=cell_centres((inner[0] // CELL, inner[1] // CELL), size),
            probabilities=shares.cpu().numpy(),
            seed=seed,
        )

    def animate(
        self,
        image: Image,
        i: int,
        strength: float = 1.0,
        mask: Image | None = None,
        *,
        forecast: Forecast | None = None,
    ) -> NDArray[np.uint8]:
        """The image moving as answer i says: a loop of frames, uint8 `(T, H, W, 3)`.

        Images of more than two megapixels move at two: thirty frames of a large one would fill
        the memory.

        Args:
            i: number of the answer, counted from 0.
            strength: factor on the motion, 0 to 3.
            mask: what may move is bright in it; of the size of the image.
            forecast: of this very image; by default its five answers of seed 0.

        Raises:
            apps.images.ImageError: an image cannot be read.
            ValueError: a number out of its range, or a mask of another size.
        """
        runtime.check("strength", strength, 0, 3)
        pixels = images.read(image).pixels
        found = self(image) if forecast is None else forecast
        runtime.check("i", i, 0, len(found.probabilities) - 1)
        may = None if mask is None else allowed(images.read(mask).pixels, pixels.shape[:2])
        return animate(pixels, found, i, strength=strength, mask=may)


def load(path_or_name: str | Path) -> CVAE:
    """Networks with checked weights, strictly loaded, in float32.

    Raises:
        pretrained.store.WeightsError: not there, damaged, of another domain, or of a model that
            is here for comparison only.
    """
    model, config = runtime.load(path_or_name, domain="motion", kinds=KINDS)
    kind = config["model"]
    if kind != "mixture":
        raise WeightsError(f"got a model {kind!r} in {path_or_name}, expected a 'mixture'")
    return model


def network_size(height: int, width: int) -> tuple[int, int]:
    """Size at which a still enters the tower: its short side is 160, both multiples of 16.

    Example:
        >>> network_size(480, 640), network_size(1920, 1080), network_size(100, 9000)
        ((160, 208), (272, 160), (160, 352))
    """
    ratio = min(max(height, width) / min(height, width), LONGEST)
    long = int(SIZE[0] * ratio / BLOCK) * BLOCK
    return (SIZE[0], long) if width >= height else (long, SIZE[0])


def agreement(motions: Tensor, hint: Hint) -> Tensor:
    r"""Weight of each draw given a hint, `(n, 5, 2, h, w)` -> `(n,)`: importance sampling.

    .. math:: w = \frac{\|d\|}{\|d\| + 3\,\mathrm{px}} \, e^{\kappa \cos \angle(d, a)}

    with d the mean displacement over the second near the start of the arrow a: the von Mises law
    of a hand that points somewhat beside the way, for draws in which something there moves.
    """
    h, w = motions.shape[-2:]
    x, y = (round((c + 0.5) / CELL - 0.5) for c in hint.start)
    rows = slice(max(0, min(y, h - 1) - 1), min(y, h - 1) + 2)
    columns = slice(max(0, min(x, w - 1) - 1), min(x, w - 1) + 2)
    way = displacements(motions[..., rows, columns]).mean((1, 3, 4))  # (n, 2)
    arrow = torch.tensor(hint.end) - torch.tensor(hint.start)
    if not bool(arrow.norm() > 0):
        raise ValueError(f"got a hint from {hint.start} to {hint.end}, expected two places")
    length = way.norm(dim=1)
    cosine = way @ arrow.to(way) / (length * arrow.norm().to(way)).clamp_min(1e-9)
    weight = (length + 1e-6) / (length + MOVES) * torch.exp(POINTED * (cosine - 1))
    return weight / weight.sum()


def animate(
    pixels: NDArray[np.uint8],
    forecast: Forecast,
    i: int,
    *,
    strength: float = 1.0,
    mask: NDArray[np.float32] | None = None,
    most: int = ANIMATED,
) -> NDArray[np.uint8]:
    """A loop of a picture moving as answer i says; of more pixels than `most` it is shrunk."""
    shrink = min(1.0, math.sqrt(most / (pixels.shape[0] * pixels.shape[1])))
    grid, moves = forecast.grid, smooth(forecast.displacements[i])
    if shrink < 1:
        height, width = (round(side * shrink) for side in pixels.shape[:2])
        scale = np.array([width / pixels.shape[1], height / pixels.shape[0]], np.float32)
        pixels = resized(pixels, (height, width))
        grid, moves = (grid + 0.5) * scale - 0.5, moves * scale
        if mask is not None:
            mask = cv2.resize(mask, (width, height)).astype(np.float32)
    return render.animate(pixels, moves, grid, strength=strength, mask=mask, loop=True)


def smooth(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur `(30, h, w, 2)` by a cell, so that neighbours move together; the same size comes."""
    return np.stack([cv2.GaussianBlur(field, (0, 0), 0.7) for field in motion])


def _scaled(hint: Hint, scale: tuple[float, float]) -> Hint:
    (x, y), (u, v) = hint.start, hint.end
    return Hint((x * scale[0], y * scale[1]), (u * scale[0], v * scale[1]))


def allowed(mask: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.float32]:
    """How far a pixel may move, 0 to 1, by the brightness of a mask `(H, W, 3)` of that size."""
    if mask.shape[:2] != size:
        raise ValueError(
            f"got a mask of {mask.shape[1]} x {mask.shape[0]} pixels for an image of "
            f"{size[1]} x {size[0]}, expected the same size"
        )
    return mask.astype(np.float32).mean(2) / 255
