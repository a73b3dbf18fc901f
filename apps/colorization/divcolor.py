"""The anchor: the networks of Deshpande et al., "Learning Diverse Image Colorization" (2017).

They follow the TensorFlow code that its authors released (the VAE with skip connections, and the
mixture density network), down to convolutions of 5x5, ReLU before batch norm, a z of 64 that is
tiled and *multiplied* with the grey map, and a last batch norm under tanh. What differs:

- Widths are a dial. `width=128` has the original's: 104.2 M parameters and 9.1 GMAC a picture, of
  them the VAE 46.1 M and 4.8 GMAC. `width=32` has a quarter of each, but for z and the number of
  components, which stay: 7.6 M and 0.6 GMAC, of them the VAE 3.6 M and 0.3 GMAC.
- The mixture density network reads features that are trained here, at 16x16: the original's come
  from a classifier of Zhang et al. (2016), trained on ImageNet, at 28x28, which makes its fully
  connected layer three times as large. `Semantics` stands in for that classifier.
- Layers start as they do in torch, not with a deviation of 0.001; noise is not truncated.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.data import CHROMA_SIZE, GREY_SIZE
from apps.colorization.terms import gamut_bins
from cvae.distributions import DiagonalNormal
from cvae.layers import ResidualBlock, SelfAttention, downsample, upsample
from cvae.model import CVAE
from mdn.mixture import GaussianMixture

DEVIATION = 0.1**0.5  # of every component: the released loss divides d²/2 by 0.1


@dataclass(frozen=True)
class DivcolorSize:
    """The one dial is `width`: channels of the finest map; 128 are the original's."""

    width: int = 32
    latent: int = 64
    components: int = 8


@dataclass(frozen=True)
class DivcolorGrey:
    """What the networks know of a picture, whatever its shape squeezed into a square."""

    at4: Tensor  # (B, Z, 4, 4): z is multiplied with it
    at8: Tensor  # (B, 4W, 8, 8)
    at16: Tensor  # (B, 2W, 16, 16)
    at32: Tensor  # (B, W, 32, 32)
    semantics: Tensor  # (B, 4W, 16, 16): what the mixture density network reads
    classes: Tensor  # (B, 260, 16, 16): logits of chroma bins, what the semantics are learnt by
    size: tuple[int, int]  # of the chroma to be painted


def stage(
    inputs: int, outputs: int, *, kernel: int = 5, stride: int = 1, bias: bool = True
) -> nn.Sequential:
    """Convolution, ReLU, batch norm, in this order; an even kernel is for stride 2."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=bias)
    return nn.Sequential(conv, nn.ReLU(), norm(outputs))


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with the original's constants."""
    return nn.BatchNorm2d(channels, eps=1e-4, momentum=0.01)


class Semantics(nn.Module):
    """Stand-in for Zhang et al.'s network, which tells the bin of the ab plane at every place.

    Shapes: lightness `(B, 1, 128, 128)` -> features `(B, 4W, 16, 16)` and logits `(B, 260, 16,
    16)`. Features have 512 channels at the full width, as the original's `conv7_3` has.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        w1, w2, w3 = width, 2 * width, 4 * width
        self.fine = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(16, w1, 3, padding=1),
            ResidualBlock(w1),
            downsample(w1, w2),
            ResidualBlock(w2),
        )
        self.coarse = nn.Sequential(downsample(w2, w3), ResidualBlock(w3), SelfAttention(w3))
        self.back = nn.Conv2d(w3, w2, 1)
        self.out = nn.Sequential(ResidualBlock(w2), nn.Conv2d(w2, w3, 1), nn.ReLU())
        self.classify = nn.Conv2d(w3, len(gamut_bins()), 1)

    def forward(self, lightness: Tensor) -> tuple[Tensor, Tensor]:
        x = self.fine(lightness)
        x = self.out(x + upsample(self.back(self.coarse(x))))
        return x, self.classify(x)


class DivcolorCondition(nn.Module):
    """The grey encoder of the VAE, and beside it the features of the mixture density network.

    Shapes: lightness `(B, 1, H, W)` in [-1, 1], H and W even -> `DivcolorGrey`.
    """

    def __init__(self, *, width: int, latent: int) -> None:
        super().__init__()
        self.to32 = stage(1, width, stride=2)
        self.to16 = stage(width, 2 * width, stride=2)
        self.to8 = stage(2 * width, 4 * width, stride=2)
        self.to4 = stage(4 * width, latent, kernel=4, stride=2)
        self.semantics = Semantics(width=width)

    def forward(self, lightness: Tensor) -> DivcolorGrey:
        height, width = lightness.shape[-2:]
        square = F.adaptive_avg_pool2d(lightness, GREY_SIZE)
        at32 = self.to32(F.avg_pool2d(square, GREY_SIZE // CHROMA_SIZE))
        at16 = self.to16(at32)
        at8 = self.to8(at16)
        semantics, classes = self.semantics(square)
        size = height // 2, width // 2
        return DivcolorGrey(self.to4(at8), at8, at16, at32, semantics, classes, size)


class DivcolorEncoder(nn.Module):
    """Recognition network q(z | C), which in this model does not look at the grey picture.

    Shapes: chroma `(B, 2, h, w)` in ab/128 -> normal over `(B, Z)`.
    """

    def __init__(self, *, width: int, latent: int) -> None:
        super().__init__()
        self.read = nn.Sequential(
            stage(2, width, stride=2),
            stage(width, 2 * width, stride=2),
            stage(2 * width, 4 * width, stride=2),
            stage(4 * width, 8 * width, kernel=4, stride=2),
            nn.Dropout(0.3),
            nn.Flatten(),
        )
        self.out = nn.Linear(8 * width * 4 * 4, 2 * latent)

    def forward(self, chroma: Tensor, grey: DivcolorGrey) -> DiagonalNormal:
        x = self.read(F.adaptive_avg_pool2d(chroma, CHROMA_SIZE))
        return DiagonalNormal(*self.out(x).chunk(2, 1))


class DivcolorDecoder(nn.Module):
    """Generation network: (z, G) -> chroma at 64x64, stretched to the picture's shape.

    Shapes: z `(B k, Z)`, grey of B pictures, k answers each in a row -> `(B k, 2, h, w)` ab/128.
    """

    def __init__(self, *, width: int, latent: int) -> None:
        super().__init__()
        w1, w2, w3, w4 = width, 2 * width, 4 * width, 8 * width
        around = nn.ZeroPad2d((1, 2, 1, 2))  # keeps 4x4 under the 4x4 convolution
        self.at4 = nn.Sequential(around, nn.Conv2d(latent, w4, 4), nn.ReLU(), norm(w4))
        self.at8 = stage(w4 + w3, w3)
        self.at16 = stage(w3 + w2, w2)
        self.at32 = stage(w2 + w1, w1)
        self.out = nn.Sequential(nn.Conv2d(w1, 2, 5, padding=2), norm(2), nn.Tanh())

    def forward(self, z: Tensor, grey: DivcolorGrey) -> Tensor:
        k = len(z) // len(grey.at4)

        def join(x: Tensor, skip: Tensor) -> Tensor:
            return torch.cat([upsample(x), skip.repeat_interleave(k, 0)], 1)

        x = self.at4(z[:, :, None, None] * grey.at4.repeat_interleave(k, 0))
        x = self.at8(join(x, grey.at8))
        x = self.at16(join(x, grey.at16))
        x = self.at32(join(x, grey.at32))
        x = self.out(upsample(x))
        if grey.size == (CHROMA_SIZE, CHROMA_SIZE):
            return x
        return F.interpolate(x, grey.size, mode="bilinear", align_corners=False)


class DivcolorPrior(GaussianMixture):
    r"""$p(z | G) = \sum_k \pi_k N(z; \mu_k, \sigma^2 I)$ with one σ for all pictures.

    Shapes: logits `(B, K)`, loc `(B, K, Z)`; batch shape `(B,)`, event shape `(Z,)`.
    """

    def __init__(self, logits: Tensor, loc: Tensor, *, deviation: float = DEVIATION) -> None:
        self.deviation = deviation
        scale = torch.full((1, loc.shape[-1]), deviation, device=loc.device)
        super().__init__(logits, loc, scale=scale, validate_args=False)

    def tempered(self, temperature: float) -> "DivcolorPrior":
        """The same means and shares with σ times `temperature` (> 0)."""
        return DivcolorPrior(self.logits, self.loc, deviation=self.deviation * temperature)


class DivcolorMDN(nn.Module):
    """The mixture density network: `DivcolorGrey` -> `DivcolorPrior`.

    Features are only read here, never taught: in the original they come ready-made.
    """

    def __init__(self, *, width: int, latent: int, components: int) -> None:
        super().__init__()
        self.shape = (components, latent)
        hidden = 32 * width
        widths = [4 * width, 3 * width, 5 * width // 2, 9 * width // 4, 2 * width, width]
        strides = [1, 1, 1, 2, 1]
        self.read = nn.Sequential(
            *(
                stage(inputs, outputs, stride=stride, bias=False)
                for (inputs, outputs), stride in zip(pairwise(widths), strides, strict=True)
            ),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(width * 8 * 8, hidden),
            nn.Tanh(),
            nn.Dropout(0.25),
        )
        self.loc = nn.Linear(hidden, components * latent)
        self.logits = nn.Linear(hidden, components)

    def forward(self, grey: DivcolorGrey) -> DivcolorPrior:
        x = self.read(grey.semantics.detach())
        return DivcolorPrior(self.logits(x), self.loc(x).unflatten(1, self.shape))


def build_divcolor(size: DivcolorSize) -> CVAE:
    """Networks for lightness `(B, 1, H, W)` in [-1, 1] and chroma `(B, 2, H/2, W/2)` in ab/128.

    Example:
        >>> model = build_divcolor(DivcolorSize(width=8)).eval()
        >>> component_answers(model, torch.zeros(1, 1, 128, 128), k=8).shape
        torch.Size([1, 8, 2, 64, 64])
    """
    width, latent = size.width, size.latent
    return CVAE(
        condition=DivcolorCondition(width=width, latent=latent),
        recognition=DivcolorEncoder(width=width, latent=latent),
        prior=DivcolorMDN(width=width, latent=latent, components=size.components),
        generation=DivcolorDecoder(width=width, latent=latent),
    )


@torch.inference_mode()
def component_answers(model: CVAE, grey: Tensor, k: int) -> Tensor:
    """The original's answers: decoded component means, the most probable component first.

    Lightness `(B, 1, H, W)` -> `(B, n, 2, H/2, W/2)` in ab/128, n = k or all components if fewer.
    """
    features = model.condition(grey)
    prior: DivcolorPrior = model.prior(features)
    order = prior.logits.argsort(dim=-1, descending=True)[:, :k]  # (B, n)
    z = prior.loc.take_along_dim(order[..., None], 1)  # (B, n, Z)
    return model.decode(z.transpose(0, 1), features)
