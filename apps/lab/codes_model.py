"""Digits as maps of codes, and laws of such maps: which networks, at which size."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from apps.kinds import Kind
from apps.lab.digits import CLASSES, SIDE
from cvae.pixelcnn import CodeContext, PixelCNN
from cvae.quantize import Quantized
from cvae.vqvae import VQVAE


@dataclass(frozen=True)
class CodecSize:
    """`codes` and `halvings` a level, finest first; see `cvae.vqvae.VQVAE`."""

    codes: Sequence[int] = (64,)
    halvings: Sequence[int] = (2,)
    width: int = 24
    dim: int = 8


@dataclass(frozen=True)
class LawSize:
    """A PixelCNN over maps of `codes`; `told`: the class is a condition.

    `above`: codes of the coarser level that is a condition too, 0 where there is none, and
    `halvings` from here to there.
    """

    codes: int = 64
    told: bool = True
    above: int = 0
    halvings: int = 1
    width: int = 32
    blocks: int = 6
    kernel: int = 5
    features: int = 32


class Codec(VQVAE):
    """Digits to maps of codes and back.

    28 pixels are halved twice as they are; for a third time they get an edge of background, 32
    pixels in all, which is cut off what comes back.

    Shapes: x `(B, 1, 28, 28)` in [0, 1] -> as large; codes `(B, h, w)` long a level, finest first.
    """

    def __init__(self, size: CodecSize) -> None:
        parts = {"width": size.width, "dim": size.dim}
        super().__init__(channels=1, codes=size.codes, halvings=size.halvings, **parts)
        self.edge = (-SIDE % self.multiple) // 2
        self.sizes = tuple(size.codes)
        padded = SIDE + 2 * self.edge
        self.sides = tuple(padded // 2**n for n in accumulate(size.halvings))

    def forward(
        self, x: Tensor, *, generator: Generator | None = None
    ) -> tuple[Tensor, list[Quantized]]:
        output, found = super().forward(self._padded(x), generator=generator)
        return self._cut(output), found

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        return super().encode(self._padded(x))

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        return self._cut(super().decode(codes))

    def _padded(self, x: Tensor) -> Tensor:
        return F.pad(x, [self.edge] * 4)

    def _cut(self, x: Tensor) -> Tensor:
        return x[..., self.edge : self.edge + SIDE, self.edge : self.edge + SIDE]


class ClassAndCodes(nn.Module):
    """The class and the codes of the coarser level, at every place of the finer one.

    Shapes: what `told` gives, `(B, h, w)` long -> `(B, features, H, W)`.
    """

    def __init__(self, *, codes: int, features: int, halvings: int) -> None:
        super().__init__()
        self.codes = codes
        self.classes = nn.Embedding(CLASSES, features)
        self.context = CodeContext(codes=codes, features=features, halvings=halvings)

    def forward(self, c: Tensor) -> Tensor:
        labels = c[:, 0, 0] // self.codes  # the same at all places
        return self.context(c % self.codes) + self.classes(labels)[:, :, None, None]


def told(labels: Tensor, above: Tensor | None, codes: int) -> Tensor:
    """What a law is asked with: the class, or in one number the class and the level above.

    Args:
        labels: `(B,)`.
        above: coarser codes `(B, h, w)`, None for the law of the coarsest.
        codes: how many of them there are.

    Example:
        >>> import torch
        >>> told(torch.tensor([3]), torch.tensor([[[1, 2]]]), 10)
        tensor([[[31, 32]]])
    """
    return labels if above is None else labels[:, None, None] * codes + above


def build_law(size: LawSize) -> PixelCNN:
    """The network of a law; a told one is asked as `told` says.

    Example:
        >>> import torch
        >>> law = build_law(LawSize(codes=4, above=3, width=8, blocks=2, features=4))
        >>> law.sample((2, 8, 8), torch.zeros(2, 4, 4, dtype=torch.long)).shape
        torch.Size([2, 8, 8])
    """
    condition: nn.Module | None = None
    if size.told and size.above:
        condition = ClassAndCodes(codes=size.above, features=size.features, halvings=size.halvings)
    elif size.told:
        condition = nn.Embedding(CLASSES, size.features)
    return PixelCNN(
        codes=size.codes,
        width=size.width,
        blocks=size.blocks,
        kernel=size.kernel,
        condition=condition,
        features=size.features if condition is not None else 0,
    )


KINDS = {"codec": Kind(CodecSize, Codec), "law": Kind(LawSize, build_law)}
