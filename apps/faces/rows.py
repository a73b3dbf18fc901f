"""The rows of the table: models that make faces to requests, all asked in the same manner."""

from typing import Any

import torch
from torch import Tensor

from apps.faces.frame import to_pixels
from cvae.model import CVAE

BATCH = 64


class Row:
    """A trained model. `encodes`: it has learnt to tell which z a face comes from."""

    def __init__(
        self, name: str, model: CVAE, *, device: torch.device, encodes: bool = True
    ) -> None:
        self.name, self.encodes, self.device = name, encodes, device
        self.model = model.to(device).eval()

    def make(self, asked: Tensor, *, seed: int) -> Tensor:
        """A face for each request `(N, A)`, uint8 `(N, 3, 64, 64)`."""
        return self.paint(self.latents(asked, seed=seed), asked)

    def toggle(
        self, asked: Tensor, off: Tensor, on: Tensor, *, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Faces of M requests and T pairs of each, `(M T, 3, 64, 64)`: one z a request.

        Shapes: asked `(M, A)`, off and on `(M, T, A)`.
        """
        z = self.latents(asked, seed=seed).repeat_interleave(off.shape[1], 0)
        return self.paint(z, off.flatten(0, 1)), self.paint(z, on.flatten(0, 1))

    @torch.inference_mode()
    def latents(self, asked: Tensor, *, seed: int) -> Tensor:
        """One z of the prior for each request `(N, A)`, `(N, D)`."""
        generator = torch.Generator(self.device).manual_seed(seed)
        parts = []
        for y in asked.split(BATCH):
            prior: Any = self.model.prior(self.model.condition(y.to(self.device)))
            parts.append(prior.sample((1,), generator=generator)[0])
        return torch.cat(parts)

    @torch.inference_mode()
    def paint(self, z: Tensor, asked: Tensor) -> Tensor:
        """The faces of latents `(N, D)` and requests `(N, A)`, uint8 `(N, 3, 64, 64)`."""
        parts = []
        for own, y in zip(z.split(BATCH), asked.split(BATCH), strict=True):
            features = self.model.condition(y.to(self.device))
            parts.append(to_pixels(self.model.decode(own[None], features)[:, 0]))
        return torch.cat(parts)
