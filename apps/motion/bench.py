"""Seconds and memory of motion on this machine: measured here, asserted nowhere."""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from apps.bench import PeakMemory, training_table
from apps.motion.predict import Forecaster
from apps.motion.recipe import RECIPES
from apps.motion.working import CELLS, SIZE
from apps.runtime import pick_device
from cvae.training import Trainer
from flow.basis import COEFFICIENTS
from flow.windows import windows

MEGAPIXELS = (0.25, 2.0)
FPS, SECONDS = 30, 3  # of the clip that is cut into windows


def bench(*, device: str = "auto", model: str | Path = "motion", recipe: str = "small") -> str:
    """Print and return three Markdown tables: forecasts, windows of a clip, rate of training."""
    parts = (_forecasting(device, model), _measuring(), _training(pick_device(device), recipe))
    text = "\n\n".join(parts)
    print(text)
    return text


def _forecasting(device: str, model: str | Path) -> str:
    start = time.perf_counter()
    forecaster = Forecaster.from_pretrained(model, device=device)
    loading = time.perf_counter() - start
    forecaster(scenery(160, 208), k=5)  # the first call pays for what later ones find warm
    lines = [
        "| k = 5 | forecasts, s | an animation, s | peak memory beyond the model, MiB |",
        "|---|--:|--:|--:|",
    ]
    for megapixels in MEGAPIXELS:
        height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
        photo = scenery(height, height * 4 // 3)
        with PeakMemory() as memory:
            start = time.perf_counter()
            forecast = forecaster(photo, k=5)
            middle = time.perf_counter()
            forecaster.animate(photo, 0, forecast=forecast)
            end = time.perf_counter()
        lines.append(
            f"| {megapixels:g} megapixels | {middle - start:.2f} | {end - middle:.2f} | "
            f"{memory.peak / 2**20:.0f} |"
        )
    lines.append(f"| loading the weights | {loading:.2f} | | |")
    return "\n".join(lines)


def _measuring() -> str:
    """Windows/s of the cache on one process, of frames at short side 160."""
    ground = scenery(160, 240)
    frames = [np.roll(ground, n, axis=1)[:, :208] for n in range(FPS * SECONDS)]
    start = time.perf_counter()
    found = list(windows(frames, [n / FPS for n in range(len(frames))], short_side=160))
    rate = len(found) / (time.perf_counter() - start)
    return f"| cache | windows/s |\n|---|--:|\n| one process, 30 fps | {rate:.1f} |"


def _training(device: torch.device, name: str) -> str:
    torch.manual_seed(0)
    recipe = RECIPES[name]
    objective = recipe.objective()
    trainer = Trainer(objective, replace(recipe.schedule, steps=10**6), device=device)
    size = recipe.schedule.batch
    batch = (
        torch.rand(size, 3, *SIZE, device=device) * 2 - 1,
        torch.randn(size, COEFFICIENTS, 2, *CELLS, device=device),
        torch.rand(size, *CELLS, device=device),
    )
    bare = recipe.objective()
    bare.model, bare.augment = objective.model, None
    return training_table(trainer, batch, name=name, bare=bare)


def scenery(height: int, width: int) -> NDArray[np.uint8]:
    """A picture with things of every size in it, the same every time."""
    rng = np.random.default_rng(0)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64):
        noise = rng.random((cells, cells, 3), np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / 3
    return np.clip(255 * picture, 0, 255).astype(np.uint8)
