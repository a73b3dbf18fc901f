"""Motion as a CVAE: which networks, at which size."""

from dataclasses import dataclass

from apps.kinds import Kind
from apps.motion.networks import MotionDecoder, MotionEncoder, SceneTower
from apps.motion.walker import WalkerSize, build_walker
from cvae.model import CVAE
from mdn.prior import MixturePrior


@dataclass(frozen=True)
class Size:
    """The one dial is `width`: channels of the finest map; the rest follows the design."""

    width: int = 32
    whole: int = 16
    spatial: int = 4
    components: int = 8
    rank: int = 16


def build(size: Size) -> CVAE:
    """Networks for stills `(B, 3, H, W)` in [-1, 1] and what `apps.motion.cells` says of cells.

    H and W are multiples of 16 (160 and 208 in training); a cell is 8 pixels a side.

    Example:
        >>> import torch
        >>> model = build(Size(width=8))
        >>> model.sample(torch.zeros(1, 3, 160, 208), k=3).shape
        torch.Size([1, 3, 22, 20, 26])
    """
    latent = {"whole": size.whole, "spatial": size.spatial}
    return CVAE(
        condition=SceneTower(width=size.width),
        recognition=MotionEncoder(width=size.width, **latent),
        prior=MixturePrior(width=size.width, components=size.components, rank=size.rank, **latent),
        generation=MotionDecoder(width=size.width, **latent),
    )


KINDS = {"mixture": Kind(Size, build), "walker": Kind(WalkerSize, build_walker)}
