"""Stills that look alike: what a forecast by memory goes by."""

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.motion.data import Windows
from apps.motion.rows import Row

BINS = 9  # directions of a gradient, over half a turn
CELL = 16  # px of the working frame that share a histogram
BATCH = 256


def thumbnail(frames: Tensor) -> Tensor:
    """Colour in 10 × 13 places, exposure and contrast taken out: `(B, 390)` of length 1."""
    small = F.avg_pool2d(frames.float(), CELL).flatten(1)
    return F.normalize(small - small.mean(1, keepdim=True))


def gradients(frames: Tensor) -> Tensor:
    """Histograms of oriented gradients in 10 × 13 cells, `(B, 1170)` of length 1.

    Dalal and Triggs, "Histograms of oriented gradients for human detection", 2005: nine
    directions without sign, weighed by steepness, shared between the two nearest; each cell is
    brought to a common length, so that a person before a dark wall counts as one before a bright.
    """
    grey = frames.float().mean(1, keepdim=True)
    padded = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    steep = torch.hypot(x, y)
    place = torch.atan2(y, x) / torch.pi * BINS  # half a turn is the same direction
    distance = torch.remainder(place - torch.arange(BINS, device=x.device)[:, None, None], BINS)
    share = (1 - torch.minimum(distance, BINS - distance)).clamp_min(0)
    cells = F.avg_pool2d(steep * share, CELL)  # (B, 9, 10, 13)
    level = cells.square().sum(1, keepdim=True).sqrt()
    return F.normalize((cells / (level + 4.0)).flatten(1))  # 4 grey levels: noise does not count


class Neighbours(Row):
    """The motions of the training stills that look most alike, the nearest first.

    Likeness is the mean of the correlations of `thumbnail` and of `gradients`. Of every clip only
    its nearest window answers: windows that overlap show about the same motion, and k of them
    would be one answer.
    """

    def __init__(self, train: Windows) -> None:
        super().__init__("kNN retrieval")
        self.features = torch.cat([self._features(part) for part in train.frames.split(BATCH)])
        self.motions = train.coefficients
        number: dict[str, int] = {}
        for window in train.windows:
            number.setdefault(window.clip, len(number))
        self.clip = torch.tensor([number[window.clip] for window in train.windows])
        self.clips = len(number)

    @staticmethod
    def _features(frames: Tensor) -> Tensor:
        return torch.cat([thumbnail(frames), gradients(frames)], 1) / 2**0.5

    def nearest(self, frames: Tensor, k: int) -> Tensor:
        """Numbers of the k most alike training windows, one a clip, `(B, min(k, clips))`."""
        likeness = self._features(frames.cpu()) @ self.features.T  # (B, N)
        clip = self.clip.expand_as(likeness)
        best = likeness.new_full((len(likeness), self.clips), -2)
        best = best.scatter_reduce(1, clip, likeness, "amax").gather(1, clip)
        first = likeness.masked_fill(likeness < best, -2)
        return first.topk(min(k, self.clips), dim=1).indices

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return self.motions[self.nearest(frames, k)].to(frames.device).float()
