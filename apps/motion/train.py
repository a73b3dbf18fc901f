"""Train a recipe on the windows of a cache."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from apps.motion.data import Windows, cap_groups, load_windows
from apps.motion.recipe import Recipe
from cvae.training import Trainer, train
from pretrained import store


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
    """Train on the train split of the cache `data`; leave the run in `out`."""
    windows = cap_groups(load_windows(data, "train"), recipe.group)
    return train_on(
        recipe,
        windows,
        out,
        name=name,
        device=device,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )


def train_on(recipe: Recipe, windows: Windows, out: Path, **options: Any) -> Trainer:
    """Train on windows in memory; `options` are those of `cvae.training.train`, and `name`."""
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    objective = recipe.objective()
    if recipe.tower:
        start_tower(objective.model.condition, recipe.tower)
    config: dict[str, Any] = {
        "domain": "motion",
        "recipe": options.pop("name", ""),
        "windows": len(windows),
        "scenes": len(set(windows.scenes)),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "weights": asdict(recipe.weights),
        "tower": recipe.tower,
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


def start_tower(tower: nn.Module, model: str | Path) -> None:
    """Give a tower the weights that another model's tower has learnt on photos.

    Its own heads, which the other one lacks, stay as they are.

    Raises:
        ValueError: the other tower has another width.
        pretrained.store.WeightsError: it is not there, or damaged.
    """
    state = store.load(store.resolve(model)).state
    own = tower.state_dict()
    learnt = {key: state[f"condition.{key}"].float() for key in own if f"condition.{key}" in state}
    odd = [key for key, value in learnt.items() if value.shape != own[key].shape]
    if odd or not learnt:
        raise ValueError(
            f"got {model}, whose tower differs in {odd[0] if odd else 'every name'}, expected "
            "one of the same width"
        )
    tower.load_state_dict(own | learnt)
