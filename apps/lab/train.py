"""Train a recipe on the digits of a folder, or sprites; keep a cache of all that are measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from apps.export import export
from apps.lab.digits import load_digits
from apps.lab.factors import load_sprites
from apps.lab.recipe import RECIPES, Recipe
from apps.training import begun, finished
from cvae.training import Trainer, train


class Examples(Protocol):
    """What a recipe learns from: `Digits` or a `SpriteSplit`."""

    def __len__(self) -> int: ...
    def tensors(self, rows: Tensor) -> tuple[Tensor, Tensor]: ...
    def binarised(self) -> "Examples": ...


def examples(kind: str, data: Path) -> Examples:
    """The train split of the digits in `data`, or of sprites, which need no file."""
    return load_sprites("train") if kind == "sprites" else load_digits(data, "train")


def train_recipe(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    name: str = "",
    device: torch.device | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train on the train split of the digits in `data`, or of sprites; leave the run in `out`.

    A recipe that starts from another's guess trains that one first, in `out`.
    """
    return train_on(
        recipe,
        examples(recipe.data, data),
        out,
        guesses=out,
        name=name,
        device=device,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )


def train_on(
    recipe: Recipe,
    shown: Examples,
    out: Path,
    *,
    guesses: Path,
    name: str = "",
    **options: Any,
) -> Trainer:
    """Train on examples in memory; `options` are those of `cvae.training.train`.

    Args:
        guesses: folder of the runs of baselines, by the names of their recipes; what is not
            there yet is trained there.
    """
    guess = None
    if recipe.guess:
        run = guesses / recipe.guess
        first: dict[str, Any] = {**options, "name": recipe.guess, "resume": begun(run)}
        baseline = RECIPES[recipe.guess]
        guess = train_on(baseline, shown, run, guesses=guesses, **first).average
    if recipe.pixels == "static":
        shown = shown.binarised()
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    config: dict[str, Any] = {
        "domain": "lab",
        "recipe": name,
        recipe.data: len(shown),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "loss": repr(recipe.loss),
        "pixels": recipe.pixels,
        "given": recipe.given,
    }
    return train(
        recipe.objective(guess),
        shown.tensors,
        size=len(shown),
        schedule=recipe.schedule,
        out=out,
        config=config,
        **options,
    )


def cached(
    data: Path, cache: Path, *, device: torch.device, training: bool, progress: bool = True
) -> dict[str, Path]:
    """Weights of all recipes by name, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    loaded: dict[str, Examples] = {}
    found = {}
    for name, recipe in RECIPES.items():
        run = cache / name
        if not finished(run, recipe.schedule.steps):
            if not training:
                continue
            if recipe.data not in loaded:
                loaded[recipe.data] = examples(recipe.data, data)
            train_on(
                recipe,
                loaded[recipe.data],
                run,
                guesses=cache,
                name=name,
                device=device,
                progress=progress,
                resume=begun(run),
            )
        found[name] = export(run)
    return found
