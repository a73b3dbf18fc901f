"""The anchor: the model of Walker et al., "An Uncertain Future" (2016).

Three towers: one reads the still, one (training only) the still and its true motion, and one says
the motion from the still and z. Ten maps of cosine coefficients, split into a magnitude on 16 × 20
and a direction on 64 × 80; z is eight numbers for direction and two for magnitude, the same at
every place, with a standard normal prior. No labels. These follow the sampling and training
scripts that the authors released. What differs:

- The layers of the two towers of motion are not in those scripts: they are ours, convolutions with
  batch norm and ReLU, deconvolutions in the decoder. The image tower has the kernels and widths of
  AlexNet's five convolutions, which the original has been built on.
- Widths are a dial. `width=96` has AlexNet's; `width=24` has a quarter of each, for two CPU cores.
- A still is squeezed to 128 × 160, half the original's side, and the first convolution strides by
  2 instead of 4: the maps are as large as in the original.
- Five deviations of what is left in px are fitted beside, and change nothing else: only by them
  has the model a density over motion.
- It is trained at the fine grid at once; the original learns a coarse direction first.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion.dct import BLOCK, FINE, MAPS, from_maps, to_maps
from cvae.distributions import DiagonalNormal
from cvae.layers import start_small
from cvae.model import CVAE
from cvae.networks import StandardPrior
from flow.basis import COEFFICIENTS

STILL = (128, 160)  # px: what the image tower sees of a still
COARSE = (FINE[0] // BLOCK, FINE[1] // BLOCK)  # 16 x 20, an eighth of it
WAYS = 8  # numbers of z that say where to
LENGTHS = 2  # and how far
NOTHING = 0.01  # a magnitude that has no direction: a twenty-fifth of a pixel


@dataclass(frozen=True)
class WalkerSize:
    """The one dial is `width`: channels of the first convolution, a multiple of 3."""

    width: int = 24

    def __post_init__(self) -> None:
        if self.width < 3 or self.width % 3:
            raise ValueError(f"got width={self.width}, expected a multiple of 3")

    @property
    def features(self) -> int:
        """Channels of what the image tower says of a still."""
        return 8 * self.width // 3


def stage(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def enlarge(inputs: int, outputs: int) -> nn.Sequential:
    """Deconvolution to twice the size, batch norm, ReLU."""
    conv = nn.ConvTranspose2d(inputs, outputs, 4, 2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class ImageTower(nn.Module):
    """AlexNet's convolutions: sRGB `(B, 3, H, W)` in [-1, 1] -> features `(B, F, 16, 20)`."""

    def __init__(self, size: WalkerSize) -> None:
        super().__init__()
        w, f = size.width, size.features
        self.read = nn.Sequential(
            stage(3, w, kernel=11, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            stage(w, f, kernel=5),
            nn.MaxPool2d(3, 2, padding=1),
            stage(f, 4 * w),
            stage(4 * w, 4 * w),
            stage(4 * w, f),
        )

    def forward(self, frames: Tensor) -> Tensor:
        return self.read(F.interpolate(frames, STILL, mode="bilinear", antialias=True))


class MotionTower(nn.Module):
    """Recognition network q(z | Y, X): direction and magnitude each have a tower of their own.

    Shapes: coefficients `(B, 5, 2, h, w)` in px of the working frame, features -> normal over
    `(B, 10)`.
    """

    def __init__(self, size: WalkerSize) -> None:
        super().__init__()
        w, f = size.width, size.features
        places = COARSE[0] * COARSE[1] // 16  # after two more halvings
        self.way = nn.Sequential(stage(MAPS, w, stride=2), stage(w, 2 * w, stride=2))
        self.both = nn.Sequential(
            stage(2 * w + f, 4 * w, stride=2),
            stage(4 * w, 4 * w, stride=2),
            nn.Flatten(),
            nn.Linear(4 * w * places, 2 * WAYS),
        )
        self.length = stage(1, w)
        self.both_length = nn.Sequential(
            stage(w + f, 2 * w, stride=2),
            stage(2 * w, 2 * w, stride=2),
            nn.Flatten(),
            nn.Linear(2 * w * places, 2 * LENGTHS),
        )

    def forward(self, motion: Tensor, features: Tensor) -> DiagonalNormal:
        direction, magnitude = split(to_maps(motion))
        way = self.both(torch.cat([self.way(direction), features], 1))
        length = self.both_length(torch.cat([self.length(magnitude), features], 1))
        means, logvars = zip(way.chunk(2, 1), length.chunk(2, 1), strict=True)
        return DiagonalNormal(torch.cat(means, 1), torch.cat(logvars, 1))


class Broadcast(nn.Module):
    """z at every place beside the features: concatenated maps under one convolution.

    Written as a sum, so that the part of the still is computed once for all its answers.

    Shapes: z `(B k, D)`, features `(B, F, h, w)` -> `(B k, outputs, h, w)`.
    """

    def __init__(self, latent: int, features: int, outputs: int) -> None:
        super().__init__()
        self.still = nn.Conv2d(features, outputs, 3, padding=1, bias=False)
        self.latent = nn.Linear(latent, outputs, bias=False)
        self.out = nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        k = len(z) // len(features)
        if len(z) != k * len(features):
            raise ValueError(f"got {len(z)} latents for {len(features)} stills, not a multiple")
        still = self.still(features).repeat_interleave(k, 0)
        return self.out(still + self.latent(z)[:, :, None, None])


class MotionDecoder(nn.Module):
    """Generation network: (z, X) -> ten maps of direction, and the magnitude at the same places.

    Neither is bounded; a direction that is not sure is short. Each magnitude stands for 4 × 4
    directions.

    Shapes: z `(B k, 10)`, features of B stills, k answers each in a row -> `(B k, 11, 64, 80)`.
    """

    def __init__(self, size: WalkerSize) -> None:
        super().__init__()
        w, f = size.width, size.features
        self.enter = Broadcast(WAYS, f, 4 * w)
        self.way = nn.Sequential(
            enlarge(4 * w, 2 * w), enlarge(2 * w, w), nn.Conv2d(w, MAPS, 3, padding=1)
        )
        self.enter_length = Broadcast(LENGTHS, f, 2 * w)
        self.length = nn.Sequential(stage(2 * w, 2 * w), nn.Conv2d(2 * w, 1, 3, padding=1))
        for last in (self.way[-1], self.length[-1]):
            start_small(last, std=1e-2)  # type: ignore[arg-type]
        self.logwidth = nn.Parameter(torch.zeros(COEFFICIENTS))  # of ε in px, both axes share

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        direction = self.way(self.enter(z[:, :WAYS], features))
        magnitude = self.length(self.enter_length(z[:, WAYS:], features))
        magnitude = F.interpolate(magnitude, scale_factor=BLOCK, mode="nearest")
        return torch.cat([direction, magnitude], 1).float()


def build_walker(size: WalkerSize) -> CVAE:
    """Networks for stills `(B, 3, H, W)` in [-1, 1] and motion `(B, 5, 2, 20, 26)` in px.

    What they say is read by `compose` and `motion`.

    Example:
        >>> model = build_walker(WalkerSize(width=3)).eval()
        >>> said = model.sample(torch.zeros(1, 3, 160, 208), k=3)
        >>> said.shape, motion(said.flatten(0, 1)).shape
        (torch.Size([1, 3, 11, 64, 80]), torch.Size([3, 5, 2, 20, 26]))
    """
    return CVAE(
        condition=ImageTower(size),
        recognition=MotionTower(size),
        prior=StandardPrior(WAYS + LENGTHS),
        generation=MotionDecoder(size),
    )


def split(maps: Tensor) -> tuple[Tensor, Tensor]:
    r"""Ten maps into which way and how far, :math:`u = y / \|y\|` and the mean of its length.

    Shapes: `(B, 10, 64, 80)` -> directions of the same shape, magnitudes `(B, 1, 16, 20)`.
    """
    length = maps.norm(dim=1, keepdim=True)
    return maps / (length.square() + NOTHING**2).sqrt(), F.avg_pool2d(length, BLOCK)


def compose(said: Tensor) -> Tensor:
    """Magnitude times direction: `(N, 11, 64, 80)` -> the ten maps `(N, 10, 64, 80)`."""
    return said[:, :MAPS] * said[:, MAPS:]


def motion(said: Tensor) -> Tensor:
    """What is said, in px of the working frame: `(N, 11, 64, 80)` -> `(N, 5, 2, 20, 26)`."""
    return from_maps(compose(said))


def log_likelihood(said: Tensor, truth: Tensor, logwidth: Tensor) -> Tensor:
    r"""log p(Y | z, X) over coefficients, of Y = `motion` + ε with ε Gaussian, `(B,)` nats.

    Shapes: what is said `(B, 11, 64, 80)`, coefficients `(B, 5, 2, 20, 26)` in px, and the
    logarithms of five deviations.
    """
    wide = logwidth[:, None, None, None]
    squares = ((truth - motion(said)) * torch.exp(-wide)).square()
    return -0.5 * (squares + 2 * wide + math.log(2 * math.pi)).sum((1, 2, 3, 4))
