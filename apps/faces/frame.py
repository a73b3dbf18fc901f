"""The common frame: where eyes and mouth lie in the 64×64 pixels that every model sees.

And how its 8 bits become the numbers of networks, and numbers 8 bits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SIZE = 64  # pixels a side


@dataclass(frozen=True)
class Crop:
    """A square of a picture: side and centre as shares of the picture's shorter side, and tilt.

    The centre counts from the upper left corner of the picture's central square; angle in radians,
    clockwise on the screen.
    """

    side: float = 1.0
    x: float = 0.5
    y: float = 0.5
    angle: float = 0.0


# How the constants were found: mean of all train pictures of a kind, each standardised first; the
# similarity that maximises the normalised correlation of the band-passed means (Gaussians of 1.5
# and 8 at 192 pixels) around eyes and mouth. Two random halves of the pictures agree within 0.001.
WHOLE = (
    Crop()
)  # CelebA at 83×83: the frame itself; its mean face is its own mirror image to 0.0003
# CelebA at 96×96 holds a little more around faces that lie a little to the right; by eyes alone
# side is 0.975, by mouth and nose 0.960; correlation of the means 0.902 before, 0.972 after
CELEBA_96 = Crop(side=0.965, x=0.5133, y=0.5028)
# LFW deep-funneled: faces are smaller and tilted. The tilt also shows against the mirror image of
# their own mean, 0.0228. Correlation 0.920: other people, more men
LFW = Crop(side=0.7244, x=0.502, y=0.4894, angle=-0.0215)


def celeba_crop(height: int, width: int) -> Crop:
    """Where the frame lies in a picture of the CelebA subset: its two sizes do not agree.

    Example:
        >>> celeba_crop(83, 83) == WHOLE, celeba_crop(96, 96) == CELEBA_96
        (True, True)
    """
    return CELEBA_96 if (height, width) == (96, 96) else WHOLE


def to_network(pixels: Tensor) -> Tensor:
    """uint8 -> [-1, 1]."""
    return pixels.float() / 127.5 - 1


def to_pixels(x: Tensor) -> Tensor:
    """[-1, 1] -> uint8, on the CPU.

    Example:
        >>> to_pixels(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def to_image(x: Tensor) -> np.ndarray:
    """A face `(3, H, W)` in [-1, 1] as uint8 `(H, W, 3)`."""
    return to_pixels(x).permute(1, 2, 0).numpy()
