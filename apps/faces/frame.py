"""The common frame: where eyes and mouth lie in the 64×64 pixels that every model sees."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

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


def cut(pixels: np.ndarray, crop: Crop, *, size: int = SIZE) -> np.ndarray:
    """A crop of uint8 `(H, W, 3)` as uint8 `(size, size, 3)`; edges repeat beyond the picture.

    The whole of a picture is resized by area. Else it is sampled more finely than either side and
    averaged by area: as sharp as that (bicubic; bilinear would lose a quarter of the detail).

    Example:
        >>> picture = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
        >>> cut(picture, Crop(side=0.5), size=5).shape
        (5, 5, 3)
    """
    h, w = pixels.shape[:2]
    short = min(h, w)
    if crop == WHOLE and short >= size:
        top, left = (h - short) // 2, (w - short) // 2
        square = pixels[top : top + short, left : left + short]
        return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
    fine = size * max(3, math.ceil(crop.side * short / size))
    step = crop.side * short / fine  # pixels of the picture a fine sample
    c, s = step * math.cos(crop.angle), step * math.sin(crop.angle)
    x = (w - short) / 2 + crop.x * short - 0.5
    y = (h - short) / 2 + crop.y * short - 0.5
    half = (fine - 1) / 2
    to_picture = np.array([[c, -s, x - half * (c - s)], [s, c, y - half * (s + c)]])
    samples = cv2.warpAffine(
        pixels,
        to_picture,
        (fine, fine),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cv2.resize(samples, (size, size), interpolation=cv2.INTER_AREA)
