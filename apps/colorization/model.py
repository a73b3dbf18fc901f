"""Colorization as a CVAE: which networks, at which size."""

from dataclasses import dataclass

from apps.colorization.colour import ColourDecoder, ColourEncoder
from apps.colorization.divcolor import DivcolorSize, build_divcolor
from apps.colorization.gaussian import GaussianPrior
from apps.colorization.grey import GreyTower
from apps.kinds import Kind
from cvae.model import CVAE
from mdn.prior import MixturePrior


@dataclass(frozen=True)
class Size:
    """The one dial is `width`: channels of the finest map; the rest follows the design."""

    width: int = 32
    palette: int = 16
    spatial: int = 4
    components: int = 8
    rank: int = 16
    detail: int = 8


def build(size: Size) -> CVAE:
    """Networks for lightness `(B, 1, H, W)` in [-1, 1] and chroma `(B, 2, H/2, W/2)` in ab/128.

    H and W are multiples of 16 (128 in training).

    Example:
        >>> import torch
        >>> model = build(Size(width=8))
        >>> model.sample(torch.zeros(1, 1, 128, 128), k=3).shape
        torch.Size([1, 3, 2, 64, 64])
    """
    latent = {"palette": size.palette, "spatial": size.spatial}
    return CVAE(
        condition=GreyTower(width=size.width, detail=size.detail),
        recognition=ColourEncoder(width=size.width, **latent),
        prior=MixturePrior(
            width=size.width,
            whole=size.palette,
            spatial=size.spatial,
            components=size.components,
            rank=size.rank,
        ),
        generation=ColourDecoder(width=size.width, detail=size.detail, **latent),
    )


def build_gaussian(size: Size) -> CVAE:
    """The networks of `build`, but for a plain Gaussian prior (`components` and `rank` idle)."""
    latent = {"palette": size.palette, "spatial": size.spatial}
    return CVAE(
        condition=GreyTower(width=size.width, detail=size.detail),
        recognition=ColourEncoder(width=size.width, **latent),
        prior=GaussianPrior(width=size.width, **latent),
        generation=ColourDecoder(width=size.width, detail=size.detail, **latent),
    )


KINDS = {
    "mixture": Kind(Size, build),
    "gaussian": Kind(Size, build_gaussian),
    "divcolor": Kind(DivcolorSize, build_divcolor),
}
