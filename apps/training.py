"""`perhaps train` for every domain: a recipe by its name, alone or under torchrun."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.runtime import pick_device
from cvae import checkpoint
from cvae.parallel import process_group


def train(
    args: argparse.Namespace, *, recipes: Mapping[str, Any], train_recipe: Callable[..., Any]
) -> None:
    """Train the recipe that `args` name; `--steps` replaces those of its schedule.

    Raises:
        ValueError: there is no such recipe.
    """
    if args.recipe not in recipes:
        raise ValueError(f"got recipe {args.recipe!r}, expected one of {', '.join(recipes)}")
    recipe = recipes[args.recipe]
    if args.steps:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=args.steps))
    with process_group():
        train_recipe(
            recipe,
            args.data,
            args.out,
            name=args.recipe,
            device=pick_device(args.device),
            resume=args.resume,
            dry_run=args.dry_run,
        )


def begun(run: Path) -> bool:
    """Whether there is a run, so that it is to be continued."""
    return (run / checkpoint.NAME).exists()


def finished(run: Path, steps: int) -> bool:
    """Whether the run is there and has taken its steps."""
    return begun(run) and checkpoint.load(run)["trainer"]["step"] >= steps
