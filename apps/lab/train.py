"""Train a recipe on the digits of a folder, and keep a cache of all that are measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from apps.export import export
from apps.lab.digits import Digits, load_digits
from apps.lab.recipe import RECIPES, Recipe
from apps.training import finished
from cvae import checkpoint
from cvae.training import Trainer, train


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
    """Train on the train split of the digits in `data`; leave the run in `out`.

    A recipe that starts from another's guess trains that one first, in `out`.
    """
    return train_on(
        recipe,
        load_digits(data, "train"),
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
    digits: Digits,
    out: Path,
    *,
    guesses: Path,
    name: str = "",
    **options: Any,
) -> Trainer:
    """Train on digits in memory; `options` are those of `cvae.training.train`.

    Args:
        guesses: folder of the runs of baselines, by the names of their recipes; what is not
            there yet is trained there.
    """
    guess = None
    if recipe.guess:
        run = guesses / recipe.guess
        first: dict[str, Any] = {**options, "name": recipe.guess, "resume": _begun(run)}
        baseline = RECIPES[recipe.guess]
        guess = train_on(baseline, digits, run, guesses=guesses, **first).average
    if recipe.pixels == "static":
        digits = digits.binarised()
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    config: dict[str, Any] = {
        "domain": "lab",
        "recipe": name,
        "digits": len(digits),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "loss": repr(recipe.loss),
        "pixels": recipe.pixels,
        "given": recipe.given,
    }
    return train(
        recipe.objective(guess),
        digits.tensors,
        size=len(digits),
        schedule=recipe.schedule,
        out=out,
        config=config,
        **options,
    )


def _begun(run: Path) -> bool:
    return (run / checkpoint.NAME).exists()


def cached(
    data: Path, cache: Path, *, device: torch.device, training: bool, progress: bool = True
) -> dict[str, Path]:
    """Weights of all recipes by name, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    digits: Digits | None = None
    found = {}
    for name, recipe in RECIPES.items():
        run = cache / name
        if not finished(run, recipe.schedule.steps):
            if not training:
                continue
            digits = digits or load_digits(data, "train")
            train_on(
                recipe,
                digits,
                run,
                guesses=cache,
                name=name,
                device=device,
                progress=progress,
                resume=_begun(run),
            )
        found[name] = export(run)
    return found
