r"""Motion as Walker et al. (2016) write it: ten maps of cosine coefficients on their own grid.

A trajectory of 30 steps is its first five coefficients of the orthonormal discrete cosine
transform, x and y apart; x is in widths and y in heights of the frame. The grids are 64 × 80 for
directions and 16 × 20 for magnitudes, whatever the frame's shape.

What that loses against `flow.basis` and its grid, as a share of the squared length of the motion:

- Neither span of functions holds the other, so each way is a projection of least squares over the
  30 moments. Of the functions there, a line and four sines, there and back keeps all but 0.05,
  0.5, 4, 5 and 50 %; and a cosine is not zero at the start.
- A straight motion of a disc of four cells' radius comes back from the grids with an error of
  2.6 %, and of 5.4 % once 4 × 4 places share a magnitude; of half the frame with 0.2 and 1.4 %.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from apps.motion.working import CELLS, SIZE
from flow.basis import COEFFICIENTS, STEPS, basis

FINE = (64, 80)  # the grid of directions
BLOCK = 4  # of its cells a side share one magnitude
MAPS = 2 * COEFFICIENTS  # five for x, then five for y
# The original multiplies by 1000; with 10 a cell that moves by four px has a magnitude of about 1,
# and the networks need no units of their own.
SCALE = 10.0


def cosines(k: int = COEFFICIENTS) -> NDArray[np.float64]:
    r"""The first k functions of the orthonormal DCT-II over the 30 steps, `(30, k)`.

    .. math:: f_0 = \sqrt{1/30}, \quad f_j(n) = \sqrt{2/30} \cos(\pi j (2 n + 1) / 60)

    Example:
        >>> f = cosines(5)
        >>> np.allclose(f.T @ f, np.eye(5))
        True
    """
    n, j = np.arange(STEPS)[:, None], np.arange(k)
    scale = np.sqrt(np.where(j == 0, 1, 2) / STEPS)
    return scale * np.cos(np.pi * j * (2 * n + 1) / (2 * STEPS))


def to_maps(coefficients: Tensor) -> Tensor:
    """Motion in px of the working frame -> the ten maps: `(B, 5, 2, h, w)` -> `(B, 10, 64, 80)`.

    Bilinear between the centres of cells.

    Example:
        >>> to_maps(torch.zeros(1, 5, 2, 20, 26)).shape
        torch.Size([1, 10, 64, 80])
    """
    mix = torch.from_numpy(cosines().T @ basis()).to(coefficients)
    maps = torch.einsum("jk,bkchw->bcjhw", mix, coefficients)  # x first
    maps = maps * (SCALE / _sides(maps))
    return F.interpolate(maps.flatten(1, 2), FINE, mode="bilinear", align_corners=False)


def from_maps(maps: Tensor) -> Tensor:
    """The ten maps -> motion in px of the working frame: `(N, 10, h, w)` -> `(N, 5, 2, 20, 26)`.

    A cell gets the mean of what lies over it, shares of places included.

    Example:
        >>> c = torch.zeros(1, 5, 2, 20, 26)
        >>> c[:, 0, 0] = 8.0  # all go right, about 14 px within the second
        >>> (from_maps(to_maps(c))[0, 0, 0] / 8).mean()
        tensor(0.9995)
    """
    rows, columns = (overlaps(n, m).to(maps) for n, m in zip(CELLS, maps.shape[-2:], strict=True))
    cells = (rows @ maps @ columns.T).unflatten(1, (2, COEFFICIENTS))
    cells = cells * (_sides(cells) / SCALE)
    # the house's functions have a mean square of 1, not a sum
    mix = torch.from_numpy(basis().T @ cosines() / STEPS).to(maps)
    return torch.einsum("kj,ncjhw->nkchw", mix, cells)


def overlaps(cells: int, places: int) -> Tensor:
    """Which share of each of so many cells is of which place along the same line.

    Shapes: `(cells, places)` float64, rows sum to 1.

    Example:
        >>> overlaps(2, 3)
        tensor([[0.6667, 0.3333, 0.0000],
                [0.0000, 0.3333, 0.6667]], dtype=torch.float64)
    """
    edges = torch.arange(cells + 1, dtype=torch.float64) * (places / cells)
    place = torch.arange(places, dtype=torch.float64)
    last = torch.minimum(edges[1:, None], place + 1)
    first = torch.maximum(edges[:-1, None], place)
    return (last - first).clamp_min(0) * (cells / places)


def _sides(maps: Tensor) -> Tensor:
    """Width and height of the working frame in px, over axes of `(N, 2, 5, h, w)`."""
    height, width = SIZE
    return maps.new_tensor([width, height])[:, None, None, None]
