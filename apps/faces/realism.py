"""Whether faces look like faces, all of them, and like nobody's: sets against sets.

All measures are `(R + 1,)` as `apps.faces.resamples` says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS
from apps.faces.frame import to_network
from apps.faces.judge import Judge, Seen
from apps.faces.resamples import from_jackknife, mean
from cvae.fidelity import density_coverage, frechet_distance, nearest, sharpness

NEIGHBOURS = 5
THUMB = 16  # pixels a side at which pictures are compared as such
BATCH = 512


def sharpness_of(pixels: Tensor) -> Tensor:
    """`cvae.fidelity.sharpness` of faces uint8 `(N, 3, H, W)`, `(N,)`."""
    return torch.cat([sharpness(to_network(part)) for part in pixels.split(BATCH)])


def against(features: Tensor, real: Tensor, keep: Tensor, *, resamples: int) -> dict[str, Tensor]:
    """Fréchet distance, density and coverage of features `(N, F)` beside real ones `(M, F)`.

    As many of each: the first. `keep` `(parts + 1, N)`, of `resamples.left_out`, leaves parts out
    of both.
    """
    names = ("density", "coverage")
    figures = [density_coverage(b, a, k=NEIGHBOURS) for a, b in _kept(features, real, keep)]
    columns = torch.tensor(figures, dtype=torch.float64).T
    return {"frechet": frechet(features, real, keep, resamples=resamples)} | {
        name: from_jackknife(column, resamples=resamples)
        for name, column in zip(names, columns, strict=True)
    }


def frechet(features: Tensor, real: Tensor, keep: Tensor, *, resamples: int) -> Tensor:
    """Of these the Fréchet distance alone."""
    column = [frechet_distance(a, b) for a, b in _kept(features, real, keep)]
    return from_jackknife(torch.tensor(column, dtype=torch.float64), resamples=resamples)


def _kept(features: Tensor, real: Tensor, keep: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    n = min(len(features), len(real))
    for rows in keep[:, :n]:
        yield features[:n][rows], real[:n][rows]


def apart(x: Tensor) -> Tensor:
    """Distances between all rows of `(N, ...)`, `(N, N)` float32."""
    flat = x.flatten(1).float()
    return torch.cdist(flat, flat).fill_diagonal_(0)


def mean_apart(distances: Tensor) -> float:
    """Mean of `apart` over pairs of different rows."""
    n = len(distances)
    return distances.double().sum().item() / (n * (n - 1))


def within(distances: Tensor, asked: Tensor, keep: Tensor) -> Tensor:
    """Mean distance of two faces that share the state of a strong attribute, `(parts + 1,)`.

    Averaged over attributes and states; a state that fewer than two faces have does not count.

    Shapes: distances `(N, N)` of `apart`, asked `(N, A)`, keep `(parts + 1, N)`.
    """
    found = []
    for column in STRONG_COLUMNS:
        for state in (-1, 1):
            share = (keep & (asked[:, column] == state)).double()
            count = share.sum(1)
            total = ((share @ distances.double()) * share).sum(1)
            found.append(total / (count * (count - 1)).where(count > 1, torch.nan))
    return torch.stack(found).nanmean(0)


@dataclass(frozen=True)
class Known:
    """The faces that models have learnt from, as the judge sees them and as small pictures."""

    features: Tensor
    thumbs: Tensor

    @classmethod
    def of(cls, seen: Seen, pixels: Tensor) -> "Known":
        return cls(seen.features, thumbnails(pixels))

    def nearness(self, pixels: Tensor, judge: Judge) -> Tensor:
        """How near the nearest of these is, to the judge and in pixels, `(N, 2)`.

        A mirror image is as near as the face itself: models learn from both.
        """
        both = []
        for faces in (pixels, pixels.flip(3)):
            to_judge = nearest(judge.see(faces).features, self.features).distance
            in_pixels = nearest(thumbnails(faces), self.thumbs).distance
            both.append(torch.stack([to_judge, in_pixels], 1))
        return torch.minimum(*both)


def thumbnails(pixels: Tensor) -> Tensor:
    """Faces uint8 `(N, 3, H, W)` as means over squares, `(N, 3 · THUMB²)`."""
    parts = [F.adaptive_avg_pool2d(to_network(part), THUMB) for part in pixels.split(BATCH)]
    return torch.cat(parts).flatten(1)


def memorised(nearness: Tensor, held_out: Tensor, weights: Tensor) -> Tensor:
    """Share of faces nearer to a known one than all but 1 % of held-out faces are, in both ways.

    Shapes: nearness and that of held-out faces, `(N, 2)` each.
    """
    lines = held_out.quantile(0.01, dim=0)
    return mean(weights, (nearness < lines).all(1))
