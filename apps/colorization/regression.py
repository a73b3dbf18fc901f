"""The strongest plain rival: a U-Net for the mean, trained once and kept."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from apps.colorization.data import Augment, Photos
from apps.training import resumed
from cvae.layers import ResidualBlock, upsample
from cvae.training import Schedule

WIDTHS = (24, 48, 96, 160, 256)  # 3.6 M parameters
SCHEDULE = Schedule(steps=3125, batch=32)  # 100,000 pictures


class UNet(nn.Module):
    """Residual U-Net: lightness `(B, 1, 128, 128)` in [-1, 1] -> ab/128 `(B, 2, 64, 64)`.

    Example:
        >>> UNet((8, 16))(torch.zeros(1, 1, 128, 128)).shape
        torch.Size([1, 2, 64, 64])
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        steps = list(pairwise(widths))
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4, widths[0], 3, padding=1), ResidualBlock(widths[0])
        )
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w, wider, 3, stride=2, padding=1), ResidualBlock(wider))
            for w, wider in steps
        )
        self.narrow = nn.ModuleList(nn.Conv2d(wider, w, 3, padding=1) for w, wider in steps)
        self.up = nn.ModuleList(ResidualBlock(w) for w, _ in steps)
        self.out = nn.Sequential(
            nn.GroupNorm(1, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 2, 3, padding=1)
        )

    def forward(self, grey: Tensor) -> Tensor:
        maps = [self.stem(grey)]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for narrow, up in zip(reversed(self.narrow), reversed(self.up), strict=True):
            x = up(maps.pop() + upsample(narrow(x)))
        return self.out(x)


class SquaredError(nn.Module):
    """Objective of the regression: mean squared error of the chroma, in Lab units squared / 100.

    Flips and mild crops only: the test pictures are clean, and ageing them would cost the rival.
    """

    def __init__(self, model: UNet) -> None:
        super().__init__()
        self.model = model
        self.augment = Augment(crop=0.9, old=0.0)

    def forward(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        grey, chroma = self.augment(*batch, generator)
        error = self.model(grey).float() - chroma
        loss = 12.8**2 * error.square().mean()
        return loss, {"error": error.abs().mean().detach()}


def train_regression(
    photos: Photos,
    out: Path,
    *,
    schedule: Schedule = SCHEDULE,
    widths: Sequence[int] = WIDTHS,
    device: torch.device | None = None,
    progress: bool = True,
) -> UNet:
    """The averaged network of the run in `out`: trained, continued where it stopped, or only read.

    Raises:
        ValueError: `out` holds a run of another schedule or size.
    """
    config = {"widths": list(widths), "schedule": asdict(schedule)}
    torch.manual_seed(schedule.seed)  # of the first weights only
    objective = SquaredError(UNet(widths))
    trainer = resumed(
        objective,
        photos.tensors,
        size=len(photos),
        out=out,
        schedule=schedule,
        config=config,
        device=device,
        progress=progress,
    )
    objective.model.load_state_dict(trainer.average, strict=True)
    return objective.model.eval()
