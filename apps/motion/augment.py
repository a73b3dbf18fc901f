"""Stills and their motion seen otherwise: mirrored, from nearer, by another light."""

import torch
import torch.nn.functional as F
from torch import Tensor


class Augment:
    """Random flips and crops of still and motion together, exposure and contrast of the still.

    A crop is enlarged to the working frame, and its motion with it. Nothing is turned upside down
    and no second is run backwards: gravity and gait would be wrong.

    Args:
        crop: the least share of a side that is kept; 1 keeps the frame.
        light: how far exposure (as a power) and contrast go, as a logarithm.
    """

    def __init__(self, *, crop: float = 0.7, light: float = 0.3) -> None:
        self.crop, self.light = crop, light

    def __call__(
        self, frames: Tensor, motion: Tensor, confidence: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Change a batch: `(B, 3, H, W)` in [-1, 1], `(B, 5, 2, h, w)` in px, `(B, h, w)`."""
        device = frames.device

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            noise = torch.rand(len(frames), *shape, generator=generator, device=device)
            return low + (high - low) * noise

        size = uniform(self.crop, 1.2).clamp(max=1.0)
        centre = uniform(-1, 1, 2) * (1 - size)[:, None]
        flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
        theta = torch.zeros(len(frames), 2, 3, device=device)
        theta[:, 0, 0], theta[:, 1, 1] = size * flip, size
        theta[:, :, 2] = centre
        factors = torch.stack([flip / size, 1 / size], 1)  # x is mirrored, both grow
        power = torch.exp(uniform(-self.light, self.light, 1, 1, 1))
        contrast = torch.exp(uniform(-self.light, self.light / 2, 1, 1, 1))
        seen = (_crop(frames, theta) / 2 + 0.5).clamp(0, 1) ** power - 0.5
        moved = _crop(motion.flatten(1, 2), theta).unflatten(1, motion.shape[1:3])
        moved = moved * factors[:, None, :, None, None]
        sure = _crop(confidence[:, None], theta)[:, 0]
        return (seen * contrast).clamp(-0.5, 0.5) * 2, moved, sure


def _crop(x: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)
