"""Seconds and memory of the faces on this machine: measured here, asserted nowhere."""

import time
from dataclasses import replace
from pathlib import Path

import torch

from apps.bench import PeakMemory, training_table
from apps.faces.frame import SIZE
from apps.faces.predict import FaceMaker
from apps.faces.recipe import RECIPES, who_measures
from apps.faces.train import Augmented
from apps.runtime import pick_device
from cvae.training import Trainer

KS = (1, 16, 256)


def bench(*, device: str = "auto", model: str | Path = "faces", recipe: str = "small") -> str:
    """Print and return two Markdown tables: k faces of one request, and the rate of training."""
    text = f"{_making(device, model)}\n\n{_training(pick_device(device), recipe)}"
    print(text)
    return text


def _making(device: str, model: str | Path) -> str:
    start = time.perf_counter()
    maker = FaceMaker.from_pretrained(model, device=device)
    loading = time.perf_counter() - start
    maker({"Smiling": True}, k=1)  # the first call pays for what later ones find warm
    lines = [
        "| faces | seconds | faces/s | peak memory beyond the model, MiB |",
        "|---|--:|--:|--:|",
    ]
    for k in KS:
        with PeakMemory() as memory:
            start = time.perf_counter()
            maker({"Smiling": True}, k=k)
            seconds = time.perf_counter() - start
        lines.append(f"| {k} | {seconds:.3f} | {k / seconds:.0f} | {memory.peak / 2**20:.0f} |")
    lines.append(f"| loading the weights | {loading:.2f} | | |")
    return "\n".join(lines)


def _training(device: torch.device, name: str) -> str:
    """Images/s of whole steps beside forward and backward alone, all players in the game."""
    torch.manual_seed(0)
    recipe = RECIPES[name]
    if recipe.weights is not None:
        recipe = replace(recipe, weights=replace(recipe.weights, alone=0))
    judge = who_measures(RECIPES[recipe.judge].objective()) if recipe.judge else None
    objective = Augmented(recipe.objective(judge), recipe.augment)
    schedule = replace(recipe.schedule, steps=10**6)
    trainer = Trainer(objective, schedule, device=device)
    size, attributes = schedule.batch, recipe.size.attributes
    x, real = torch.rand(2, size, 3, SIZE, SIZE, device=device) * 2 - 1
    y, labels = torch.randint(2, (2, size, attributes), device=device) * 2.0 - 1
    batch = (x, y, real, labels)
    # R1 is due every eighth step
    return training_table(trainer, batch, name=name, bare=objective.objective, steps=8)
