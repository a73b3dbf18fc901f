"""One network that says C numbers of every cell of a still: what the trained baselines share.

Tower, size, schedule, augmentation and start are those of a recipe, so that nothing but what is
asked of the network differs from the model that it is compared with.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion.data import Windows, cap_groups
from apps.motion.networks import SceneTower
from apps.motion.recipe import Recipe
from apps.motion.train import start_tower
from apps.training import begun, resumed
from cvae.layers import GroupNorm, ResidualBlock, start_small, upsample


class CellNetwork(nn.Module):
    """The image tower and a head on it.

    Shapes: sRGB `(B, 3, H, W)` in [-1, 1], H and W multiples of 16 -> `(B, C, H / 8, W / 8)`.

    Example:
        >>> CellNetwork(width=8, channels=10)(torch.zeros(1, 3, 32, 48)).shape
        torch.Size([1, 10, 4, 6])
    """

    def __init__(self, *, width: int, channels: int) -> None:
        super().__init__()
        w2 = 2 * width
        self.condition = SceneTower(width=width)
        self.coarse = nn.Conv2d(4 * width, w2, 1)
        self.blocks = nn.Sequential(ResidualBlock(w2), ResidualBlock(w2))
        self.norm = GroupNorm(w2)
        self.out = nn.Conv2d(w2, channels, 1)
        start_small(self.out, std=1e-2)

    def forward(self, frames: Tensor) -> Tensor:
        scene = self.condition(frames)
        x = self.blocks(scene.middle + upsample(self.coarse(scene.coarse)))
        return self.out(F.silu(self.norm(x))).float()


def train_kept(
    objective: nn.Module,
    windows: Windows,
    out: Path,
    *,
    name: str,
    recipe: Recipe,
    device: torch.device | None = None,
    progress: bool = True,
) -> CellNetwork:
    """The averaged network of the run in `out`: trained, gone on with, or only read.

    Args:
        objective: of a `CellNetwork`, as it starts: the same weights every time.
        name: what the run is; with recipe and windows it tells one run from another.

    Raises:
        ValueError: `out` holds another run.
    """
    windows = cap_groups(windows, recipe.group)
    config = _config(name, recipe, windows)
    network: Any = objective.model
    if recipe.backbone and not begun(out):
        start_tower(network.condition, recipe.backbone)
    trainer = resumed(
        objective,
        windows.tensors,
        size=len(windows),
        schedule=recipe.schedule,
        out=out,
        config=config,
        device=device,
        progress=progress,
    )
    network.load_state_dict(trainer.average, strict=True)
    return network.eval()


def _config(name: str, recipe: Recipe, windows: Windows) -> dict[str, Any]:
    return {
        "name": name,
        "width": recipe.size.width,
        "schedule": asdict(recipe.schedule),
        "augment": dict(vars(recipe.augment)),
        "backbone": recipe.backbone,
        "windows": len(windows),
        "scenes": len(set(windows.scenes)),
    }


def sure_of(confidence: Tensor, least: float) -> Tensor:
    """What every cell weighs, the sum over a batch being 1: `(B, h, w)`."""
    weight = least + (1 - least) * confidence
    return weight / weight.sum()
