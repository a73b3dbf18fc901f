"""The models compared with: trained once by their own recipes, and kept in the caller's cache."""

from functools import partial
from pathlib import Path

from apps.colorization import ablation, regression
from apps.colorization.evaluate import RIVALS, Plan
from apps.colorization.recipe import RECIPES
from apps.colorization.train import train_recipe
from apps.training import finished, trained_once

# (data, cache, *, device, training) -> weights by name, for `evaluate(others=...)`
rivals = partial(trained_once, RIVALS, RECIPES, train_recipe)


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
