"""Small models with a latent vector: one that learnt bands, and others that learnt nothing."""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from apps.kinds import rebuild
from apps.lab.model import KINDS, DenseSize, SpriteSize
from apps.lab.objective import Elbo, Objective
from apps.lab.predict import LatentLab
from pretrained import store

CONFIGS: dict[str, dict[str, Any]] = {
    "told": {"model": "dense", "size": asdict(DenseSize(width=16, latent=4, told=True))},
    "plane": {"model": "dense", "size": asdict(DenseSize(width=16, latent=2))},
    "sprites": {"model": "sprites", "size": asdict(SpriteSize(width=4, hidden=8, latent=3))},
}


def model(name: str) -> Any:
    """Untrained, but what it draws depends on z and class well beyond a grey level."""
    torch.manual_seed(0)
    found = rebuild(CONFIGS[name], KINDS)
    for part in found.modules():
        if isinstance(part, torch.nn.Linear | torch.nn.ConvTranspose2d):
            torch.nn.init.normal_(part.weight, std=0.6)
    return found


def lab(name: str) -> LatentLab:
    return LatentLab(model(name), device="cpu", name=name)


def export(folder: Path, name: str) -> Path:
    """Weights of one of them as `perhaps export` leaves them."""
    config = {"domain": "lab", **CONFIGS[name]}
    store.save(folder, state=model(name).state_dict(), config=config, card="# toy\n")
    return folder


def band(label: int, *, columns: slice = slice(4, 24)) -> np.ndarray:
    """A picture of a class: its band, on black."""
    picture = np.zeros((28, 28), np.uint8)
    picture[2 * label + 4 : 2 * label + 6, columns] = 255
    return picture


@cache
def taught() -> LatentLab:
    """A model that is told the class and has seen bands of every class, wide and narrow."""
    torch.manual_seed(0)
    network = rebuild({"model": "dense", "size": {"width": 64, "latent": 3, "told": True}}, KINDS)
    task = Objective(network, Elbo())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    labels = torch.arange(40) % 10
    shown = [band(n, columns=slice(4, 24 if i < 20 else 12)) for i, n in enumerate(labels)]
    x = torch.from_numpy(np.stack(shown))[:, None].float() / 255
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        loss, _ = task((x, labels), generator)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return LatentLab(network, device="cpu", name="taught")
