"""Train a recipe on the windows of a cache."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from apps import runtime
from apps.kinds import Kind
from apps.motion.data import Windows, cap_groups, load_windows
from apps.motion.recipe import Recipe
from cvae.backbones import EfficientNetLite
from cvae.training import Trainer, train

BACKBONES = {"efficientnet-lite0": Kind(dict, lambda _: EfficientNetLite())}


def train_recipe(recipe: Recipe, data: Path, out: Path, **options: Any) -> Trainer:
    """Train on the train split of the cache `data`; leave the run in `out`.

    `options` are those of `train_on`.
    """
    windows = cap_groups(load_windows(data, "train"), recipe.group)
    return train_on(recipe, windows, out, **options)


def train_on(recipe: Recipe, windows: Windows, out: Path, **options: Any) -> Trainer:
    """Train on windows in memory; `options` are those of `cvae.training.train`, and `name`."""
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    objective = recipe.objective()
    if recipe.backbone:
        start_tower(objective.model.condition, recipe.backbone)
    config: dict[str, Any] = {
        "domain": "motion",
        "recipe": options.pop("name", ""),
        "windows": len(windows),
        "scenes": len(set(windows.scenes)),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "weights": asdict(recipe.weights),
        "backbone": recipe.backbone,
    }
    return train(
        objective,
        windows.tensors,
        size=len(windows),
        schedule=recipe.schedule,
        out=out,
        config=config,
        **options,
    )


def start_tower(tower: Any, backbone: str | Path) -> None:
    """Give a tower the backbone that others have trained; its own layers stay as they are.

    Raises:
        pretrained.store.WeightsError: it is not there, damaged, or no backbone.
    """
    tower.backbone, _ = runtime.load(backbone, domain="backbone", kinds=BACKBONES)
