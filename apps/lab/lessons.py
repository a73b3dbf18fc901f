"""What a recipe of the lab learns from: its objective, and what a step of it is shown."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor, nn
from torch.utils.data import TensorDataset

from apps.lab.codes_law import encode, fingerprint
from apps.lab.codes_model import Codec, told
from apps.lab.codes_recipe import CODES, CodeRecipe
from apps.lab.digits import Digits, load_digits
from apps.lab.factors import load_sprites
from apps.lab.recipe import Recipe
from cvae.training import Fetch, Trainer


class Examples(Protocol):
    """Of which data: `Digits` or a `SpriteSplit`."""

    def __len__(self) -> int: ...
    def tensors(self, rows: Tensor) -> tuple[Tensor, Tensor]: ...
    def binarised(self) -> "Examples": ...


def examples(kind: str, data: Path) -> Examples:
    """The train split of the digits in `data`, or of sprites, which need no file."""
    return load_sprites("train") if kind == "sprites" else load_digits(data, "train")


@dataclass(frozen=True)
class Lesson:
    """`facts` go to the configuration of the run."""

    objective: nn.Module
    fetch: Fetch
    facts: dict[str, Any] = field(default_factory=dict)


def lesson(recipe: Recipe | CodeRecipe, shown: Examples, first: Trainer | None) -> Lesson:
    """Of a recipe, on the examples of a split.

    Args:
        first: the trained run of the recipe that this one comes `after`.
    """
    if isinstance(recipe, CodeRecipe):
        return _of_codes(recipe, cast(Digits, shown), first)
    if recipe.pixels == "static":
        shown = shown.binarised()
    objective = recipe.objective(first.average if first is not None else None)
    facts = {"loss": repr(recipe.loss), "pixels": recipe.pixels, "given": recipe.given}
    return Lesson(objective, shown.tensors, facts)


def _of_codes(recipe: CodeRecipe, digits: Digits, first: Trainer | None) -> Lesson:
    """Grey pictures for a codec; for a law codes with their conditions, or pixels."""
    objective = recipe.objective()
    if first is not None:
        codec = _frozen(first, CODES[str(recipe.after)])
        codes: Any = (*encode(codec, digits), None)  # above the coarsest there is none
        condition = told(digits.labels, codes[recipe.level + 1], recipe.size.above)
        pairs = TensorDataset(codes[recipe.level], condition)
        facts = {"codec": recipe.after, "codes": fingerprint(codec)}
        return Lesson(objective, pairs.__getitem__, facts)
    if recipe.model == "codec":
        return Lesson(objective, _Pictures(digits))
    return Lesson(objective, _Pixels(digits.binarised()))


def _frozen(trained: Trainer, recipe: CodeRecipe) -> Codec:
    """The codec that a run has arrived at, as `export` rounds it: it will give the same codes."""
    codec: Any = recipe.objective().model
    state = {
        name: value.half().float() if value.is_floating_point() else value
        for name, value in trained.average.items()
    }
    codec.load_state_dict(state)
    return cast(Codec, codec.to(trained.device).eval().requires_grad_(False))


class _Pictures:
    """Row numbers to grey pictures."""

    def __init__(self, digits: Digits) -> None:
        self.digits = digits

    def __call__(self, rows: Tensor) -> Tensor:
        return self.digits.tensors(rows)[0]


class _Pixels(_Pictures):
    """Row numbers to binary pixels as codes, `(B, 28, 28)` long."""

    def __call__(self, rows: Tensor) -> Tensor:
        return super().__call__(rows)[:, 0].long()
