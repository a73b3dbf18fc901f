"""Seconds and memory of colorization on this machine: measured here, asserted nowhere."""

import time

import numpy as np
import torch
from torch import Tensor

from apps.bench import PeakMemory, training_table
from apps.colorization.data import CHROMA_SIZE, GREY_SIZE
from apps.colorization.model import build
from apps.colorization.objective import Objective
from apps.colorization.predict import Colorizer
from apps.colorization.recipe import RECIPES
from apps.runtime import pick_device
from cvae.training import Schedule, Trainer

SIZES = {"0.25 megapixels": (500, 500), "1 megapixel": (1000, 1000), "12 megapixels": (3000, 4000)}


def bench(*, device: str = "auto", model: str = "colorization", k: int = 8) -> str:
    """Print and return two Markdown tables: k answers at three sizes, and the rate of training."""
    text = f"{_prediction(device, model, k)}\n\n{_training(pick_device(device))}"
    print(text)
    return text


def _prediction(device: str, model: str, k: int) -> str:
    start = time.perf_counter()
    colorizer = Colorizer.from_pretrained(model, device=device)
    loading = time.perf_counter() - start
    colorizer(_photo(64, 64), k=k)  # the first call pays for what later ones find warm
    lines = [f"| k = {k} | seconds | peak memory beyond the model, MiB |", "|---|--:|--:|"]
    for name, (height, width) in SIZES.items():
        photo = _photo(height, width)
        with PeakMemory() as memory:
            start = time.perf_counter()
            colorizer(photo, k=k)
            seconds = time.perf_counter() - start
        lines.append(f"| {name} | {seconds:.2f} | {memory.peak / 2**20:.0f} |")
    lines.append(f"| loading the weights | {loading:.2f} | |")
    return "\n".join(lines)


def _training(device: torch.device, recipe: str = "small") -> str:
    """Images/s of whole steps beside forward and backward alone of the same objective."""
    torch.manual_seed(0)
    objective = Objective(build(RECIPES[recipe].size), RECIPES[recipe].weights)
    batch = RECIPES[recipe].schedule.batch
    trainer = Trainer(objective, Schedule(steps=10**6, batch=batch), device=device)
    grey = torch.rand(batch, 1, GREY_SIZE, GREY_SIZE, device=device) * 2 - 1
    chroma = torch.randn(batch, 2, CHROMA_SIZE, CHROMA_SIZE, device=device) / 10
    return training_table(trainer, (grey, chroma), name=recipe)


def _photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes with grain: as hard to lift and to write as a photo."""
    generator = torch.Generator().manual_seed(0)
    coarse: Tensor = torch.rand(1, 1, 16, 16, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")[0, 0]
    grain = torch.rand(height, width, generator=generator) * 0.05
    return ((smooth * 0.9 + grain).clamp(0, 1) * 255).to(torch.uint8).numpy()
