"""Real faces with one attribute of another: toggles that touch nothing else, to compare with.

All that is painted otherwise are the pixels in which the attribute lies, and those are real. What
the judge then makes of the other attributes comes of that region, or is its own doing.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from apps.faces.attributes import OFFERED
from apps.faces.frame import SIZE

NEAREST = 40  # donors, by their other labels, of which the one whose seam shows least is taken
SOFT = 1.5  # pixels, deviation of the seam

_y, _x = np.mgrid[:SIZE, :SIZE]


def _ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    return ((_x - x) / width) ** 2 + ((_y - y) / height) ** 2 <= 1


def _box(left: int, right: int, top: int, bottom: int) -> np.ndarray:
    return (_x >= left) & (_x < right) & (_y >= top) & (_y < bottom)


_HAIR = _box(0, 64, 0, 50) & ~_ellipse(32, 38, 16, 22)
_TOP = _box(0, 64, 0, 27)
# where an attribute lies in the common frame; a face is Male all over
REGIONS = {
    "Smiling": _ellipse(32, 46, 15, 10),
    "Eyeglasses": _box(10, 54, 24, 39),
    "Blond_Hair": _HAIR,
    "Black_Hair": _HAIR,
    "Bald": _TOP,
    "Bangs": _TOP,
    "Wearing_Hat": _TOP,
    "Mustache": _box(22, 42, 38, 46),
    "Gray_Hair": _HAIR,
}
SKIN = ("Smiling", "Eyeglasses", "Mustache")  # what is pasted amid skin takes on its colour


def paste(pixels: Tensor, labels: Tensor, donors: Tensor, known: Tensor, name: str) -> Tensor:
    """Every face with the region of an attribute from one of `donors` that has it.

    Of the donors whose other labels are most like the face's own, it is the one that differs
    least along the seam.

    Shapes: pixels uint8 `(N, 3, 64, 64)` with labels `(N, A)` in {-1, 0, 1}, donors uint8
    `(D, 3, 64, 64)` with `known` `(D, A)` -> uint8 `(N, 3, 64, 64)`.

    Raises:
        ValueError: the attribute lies in no region, or no donor has it.
    """
    if name not in REGIONS:
        raise ValueError(f"got {name}, expected an attribute with a region: {', '.join(REGIONS)}")
    column, region = OFFERED.index(name), REGIONS[name].astype(np.float32)
    having = torch.nonzero(known[:, column] > 0)[:, 0]
    if not len(having):
        raise ValueError(f"got {len(donors)} donors, expected one that has {name}")
    inner, outer = cv2.erode(region, np.ones((3, 3))), cv2.dilate(region, np.ones((7, 7)))
    seam = torch.from_numpy(outer - inner)
    alpha = torch.from_numpy(cv2.GaussianBlur(region, (0, 0), SOFT))
    pasted = []
    for face, own in zip(pixels, labels, strict=True):
        unlike = (known[having] * own < 0).sum(1)  # at most NEAREST are looked at, ties in order
        near = donors[having[unlike.argsort(stable=True)[:NEAREST]]].float()
        apart = (near - face) * seam
        best = apart.square().sum((1, 2, 3)).argmin()
        donor = near[best]
        if name in SKIN:
            donor = donor - (apart[best].sum((1, 2)) / seam.sum())[:, None, None]
        pasted.append(torch.lerp(face.float(), donor, alpha).clamp(0, 255).round().byte())
    return torch.stack(pasted)
