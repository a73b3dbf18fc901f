"""Runs of every domain: `perhaps train`, `perhaps evaluate`, and those that a cache keeps."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from apps.export import export
from apps.runtime import pick_device
from cvae import checkpoint, training
from cvae.parallel import process_group
from cvae.training import Fetch, Schedule, Trainer
from pretrained import store


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


def evaluate(
    args: argparse.Namespace,
    *,
    model: str,
    evaluate: Callable[..., Any],
    rivals: Callable[..., Any],
    plan_of: Callable[..., Any],
) -> None:
    """Measure `--model`, by default the shipped `model`, beside rivals and plain baselines.

    Those that `--cache` lacks are trained there, unless `--no-training` leaves them out.
    """
    device, training = pick_device(args.device), not args.no_training
    weights = weights_of(args, model)
    evaluate(
        args.data,
        out=args.out,
        cache=args.cache,
        weights=weights,
        others=rivals(args.data, args.cache, device=device, training=training),
        split=args.split,
        device=args.device,
        limit=args.limit,
        plan=plan_of(args.cache, training=training),
    )


def weights_of(args: argparse.Namespace, model: str) -> str:
    """`--model`, by default the shipped `model`; that it is not there is told before training.

    Raises:
        pretrained.store.WeightsError: there is no such model.
    """
    weights: str = args.model or model
    store.resolve(weights)
    return weights


def begun(run: Path) -> bool:
    """Whether there is a run, so that it is to be continued."""
    return (run / checkpoint.NAME).exists()


def finished(run: Path, steps: int) -> bool:
    """Whether the run is there and has taken its steps."""
    return begun(run) and checkpoint.load(run)["trainer"]["step"] >= steps


def trained_once(
    names: Iterable[str],
    recipes: Mapping[str, Any],
    train_recipe: Callable[..., Any],
    data: Path,
    cache: Path,
    *,
    device: torch.device,
    training: bool,
    progress: bool = True,
) -> dict[str, Path]:
    """Weights by name of the recipes that a model is compared with, each a run in `cache`.

    What is not yet trained there is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    found = {}
    for name in names:
        run, recipe = cache / name, recipes[name]
        if not finished(run, recipe.schedule.steps):
            if not training:
                continue
            resume = begun(run)
            train_recipe(
                recipe, data, run, name=name, device=device, resume=resume, progress=progress
            )
        found[name] = export(run)
    return found


def resumed(
    objective: nn.Module,
    fetch: Fetch,
    *,
    size: int,
    schedule: Schedule,
    out: Path,
    config: Mapping[str, Any],
    device: torch.device | None = None,
    progress: bool = True,
) -> Trainer:
    """Train in `out`, or go on with the run there; a finished one is only read.

    Raises:
        ValueError: the run in `out` has another configuration.
    """
    exists = begun(out)
    if exists:
        found = checkpoint.load(out)
        if found["config"] != config:
            raise ValueError(
                f"got {out}, a run of {found['config']}, expected one of {config}: "
                "delete it or name another cache"
            )
        if found["trainer"]["step"] >= schedule.steps:
            trainer = Trainer(objective, schedule, device=device or torch.device("cpu"))
            trainer.restore(found["trainer"])
            return trainer
    return training.train(
        objective,
        fetch,
        size=size,
        schedule=schedule,
        out=out,
        config=dict(config),
        device=device,
        resume=exists,
        progress=progress,
    )
