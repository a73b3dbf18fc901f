"""The tools of the latent space around a trained model: arrays in, arrays out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from apps import runtime
from apps.lab import frame
from apps.lab.digits import CLASSES
from apps.lab.frame import Image
from apps.lab.latent_model import Labels, LatentModel, Pictures, to_bytes, to_network
from cvae import latent
from cvae.model import CVAE
from cvae.projection import pca

MOST = 1000  # samples at a time
NOISE = 0.2  # of seen pixels in [0, 1], where a picture is completed
STARTS = 8  # latents that a completion is sought from
STEPS = 60  # passes through the decoder that it takes, about


@dataclass(frozen=True)
class Completion:
    """k readings of a picture of which a part is hidden, likeliest first.

    `images` `(k, S, S)` uint8, as the picture where it is seen; `z` `(k, D)`; `labels` `(k,)`, or
    None where the model is not told the class.
    """

    images: np.ndarray
    z: np.ndarray
    labels: np.ndarray | None


class LatentLab(LatentModel):
    """A VAE of digits or sprites, and what its latent space can be asked.

    What goes in and comes out is as `LatentModel` has it. `from_pretrained` loads a model.

    Example:
        >>> from apps.lab.model import DenseSize, build_dense
        >>> model = build_dense(DenseSize(width=8, latent=2))
        >>> lab = LatentLab(model, device="cpu")
        >>> lab.sample(3, seed=0).shape
        (3, 28, 28)
        >>> lab.interpolate(lab.draw(2, seed=1), steps=5).shape
        (5, 28, 28)
        >>> lab.manifold(7).shape
        (7, 7, 28, 28)
    """

    def draw(self, k: int = 16, *, seed: int = 0, temperature: float = 1.0) -> np.ndarray:
        """k latents of the prior, `(k, D)`; the j-th depends on seed and j alone."""
        runtime.check("k", k, 1, MOST)
        runtime.check("temperature", temperature, 0.01, 2)
        rows = [torch.randn(self.size, generator=_generator("cpu", seed, j)) for j in range(k)]
        return temperature * torch.stack(rows).numpy()

    def sample(
        self, k: int = 16, labels: Labels = None, *, seed: int = 0, temperature: float = 1.0
    ) -> np.ndarray:
        """k pictures that never were, `(k, S, S)`; where no labels are given, 0 to 9 in turn."""
        if self.told and labels is None:
            labels = np.arange(k) % CLASSES
        return self.decode(self.draw(k, seed=seed, temperature=temperature), labels)

    def traverse(
        self,
        z: ArrayLike,
        dims: Sequence[int] | None = None,
        *,
        steps: int = 9,
        reach: float = 2.5,
        labels: Labels = None,
    ) -> np.ndarray:
        """One dimension at a time from -reach to reach, `(dims, steps, S, S)`, the rest as in z.

        Args:
            z: one latent `(D,)`.
            dims: a row each; left out, those in use, most first.
        """
        values = torch.linspace(-reach, reach, steps)
        grid = latent.traverse(self._codes(z), self.used if dims is None else dims, values)
        return self.decode(grid.numpy(), labels)

    def manifold(
        self,
        steps: int = 15,
        dims: tuple[int, int] | None = None,
        *,
        z: ArrayLike | None = None,
        labels: Labels = None,
    ) -> np.ndarray:
        """Two dimensions over Gaussian quantiles, `(steps, steps, S, S)`, the first one downwards.

        Args:
            dims: left out, the two that carry most.
            z: where the others stay; left out, at 0.
        """
        return self.decode(self.plane(steps, dims, z=z), labels)

    def plane(
        self, steps: int, dims: tuple[int, int] | None = None, *, z: ArrayLike | None = None
    ) -> np.ndarray:
        """The latents of a manifold, `(steps, steps, D)`."""
        if self.size < 2:
            raise ValueError(f"got a latent of {self.size} for a plane, expected 2 or more")
        first, second = dims or self.order[:2]
        base = self._codes(np.zeros(self.size) if z is None else z)
        return latent.manifold(steps, (first, second), base=base).numpy()

    def interpolate(
        self,
        ends: ArrayLike,
        labels: Labels = None,
        *,
        steps: int = 9,
        way: Callable[[Tensor, Tensor, int], Tensor] = latent.spherical,
    ) -> np.ndarray:
        """From one latent to another, both included, `(steps, S, S)`.

        Between two labels the class goes along, on a straight line.

        Args:
            ends: `(2, D)`, as `encode` gives them for two pictures.
            labels: one, or two.
            way: `cvae.latent.linear` or `spherical`.
        """
        a, b = self._codes(ends)
        first, last = self._condition(self._labels(labels, torch.Size([2]))).split(1)
        shares = torch.linspace(0, 1, steps, device=self.device)[:, None]
        return to_bytes(self._means(way(a, b, steps), torch.lerp(first, last, shares)))

    def classes(self, z: ArrayLike) -> np.ndarray:
        """The style of a latent in every class, `(..., 10, S, S)`."""
        self._must_be_told()
        codes = self._codes(z).numpy()
        return self.decode(np.repeat(codes[..., None, :], CLASSES, -2), np.arange(CLASSES))

    def direction(
        self, positive: Pictures, negative: Pictures, labels: Labels = None
    ) -> np.ndarray:
        """The step from pictures without an attribute to pictures with it, `(D,)`.

        Added to a latent it adds the attribute: `lab.decode(z + lab.direction(bold, thin))`.

        Args:
            labels: one for all; where the class is told and none is given, each is guessed.
        """
        groups = (torch.from_numpy(self.encode(p, labels)) for p in (positive, negative))
        return latent.direction(*groups).numpy()

    def map(
        self,
        pictures: Pictures,
        labels: Labels = None,
        *,
        flat: Callable[[Tensor], Tensor] = pca,
    ) -> np.ndarray:
        """Where pictures lie in the latent space, as points of a plane, `(N, 2)`.

        Args:
            flat: `cvae.projection.pca` or `tsne`.
        """
        return flat(torch.from_numpy(self.encode(pictures, labels))).numpy()

    def complete(
        self, picture: Image, mask: Image, k: int = 4, label: int | None = None, *, seed: int = 0
    ) -> Completion:
        """k ways to complete what a mask hides, by latents that explain what is seen.

        Where the class is told but not given, these are the best answers of the k likeliest
        classes, so that each is another digit.

        Args:
            picture: not put into the middle: as large and where the model is used to it.
            mask: of the picture's size, white where it is hidden.
            k: 1 to 8; where the class is left open, 1 to 10.

        Raises:
            apps.images.ImageError: one of them cannot be read or does not fit the other.
        """
        open_class = self.told and label is None
        runtime.check("k", k, 1, CLASSES if open_class else STARTS)
        x, hidden = frame.read_masked(picture, mask, self.side)
        found: list[tuple[float, Tensor, int | None]] = []
        for told in range(CLASSES) if open_class else [label]:
            z, joint = self._explain(x, hidden, told, seed)
            each = zip(joint.tolist(), z, [told] * len(z), strict=True)
            found += list(each)[: 1 if open_class else k]
        found.sort(key=itemgetter(0), reverse=True)
        codes = torch.stack([z for _, z, _ in found[:k]]).numpy()
        labels = np.array([told for *_, told in found[:k]]) if self.told else None
        filled = np.where(hidden, self.decode(codes, labels), x)
        return Completion(filled, codes, labels)

    def _explain(
        self, x: np.ndarray, hidden: np.ndarray, label: int | None, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Latents `(STARTS, D)` and their log joint, likeliest first."""
        features = self._condition(self._labels(label, torch.Size([1])))
        z, joint = latent.optimise(
            _Decode(self.model, features),
            to_network(x[None]).to(self.device),
            torch.from_numpy(~hidden)[None].to(self.device),
            STARTS,
            prior=self.model.prior(features),
            noise=NOISE,
            steps=STEPS,
            generator=_generator(self.device, seed, 0),
        )
        return z.cpu(), joint.cpu()


class _Decode:
    """z `(k, D)` -> means `(k, 1, S, S)` of one condition."""

    def __init__(self, model: CVAE, features: Tensor) -> None:
        self.model, self.features = model, features

    def __call__(self, z: Tensor) -> Tensor:
        return self.model.decode(z[:, None], self.features)[0].sigmoid()


def _generator(device: torch.device | str, seed: int, j: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(runtime.key(seed, j))
