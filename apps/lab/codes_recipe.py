"""The recipes of quantized digits: the only place where their sizes and schedules stand."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from apps.lab.codes_model import KINDS, CodecSize, LawSize
from apps.lab.recipe import RECIPES, Recipe
from cvae.pixelcnn import PixelCNNObjective
from cvae.training import Schedule
from cvae.vqvae import VQVAEObjective


@dataclass(frozen=True)
class CodeRecipe:
    """A codec of grey digits, or a law: of the codes of a codec, or of binarised digits.

    `after` names the recipe of the codec whose codes of a `level` (finest 0) a law learns, given
    the class and the level above; it is trained first and then learns no more. A law without one
    learns pixels that were drawn once.
    """

    size: Any
    schedule: Schedule
    model: str = "codec"
    after: str | None = None
    level: int = 0
    data: Literal["digits"] = "digits"

    def objective(self) -> nn.Module:
        """Networks as they start, within the objective that they are to be trained on."""
        model: Any = KINDS[self.model].build(self.size)
        return VQVAEObjective(model) if self.model == "codec" else PixelCNNObjective(model)


# Sums of nats have gradients of tens (laws) to ten thousand (codecs, whose scale shrinks as they
# learn): clipping is for what breaks, not for these.
CODEC = Schedule(steps=6000, batch=64, learning_rate=1e-3, clip=1e5)
LAW = replace(CODEC, steps=4000, batch=128)


def _codec(codes: int, *, levels: int) -> CodeRecipe:
    return CodeRecipe(CodecSize((codes,) * levels, (2, 1)[:levels]), CODEC)


def _laws(name: str, size: CodecSize) -> dict[str, CodeRecipe]:
    """A law for every level of a codec: of the coarsest given the class, of others given both."""
    above = (*size.codes[1:], 0)
    halvings = (*size.halvings[1:], 1)
    found = {}
    for level, codes in enumerate(size.codes):
        law = LawSize(codes=codes, above=above[level], halvings=halvings[level])
        found[law_name(name, level)] = CodeRecipe(law, LAW, "law", after=name, level=level)
    return found


def law_name(codec: str, level: int) -> str:
    """The recipe of the law of a codec's level, finest 0."""
    return f"{codec}-law-{level}"


# Minutes on one CPU core, the other one busy: a codec of one level 8, of two 11 to 16, a law of
# 7×7 codes 7 to 12, of 8×8 given 4×4 codes 10 to 12, of 4×4 codes 4, of pixels 28.
CODECS = {
    **{f"vq-{k}": _codec(k, levels=1) for k in (16, 64, 256)},
    **{f"vq2-{k}": _codec(k, levels=2) for k in (16, 64)},
}
PIXELS = "pixelcnn"
CODES = {
    **CODECS,
    **{name: law for codec, of in CODECS.items() for name, law in _laws(codec, of.size).items()},
    PIXELS: CodeRecipe(
        LawSize(codes=2, told=False, width=16, blocks=7),
        replace(CODEC, steps=9000, batch=32),
        "law",
    ),
}

PASSES = 10  # of a scored classifier over the pictures that it learns from


def pupil(pictures: int) -> Recipe:
    """The classifier that learns from so many pictures, for the classification accuracy score."""
    batch = min(50, pictures)
    steps = PASSES * pictures // batch
    schedule = Schedule(steps=steps, batch=batch, warmup=steps // 10)
    return replace(RECIPES["classifier"], schedule=schedule)
