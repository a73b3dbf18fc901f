"""Toy digits, each class a bright band of its own on a lot of grey; and recipes that suit them."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.lab.model import (
    BaselineSize,
    ClassifierSize,
    ConvSize,
    DenseSize,
    QuadrantSize,
    SpriteSize,
)
from apps.lab.objective import Importance
from apps.lab.recipe import RECIPES
from cvae.training import Schedule

SIZES: dict[str, Any] = {
    "dense": DenseSize(width=8, latent=2),
    "conv": ConvSize(width=8, latent=2),
    "quadrants": QuadrantSize(width=8, latent=2, baseline=8),
    "sprites": SpriteSize(width=4, hidden=8, latent=3),
    "baseline": BaselineSize(width=8),
    "classifier": ClassifierSize(width=8),
}


def toy(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels, sorted by class as the real ones are."""
    labels = np.sort(np.arange(n) % 10).astype(np.uint8)
    images = np.random.default_rng(seed).integers(0, 80, (n, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4 : 2 * label + 6] = 255
    return images, labels


def arrays() -> dict[str, np.ndarray]:
    """What the file holds: 240 digits to train and validate on, 60 to test on."""
    found = {}
    for seed, (name, n) in enumerate((("train", 240), ("test", 60))):
        found[f"{name}_images"], found[f"{name}_labels"] = toy(n, seed=seed)
    return found


def steps(n: int) -> Schedule:
    return Schedule(steps=n, batch=20, warmup=1, clip=1e4, log_every=1)


def shrink(patch: pytest.MonkeyPatch, schedule: Schedule) -> None:
    """Every recipe with small networks and few draws, for as long as the patch holds."""
    for name, recipe in RECIPES.items():
        size = SIZES[recipe.model]
        if getattr(recipe.size, "told", False):
            size = replace(size, told=True)
        loss = Importance(draws=2) if isinstance(recipe.loss, Importance) else recipe.loss
        small = replace(recipe, size=size, loss=loss, schedule=schedule)
        patch.setitem(RECIPES, name, small)


def asked(recipe: str, data: Path, out: Path) -> Namespace:
    """What `perhaps train core` is called with, for a single step."""
    parts = {"recipe": recipe, "data": data, "out": out, "device": "cpu"}
    return Namespace(**parts, steps=1, resume=False, dry_run=False)
