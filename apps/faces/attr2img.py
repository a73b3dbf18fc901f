"""The anchor: the CVAE of Attribute2Image as released (Yan et al., 2016; `arch_condVAE.lua`)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.attributes import OFFERED
from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.networks import StandardPrior


@dataclass(frozen=True)
class Attr2ImgSize:
    """`width` 64 is the authors'; a quarter of it trains on a CPU."""

    width: int = 64
    latent: int = 256
    attributes: int = len(OFFERED)


class Encoder(nn.Module):
    """q(z | x, y): y meets x at the mean alone; the log-variance starts at zero, from x alone.

    Shapes: face `(B, 3, 64, 64)`, requests `(B, A)` -> normal over `(B, D)`.
    """

    def __init__(self, *, width: int, latent: int, attributes: int) -> None:
        super().__init__()
        w1, w2, w4, w16 = width, 2 * width, 4 * width, 16 * width
        self.see = nn.Sequential(
            nn.Conv2d(3, w1, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(w1, w2, 5, padding=2),
            nn.BatchNorm2d(w2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(w2, w4, 3, padding=1),
            nn.BatchNorm2d(w4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(w4, w4, 3, stride=2, padding=1),
            nn.BatchNorm2d(w4),
            nn.ReLU(),
            nn.Conv2d(w4, w16, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(w16, w16),
            nn.ReLU(),
            nn.Dropout(0.5),
        )
        self.say = nn.Sequential(nn.Linear(attributes, latent), nn.ReLU())
        self.mean = nn.Linear(w16 + latent, latent)
        self.logvar = nn.Linear(w16, latent)
        nn.init.zeros_(self.logvar.weight)
        nn.init.zeros_(self.logvar.bias)

    def forward(self, x: Tensor, y: Tensor) -> DiagonalNormal:
        h = self.see(x)
        return DiagonalNormal(self.mean(torch.cat([h, self.say(y)], 1)), self.logvar(h))


class Painter(nn.Module):
    """Vector -> map `(B, width, 64, 64)`: the body of the released decoders."""

    def __init__(self, *, width: int, inputs: int) -> None:
        super().__init__()
        w1, w2, w4 = width, 2 * width, 4 * width
        self.start = nn.Sequential(
            nn.Linear(inputs, w4), nn.ReLU(), nn.Linear(w4, w4 * 64), nn.ReLU()
        )
        self.first = nn.Sequential(nn.Conv2d(w4, w4, 3, padding=1), nn.BatchNorm2d(w4))
        self.levels = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(a, b, 5, padding=2), nn.BatchNorm2d(b))
                for a, b in ((w4, w4), (w4, w2), (w2, w1))
            ]
        )

    def forward(self, z: Tensor) -> Tensor:
        x = F.relu(self.first(self.start(z).unflatten(1, (-1, 8, 8))))
        for level in self.levels:
            x = F.relu(level(F.interpolate(x, scale_factor=2, mode="nearest")))
        return x


class Decoder(nn.Module):
    """(z, y) -> face, with a variance for every pixel that only the likelihood asks for.

    Shapes: z `(B k, D)`, requests of B faces, k answers each in a row -> `(B k, 3, 64, 64)`.
    """

    def __init__(self, *, width: int, latent: int, attributes: int) -> None:
        super().__init__()
        self.say = nn.Sequential(nn.Linear(attributes, 2 * latent), nn.ReLU())
        self.paint = Painter(width=width, inputs=3 * latent)
        self.mean = nn.Conv2d(width, 3, 5, padding=2)
        self.logvar = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.pixels(z, y).mean

    def pixels(self, z: Tensor, y: Tensor) -> DiagonalNormal:
        """The distribution of the pixels, flat `(B k, 3, 64, 64)` with the last as its event."""
        y = self.say(y).repeat_interleave(len(z) // len(y), 0)
        x = self.paint(torch.cat([z, y], 1))
        return DiagonalNormal(torch.tanh(self.mean(x)), self.logvar(x))


def build_attr2img(size: Attr2ImgSize) -> CVAE:
    """Networks for requests `(B, A)` and faces `(B, 3, 64, 64)` in [-1, 1].

    Example:
        >>> model = build_attr2img(Attr2ImgSize(width=4, latent=8, attributes=5)).eval()
        >>> model.sample(torch.zeros(2, 5), k=3).shape
        torch.Size([2, 3, 3, 64, 64])
    """
    parts = {"width": size.width, "latent": size.latent, "attributes": size.attributes}
    return CVAE(
        condition=nn.Identity(),
        recognition=Encoder(**parts),
        prior=StandardPrior(size.latent),
        generation=Decoder(**parts),
    )


class Attr2ImgObjective(nn.Module):
    """Negative ELBO in summed nats: a Gaussian with a learned variance a pixel, and the KL."""

    def __init__(self, model: CVAE) -> None:
        super().__init__()
        self.model = model

    def observed(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return batch[0], batch[1]

    def forward(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (x, y, ...), and its parts."""
        x, y, *_ = batch
        posterior = self.model.posterior(x, y)
        z = posterior.rsample((), generator=generator)
        generation: Decoder = self.model.generation  # type: ignore[assignment]
        pixels = -generation.pixels(z, y).log_prob(x).flatten(1).sum(1).mean()
        kl = posterior.kl_standard().sum(-1).mean()
        return pixels + kl, {"pixels": pixels.detach(), "kl": kl.detach()}
