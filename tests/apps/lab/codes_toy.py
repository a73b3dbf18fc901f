"""Small codecs and laws: far from uniform, and of maps so small that all of them can be listed."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.lab.codes_law import CodeLaw
from apps.lab.codes_model import Codec, CodecSize, LawSize, build_law
from apps.lab.codes_recipe import CODES
from cvae.training import Schedule


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codec(codes: tuple[int, ...] = (2,), halvings: tuple[int, ...] = (4,)) -> Codec:
    torch.manual_seed(0)
    return Codec(CodecSize(codes, halvings, width=8, dim=2)).eval()


def law(of: Codec, *, loud: float = 2.5) -> CodeLaw:
    """Laws of all levels, untrained, with weights so large that they are far from uniform."""
    torch.manual_seed(1)
    laws = []
    for size, above in zip(of.sizes, (*of.sizes[1:], 0), strict=True):
        made = build_law(LawSize(codes=size, above=above, width=8, blocks=2, kernel=3, features=8))
        with torch.no_grad():
            for p in made.parameters():
                p.mul_(loud)
        laws.append(made.eval())
    return CodeLaw(of, laws)


def uniform(of: CodeLaw) -> CodeLaw:
    """The laws with a last layer that finds all codes as probable."""
    return steady(of, [torch.zeros(size) for size in of.codec.sizes])


def steady(of: CodeLaw, logits: list[Tensor]) -> CodeLaw:
    """The laws with a last layer that says the same at every place of a level."""
    for one, level in zip(of.laws, logits, strict=True):
        last: Any = one.head[-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(level)
    return of


def every_map(side: int, codes: int) -> Tensor:
    """All maps there are, `(codes ** (side * side), side, side)`."""
    values = torch.cartesian_prod(*[torch.arange(codes)] * side**2)
    return values.view(-1, side, side)


def shrink(patch: pytest.MonkeyPatch, schedule: Schedule) -> None:
    """Every recipe with small networks, for as long as the patch holds."""
    for name, recipe in CODES.items():
        size: Any = {"width": 8, "dim": 2}
        if recipe.model == "law":
            size = {"width": 4, "blocks": 1, "kernel": 3, "features": 4}
        small = replace(recipe, size=replace(recipe.size, **size), schedule=schedule)
        patch.setitem(CODES, name, small)
