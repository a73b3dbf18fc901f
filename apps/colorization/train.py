"""Train a recipe on the photos of a folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from apps.colorization.data import find_photos, load_photos
from apps.colorization.recipe import Recipe
from cvae.training import Trainer, train


def train_recipe(
    recipe: Recipe, data: Path, out: Path, *, name: str = "", progress: bool = True, **options: Any
) -> Trainer:
    """Train on the train split of every set in `data`; leave the run in `out`.

    `options` are those of `cvae.training.train`.
    """
    photos = load_photos(find_photos(data, "train"), progress=progress)
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    objective = recipe.objective()
    objective.fit(photos, seed=recipe.schedule.seed)
    config: dict[str, Any] = {
        "domain": "colorization",
        "recipe": name,
        "photos": len(photos),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "weights": asdict(recipe.weights),
    }
    return train(
        objective,
        photos.tensors,
        size=len(photos),
        schedule=recipe.schedule,
        out=out,
        config=config,
        progress=progress,
        **options,
    )
