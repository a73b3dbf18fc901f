"""Digits and sprites as CVAEs: which networks, at which size.

A label is always asked with; who has no use for it does not look. Quadrants are asked for with the
picture itself, `HIDDEN` where it is not given.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.kinds import Kind
from apps.lab.digits import CLASSES, SIDE
from apps.lab.sprite_networks import SpriteGeneration, SpriteRecognition
from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.networks import ConvDecoder, ConvEncoder, StandardPrior, mlp

SHAPE = (1, SIDE, SIDE)
PIXELS = math.prod(SHAPE)


class Untold(nn.Module):
    """The condition of an unconditional model: labels `(B, ...)` -> nothing `(B, 0)`."""

    def forward(self, c: Tensor) -> Tensor:
        return torch.zeros(len(c), 0, device=c.device)


class Told(nn.Module):
    """Labels `(B,)` -> `(B, 10)`, 1 for the class."""

    def forward(self, c: Tensor) -> Tensor:
        return F.one_hot(c, CLASSES).float()


class Gaussian(nn.Module):
    """What is known, side by side, `(B, ...)` each -> N(z), fully connected."""

    def __init__(self, *, inputs: int, width: int, latent: int) -> None:
        super().__init__()
        self.network = mlp([inputs, width, width, 2 * latent])

    def forward(self, *known: Tensor) -> DiagonalNormal:
        mean, logvar = self.network(_joined(*known)).chunk(2, 1)
        return DiagonalNormal(mean, logvar)


class Generation(nn.Module):
    """z `(B k, D)` and features `(B, ...)` -> logits `(B k, 1, 28, 28)`, fully connected."""

    def __init__(self, *, inputs: int, width: int) -> None:
        super().__init__()
        self.network = mlp([inputs, width, width, PIXELS])

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        told = features.repeat_interleave(len(z) // len(features), 0)
        return self.network(_joined(z, told)).unflatten(1, SHAPE)


def _joined(*parts: Tensor) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], 1)


class ConvRecognition(nn.Module):
    """Pictures -> q(z | x); of what it is told it sees nothing."""

    def __init__(self, *, widths: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.see = ConvEncoder(channels=1, size=SIDE, outputs=2 * latent, widths=widths)

    def forward(self, x: Tensor, features: Tensor) -> DiagonalNormal:
        mean, logvar = self.see(x).chunk(2, 1)
        return DiagonalNormal(mean, logvar)


class ConvGeneration(nn.Module):
    """z -> logits `(B k, 1, 28, 28)`."""

    def __init__(self, *, widths: tuple[int, ...], latent: int) -> None:
        super().__init__()
        self.draw = ConvDecoder(inputs=latent, channels=1, size=SIDE, widths=widths)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return self.draw(z)


class Baseline(nn.Module):
    """The network without a latent: quadrants `(B, 1, 28, 28)` -> logits of the whole picture."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.network = mlp([PIXELS, width, width, PIXELS])

    def forward(self, c: Tensor) -> Tensor:
        return self.network(c.flatten(1)).unflatten(1, SHAPE)


class Guess(nn.Module):
    """Quadrants, with a baseline's guess where nothing is given; the baseline learns no more."""

    def __init__(self, baseline: Baseline) -> None:
        super().__init__()
        self.baseline = baseline

    @torch.no_grad()
    def forward(self, c: Tensor) -> Tensor:
        return torch.where(c < 0, self.baseline(c).float().sigmoid(), c)


@dataclass(frozen=True)
class DenseSize:
    """Two hidden layers a network; `told` says whether the class is a condition."""

    width: int = 512
    latent: int = 50
    told: bool = False


@dataclass(frozen=True)
class ConvSize:
    """`width`: channels at 14 pixels; at 7 there are twice as many."""

    width: int = 16
    latent: int = 50


@dataclass(frozen=True)
class SpriteSize:
    """`width`: channels at 16 and 8 pixels; at 4 there are twice as many."""

    width: int = 32
    hidden: int = 256
    latent: int = 10


@dataclass(frozen=True)
class QuadrantSize:
    """As in Pyro's tutorial; `baseline` is the width of the network that guesses."""

    width: int = 500
    latent: int = 200
    baseline: int = 500


@dataclass(frozen=True)
class BaselineSize:
    width: int = 500


@dataclass(frozen=True)
class ClassifierSize:
    width: int = 32


def build_dense(size: DenseSize) -> CVAE:
    """The networks of a VAE, of an autoencoder and, told the class, of a CVAE of digits.

    Example:
        >>> model = build_dense(DenseSize(width=8, latent=2))
        >>> model.sample(torch.tensor([7, 1]), k=3).shape
        torch.Size([2, 3, 1, 28, 28])
    """
    told = CLASSES if size.told else 0
    return CVAE(
        condition=Told() if size.told else Untold(),
        recognition=Gaussian(inputs=PIXELS + told, width=size.width, latent=size.latent),
        prior=StandardPrior(size.latent),
        generation=Generation(inputs=size.latent + told, width=size.width),
    )


def build_conv(size: ConvSize) -> CVAE:
    widths = (size.width, 2 * size.width)
    return CVAE(
        condition=Untold(),
        recognition=ConvRecognition(widths=widths, latent=size.latent),
        prior=StandardPrior(size.latent),
        generation=ConvGeneration(widths=widths, latent=size.latent),
    )


def build_sprites(size: SpriteSize) -> CVAE:
    parts = asdict(size)
    return CVAE(
        condition=Untold(),
        recognition=SpriteRecognition(**parts),
        prior=StandardPrior(size.latent),
        generation=SpriteGeneration(**parts),
    )


def build_quadrants(size: QuadrantSize) -> CVAE:
    """Recognition, prior and generation on the guess of a baseline, as Sohn et al. (2015)."""
    parts = {"width": size.width, "latent": size.latent}
    return CVAE(
        condition=Guess(Baseline(width=size.baseline)),
        recognition=Gaussian(inputs=2 * PIXELS, **parts),
        prior=Gaussian(inputs=PIXELS, **parts),
        generation=Generation(inputs=size.latent + PIXELS, width=size.width),
    )


def build_baseline(size: BaselineSize) -> Baseline:
    return Baseline(width=size.width)


def build_classifier(size: ClassifierSize) -> ConvEncoder:
    """Digits -> logits `(B, 10)`."""
    widths = (size.width, 2 * size.width)
    return ConvEncoder(channels=1, size=SIDE, outputs=CLASSES, widths=widths)


KINDS = {
    "dense": Kind(DenseSize, build_dense),
    "conv": Kind(ConvSize, build_conv),
    "quadrants": Kind(QuadrantSize, build_quadrants),
    "baseline": Kind(BaselineSize, build_baseline),
    "classifier": Kind(ClassifierSize, build_classifier),
    "sprites": Kind(SpriteSize, build_sprites),
}
