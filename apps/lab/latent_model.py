"""A trained VAE of digits or sprites between arrays: pictures in and out, latents in and out."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from apps import runtime
from apps.lab import frame
from apps.lab.digits import CLASSES
from apps.lab.frame import Image
from apps.lab.model import KINDS, Told
from cvae.likelihoods import bernoulli
from cvae.model import CVAE
from cvae.networks import StandardPrior
from cvae.objective import kl_per_dimension
from pretrained import store

MODEL = "lab-digits"
BLOCK = 500  # pictures that are decoded at once
PROBES = 32  # draws that say what each dimension carries
SILENT = 0.01  # of what the first of them carries: less is not in use

Labels = int | Sequence[int] | np.ndarray | None
Pictures = Image | Sequence[Image]


class LatentModel:
    """What encodes and decodes.

    Pictures come out as uint8 `(..., S, S)`, bright on black, S = 28 or 64; latents are float32
    `(..., D)`. Pictures go in one by one or in a list, as paths, bytes or arrays; see
    `apps.lab.frame`. Where the model is `told` the class, decoding needs labels 0 to 9.

    Raises:
        ValueError: the model has no latent vector with the prior N(0, I).
    """

    def __init__(self, model: Any, *, device: str = "auto", name: str = "") -> None:
        if not isinstance(model, CVAE) or not isinstance(model.prior, StandardPrior):
            raise ValueError(
                f"got a {type(model).__name__} without a latent of N(0, I), expected a VAE of "
                "digits or sprites, as those of the recipes vae-dynamic, cvae, conv and beta-4"
            )
        self.device, self.name = runtime.pick_device(device), name
        self.model = model.to(self.device).eval()
        self.told = isinstance(model.condition, Told)
        self.size = model.prior.latent
        self.side = self.decode(np.zeros(self.size), 0 if self.told else None).shape[-1]

    @classmethod
    def from_pretrained(cls, path_or_name: str | Path = MODEL, device: str = "auto") -> Self:
        """Load checked weights: a folder, or the name of a model that is shipped.

        Raises:
            pretrained.store.WeightsError: not there, damaged, of another domain, or without a
                latent vector.
        """
        model, _ = runtime.load(path_or_name, domain="lab", kinds=KINDS)
        try:
            return cls(model, device=device, name=str(path_or_name))
        except ValueError as error:
            raise store.WeightsError(f"{path_or_name}: {error}") from error

    @cached_property
    def shares(self) -> np.ndarray:
        r"""How much of what is drawn each dimension carries, `(D,)`, together 1.

        Total effects of the decoder, $E\|f(z) - f(z^{(d)})\|^2 / 2$ with z of the prior and
        $z^{(d)}$ the same but for dimension d, drawn anew (Jansen, 1999). No data are needed: what
        the posterior does not use the decoder has learnt to ignore.
        """
        generator = torch.Generator().manual_seed(0)
        z, other = torch.randn(2, PROBES, self.size, generator=generator)
        labels = torch.arange(PROBES) % CLASSES
        before, effects = self._paint(z, labels), []
        for d in range(self.size):
            changed = z.clone()
            changed[:, d] = other[:, d]
            effects.append((self._paint(changed, labels) - before).square().mean().item() / 2)
        return np.array(effects) / (sum(effects) or 1)

    @property
    def order(self) -> list[int]:
        """The dimensions, what carries most first."""
        return np.argsort(-self.shares, kind="stable").tolist()

    @property
    def used(self) -> list[int]:
        """Those that carry at least a hundredth of what the first does, most first."""
        return [d for d in self.order if self.shares[d] >= SILENT * self.shares.max()]

    def decode(self, z: ArrayLike, labels: Labels = None) -> np.ndarray:
        """Latents `(..., D)` -> pictures `(..., S, S)`; labels: one for all, or one for each."""
        codes = self._codes(z)
        told = self._labels(labels, codes.shape[:-1])
        x = self._paint(codes.reshape(-1, self.size), told.flatten())
        return to_bytes(x).reshape(*codes.shape[:-1], *x.shape[-2:])

    @torch.inference_mode()
    def encode(self, pictures: Pictures, labels: Labels = None) -> np.ndarray:
        """Means of q(z | x), `(N, D)`; the class is guessed where it is needed and not given.

        Raises:
            apps.images.ImageError: a picture cannot be read or shows nothing.
        """
        x = self._read(pictures)
        if self.told and labels is None:
            labels = self._guess(x)
        features = self._condition(self._labels(labels, x.shape[:1]))
        return self.model.posterior(x, features).mean.cpu().numpy()

    def guess(self, pictures: Pictures) -> np.ndarray:
        """The class under which a told model finds each picture likeliest, `(N,)`."""
        self._must_be_told()
        return self._guess(self._read(pictures))

    @torch.inference_mode()
    def _guess(self, x: Tensor) -> np.ndarray:
        """argmax over c of the bound on log p(x | c), at the posterior's mean."""
        bounds = []
        for label in range(CLASSES):
            features = self._condition(torch.full((len(x),), label))
            q = self.model.posterior(x, features)
            nats = bernoulli(self.model.decode(q.mean[None], features)[:, 0], x)
            bounds.append(nats - kl_per_dimension(q, self.model.prior(features)).sum(1))
        return torch.stack(bounds, 1).argmax(1).cpu().numpy()

    def _read(self, pictures: Pictures) -> Tensor:
        # an array is one picture: several of them in a row would look like one in colour
        each: list[Any] = [*pictures] if isinstance(pictures, list | tuple) else [pictures]
        if not each:
            raise ValueError("got no picture, expected one or more")
        stack = np.stack([frame.read(picture, self.side) for picture in each])
        return to_network(stack)[:, None].to(self.device)

    def _codes(self, z: ArrayLike) -> Tensor:
        codes = torch.from_numpy(np.array(z, np.float32))
        if codes.shape[-1:] != (self.size,) or not codes.isfinite().all():
            raise ValueError(
                f"got latents {tuple(codes.shape)}, expected finite ones (..., {self.size})"
            )
        return codes

    def _labels(self, labels: Labels, shape: torch.Size) -> Tensor:
        """As many as latents, checked; zeros, which nobody looks at, where none are told."""
        if not self.told:
            if labels is not None:
                raise ValueError(
                    f"got labels for {self._called()}, expected none: it isn't told any"
                )
            return torch.zeros(shape, dtype=torch.long)
        if labels is None:
            raise ValueError(
                f"got no label for {self._called()}, expected 0 to 9: it is told the class"
            )
        each = np.asarray(labels)
        if each.dtype.kind not in "ui" or each.min() < 0 or each.max() >= CLASSES:
            raise ValueError(f"got labels {labels}, expected whole numbers 0 to {CLASSES - 1}")
        return torch.from_numpy(np.broadcast_to(each, shape).astype(np.int64))

    def _must_be_told(self) -> None:
        if not self.told:
            raise ValueError(
                f"got {self._called()}, which knows no classes, expected a model that is told them"
            )

    def _called(self) -> str:
        return Path(self.name).name or "this model"

    def _condition(self, labels: Tensor) -> Tensor:
        return self.model.condition(labels.to(self.device))

    def _paint(self, z: Tensor, labels: Tensor) -> Tensor:
        """`(N, D)` and `(N,)` -> means in [0, 1], `(N, S, S)`, on the CPU."""
        return self._means(z, self._condition(labels))

    @torch.inference_mode()
    def _means(self, z: Tensor, features: Tensor) -> Tensor:
        parts = zip(z.to(self.device).split(BLOCK), features.split(BLOCK), strict=True)
        painted = [self.model.decode(part[None], told)[:, 0, 0] for part, told in parts]
        return torch.cat(painted).float().sigmoid().cpu()


def to_network(pixels: np.ndarray) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return torch.from_numpy(pixels).float() / 255


def to_bytes(x: Tensor) -> np.ndarray:
    """Means in [0, 1] -> uint8."""
    return (255 * x).round().byte().numpy()
