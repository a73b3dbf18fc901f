"""What ours is compared with, trained once on the same windows and kept in the caller's cache."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from apps.motion import quantised, regressor
from apps.motion.data import Windows
from apps.motion.recipe import RECIPES, Recipe
from apps.motion.rows import Row
from apps.motion.train import train_recipe
from apps.training import finished, trained_once

WALKER = "walker"
RIVALS = (WALKER,)  # recipes
NAMES = (regressor.NAME, regressor.NOISY, quantised.NAME)  # rows of `baselines`


@dataclass(frozen=True)
class Plan:
    """How much is computed.

    `recipe`: what the baselines that need training share with ours; None leaves them out.
    """

    recipe: Recipe | None = RECIPES["small"]
    kinds: int = quantised.KINDS
    resamples: int = 2000


def baselines(
    train: Windows, cache: Path, plan: Plan, *, device: torch.device, progress: bool = True
) -> Sequence[Row]:
    """The regressor, the regressor with noise and the quantised-flow classifier.

    What is not yet trained in `cache` is trained, or continued where it stopped.
    """
    if plan.recipe is None:
        return ()
    network = regressor.train_regressor(
        train, cache / "regressor", recipe=plan.recipe, device=device, progress=progress
    )
    classifier = quantised.train_quantised(
        train,
        cache / "quantised",
        recipe=plan.recipe,
        kinds=plan.kinds,
        device=device,
        progress=progress,
    )
    return *regressor.regressor_rows(network, train, device=device), classifier


# (data, cache, *, device, training) -> weights by name, for `evaluate(others=...)`
rivals = partial(trained_once, RIVALS, RECIPES, train_recipe)


def plan_of(cache: Path, *, recipe: Recipe = RECIPES["small"], training: bool) -> Plan:
    """Everything; without `training` only what `cache` holds already."""
    runs = (cache / "regressor", cache / "quantised")
    known = all(finished(run, recipe.schedule.steps) for run in runs)
    return Plan(recipe if training or known else None)
