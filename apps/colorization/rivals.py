"""The models compared with: trained once by their own recipes, and kept in the caller's cache."""

from pathlib import Path

import torch

from apps.colorization import ablation, regression
from apps.colorization.evaluate import RIVALS, Plan
from apps.colorization.recipe import RECIPES
from apps.colorization.train import train_recipe
from apps.export import export
from apps.training import begun, finished


def rivals(
    data: Path, cache: Path, *, device: torch.device, training: bool, progress: bool = True
) -> dict[str, Path]:
    """Weights of `divcolor` and `cvae` by name, for `evaluate(others=...)`.

    What is not yet trained in `cache` is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    found = {}
    for name in RIVALS:
        run, recipe = cache / name, RECIPES[name]
        if not finished(run, recipe.schedule.steps):
            if not training:
                continue
            resume = begun(run)
            train_recipe(
                recipe, data, run, name=name, device=device, resume=resume, progress=progress
            )
        found[name] = export(run)
    return found


def plan_of(cache: Path, *, training: bool) -> Plan:
    """Everything; without `training` only what `cache` holds already."""
    if training:
        return Plan()
    unet = finished(cache / "unet", regression.SCHEDULE.steps)
    runs = [cache / f"ablation-{i}" for i in range(3)]
    terms = all(finished(run, ablation.SCHEDULE.steps) for run in runs)
    return Plan(
        unet=regression.SCHEDULE if unet else None, ablation=ablation.SCHEDULE if terms else None
    )
