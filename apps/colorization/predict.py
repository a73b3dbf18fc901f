"""From an uploaded photo to k coloured ones of its own size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from apps import images, runtime
from apps.colorization.data import GREY_SIZE, resize, to_lab
from apps.colorization.gamut import to_rgb
from apps.colorization.model import KINDS
from apps.colorization.upsample import colour
from cvae.model import CVAE, Latent
from mdn.modes import central, principal_points

MOST = 64  # answers at a time
POOL = 128  # draws that the distinct answers are condensed from
CALM = 0.7  # their temperature, chosen on val: .8 is as near to the truth, and wilder
SENSIBLE = 0.9  # the share of them kept: the wildest stand for nobody
LONGEST = 2 * GREY_SIZE  # longer pictures are squeezed to this on their way into the tower
CELL = 16  # the tower halves four times

Image = str | Path | bytes | np.ndarray | Any


@dataclass(frozen=True)
class Colorization:
    """k coloured versions of one photo.

    `images`: k arrays `(H, W, 3)` uint8 sRGB; `probabilities`: k floats that do not increase and
    sum to 1; `seed`: what they can be had again by; `alpha`: the upload's own, `(H, W)` uint8, or
    None.
    """

    images: list[np.ndarray]
    probabilities: list[float]
    seed: int
    alpha: np.ndarray | None


class Colorizer:
    """A trained model and the way from picture to pictures around it.

    Example:
        >>> colorizer = Colorizer.from_pretrained()
        >>> answer = colorizer(np.full((48, 64), 128, np.uint8), k=2, seed=0)
        >>> answer.images[0].shape
        (48, 64, 3)
        >>> answer.probabilities[0] >= answer.probabilities[1]
        True
    """

    def __init__(self, model: CVAE, *, device: str = "auto", name: str = "") -> None:
        self.device = runtime.pick_device(device)
        self.model = model.to(self.device).to(memory_format=torch.channels_last).eval()
        self.name = name

    @classmethod
    def from_pretrained(
        cls, path_or_name: str | Path = "colorization", device: str = "auto"
    ) -> "Colorizer":
        """Load checked weights: a folder, or the name of a model that is shipped.

        Raises:
            pretrained.store.WeightsError: not there, damaged, or of another domain.
        """
        return cls(load(path_or_name), device=device, name=str(path_or_name))

    @torch.inference_mode()
    def __call__(
        self,
        image: Image,
        k: int = 8,
        seed: int = 0,
        temperature: float | None = None,
        intensity: float = 1.0,
    ) -> Colorization:
        """Colour a photo k times.

        Args:
            image: path, encoded bytes, PIL image, or array `(H, W)` or `(H, W, 3)` uint8 or
                uint16. Colour is turned to grey first.
            k: how many, 1 to 64.
            seed: the same one gives the same bytes on the same device.
            temperature: None for k distinct answers, most probable first; a number in (0, 2] for
                plain draws with that much noise, draw j depending on (image, seed, j) alone.
            intensity: factor on the chroma, 0 to 2.

        Raises:
            apps.images.ImageError: the image cannot be read.
            ValueError: a number out of its range.
        """
        runtime.check("k", k, 1, MOST)
        runtime.check("intensity", intensity, 0, 2)
        picture = images.read(image)
        lightness = to_lightness(picture.pixels)
        grey = to_network(lightness).to(self.device)
        if temperature is None:
            chroma, probabilities = answers(self.model, grey, k=k, seed=seed)
        else:
            runtime.check("temperature", temperature, 0.01, 2)
            chroma = draws(self.model, grey, k=k, seed=seed, temperature=temperature)
            probabilities = torch.full((1, k), 1 / k)
        planes = (chroma[0] * (128 * intensity)).permute(0, 2, 3, 1).float().cpu().numpy()
        return Colorization(
            images=colour(lightness, planes),
            probabilities=probabilities[0].tolist(),
            seed=seed,
            alpha=picture.alpha,
        )

    def grey(self, image: Image) -> np.ndarray:
        """The grey version that the colours are guessed from, `(H, W, 3)` uint8."""
        lightness = to_lightness(images.read(image).pixels)
        return to_rgb(lightness, np.zeros((*lightness.shape, 2), np.float32))


def load(path_or_name: str | Path) -> CVAE:
    """Networks with checked weights, strictly loaded, in float32.

    Raises:
        pretrained.store.WeightsError: not there, damaged, or of another domain.
    """
    return runtime.load(path_or_name, domain="colorization", kinds=KINDS)[0]


@torch.inference_mode()
def draws(model: CVAE, grey: Tensor, *, k: int, seed: int, temperature: float = 1.0) -> Tensor:
    """k plain samples, `(B, 1, H, W)` -> `(B, k, 2, H/2, W/2)`; draw j knows only seed and j.

    Each is drawn and decoded by itself: a larger k then cannot change a bit of the first ones.
    """
    features = model.condition(grey)
    prior: Latent = model.prior(features)
    if temperature != 1.0:
        prior = prior.tempered(temperature)
    painted = []
    for j in range(k):
        generator = torch.Generator(grey.device).manual_seed(runtime.key(seed, j))
        painted.append(model.decode(prior.sample((1,), generator=generator), features))
    return torch.cat(painted, 1)


@torch.inference_mode()
def answers(model: CVAE, grey: Tensor, *, k: int, seed: int) -> tuple[Tensor, Tensor]:
    """k distinct answers and their probabilities, `(B, k, 2, H/2, W/2)` and `(B, k)`.

    The principal points of the predictive distribution (Flury, 1990): many draws are condensed
    into the k that are nearest to them all. They differ where the draws disagree as wholes and are
    calm where the draws merely flicker; the few wildest draws are left out first. A point's
    probability is the share of draws it stands for.
    """
    pictures, shares = [], []
    for i in range(len(grey)):
        features = model.condition(grey[i : i + 1])
        generator = torch.Generator(grey.device).manual_seed(runtime.key(seed, k))
        prior: Latent = model.prior(features).tempered(CALM)
        z = prior.sample((max(POOL, 4 * k),), generator=generator)
        pool = torch.cat([model.decode(part, features) for part in z.split(32)], 1)[0].float()
        pool = pool[central(pool.flatten(1), SENSIBLE)]
        points, share, _ = principal_points(pool.flatten(1), k, generator=generator)
        pictures.append(points.unflatten(1, pool.shape[1:]))
        shares.append(share / share.sum())
    return torch.stack(pictures), torch.stack(shares)


def to_lightness(pixels: np.ndarray) -> np.ndarray:
    """CIE L* of uint8 `(H, W, 3)`, float32 `(H, W)` in [0, 100], a strip at a time."""
    strip = max(1, 2**22 // max(pixels.shape[1], 1))
    parts = [to_lab(pixels[top : top + strip])[..., 0] for top in range(0, len(pixels), strip)]
    return np.concatenate(parts)


def to_network(lightness: np.ndarray) -> Tensor:
    """Lightness `(H, W)` as the tower takes it: `(1, 1, h, w)` in [-1, 1], short side 128.

    Example:
        >>> to_network(np.zeros((300, 450), np.float32)).shape
        torch.Size([1, 1, 128, 192])
    """
    height, width = lightness.shape
    scale = GREY_SIZE / min(height, width)
    h, w = (
        min(LONGEST, max(GREY_SIZE, round(side * scale / CELL) * CELL)) for side in (height, width)
    )
    small = resize(lightness, (h, w)).clip(0, 100)
    return torch.from_numpy(small / 50 - 1)[None, None]
