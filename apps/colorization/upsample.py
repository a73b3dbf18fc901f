"""Coarse chroma to the size of the picture, its edges taken from the picture's own lightness.

Everything here is linear in the chroma, so what depends on the lightness is worked out once for
all variants. With J the joint-bilateral lift, C the bicubic and B the bilinear one, and A the area
mean back to the coarse grid, the answer is that of two steps of back-projection,
`u ← u + B (ab - A u)`, from `u = (J + C)/2 · ab`:

    u = (J + C)/2 · ab + B (2 - A B) r,    r = ab - A (J + C)/2 · ab

Only `A J` asks for all pixels; it is gathered when the upsampler is made. The weights of J
themselves, 25 for each pixel, are never held: pictures are worked through cell by cell, a cell
being the pixels that lie nearest to one coarse sample, and all variants at once.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from apps.colorization.gamut import Bytes, Floats, to_rgb

_RADIUS = 2  # neighbours on each side, in cells
_WINDOW = 2 * _RADIUS + 1
_BATCH = 1 << 16  # weights worked on at once: what stays in the cache


class Axis:
    """One direction of the picture: `size` pixels over `cells` coarse samples, `cells <= size`."""

    def __init__(self, size: int, cells: int) -> None:
        pixels = np.arange(size)
        centre = (pixels + 0.5) * (cells / size) - 0.5  # of each pixel, in cells
        owner = np.minimum(np.floor(centre + 0.5).astype(int), cells - 1)
        self.start = np.searchsorted(owner, np.arange(cells + 1))
        longest = np.diff(self.start).max()
        self.index = np.minimum(
            self.start[:-1, None] + np.arange(longest), self.start[1:, None] - 1
        )  # (cells, longest), the last pixel of a cell repeated
        self.offset = centre[self.index] - np.arange(cells)[:, None]  # from the centre of the cell
        self.area = _overlap(size, cells)  # (cells, size)
        self.bilinear = _lift(size, cells, cv2.INTER_LINEAR)  # (size, cells)
        self.bicubic = _lift(size, cells, cv2.INTER_CUBIC)  # (size, cells)
        self.share = self._share()  # (cells, 3, longest)

    def _share(self) -> Floats:
        """What a pixel counts for in the mean of the cell before its own, its own and the next."""
        cells, longest = self.index.shape
        padded = np.pad(self.area, ((1, 1), (0, 0)))
        around = np.arange(cells)[:, None] + np.arange(3)
        share = padded[around[:, :, None], self.index[:, None, :]]
        repeated = np.arange(longest) >= np.diff(self.start)[:, None]
        return np.where(repeated[:, None, :], np.float32(0), share)


class JointUpsampler:
    """Lifts coarse chroma to a picture, guided by its lightness.

    Joint bilateral upsampling (Kopf et al., 2007) and back-projection, averaged with bicubic and
    back-projection: a Gaussian over the distance in space (in coarse samples) and in lightness
    decides how much each of 5×5 coarse samples counts for a pixel. Where the picture is smaller
    than the coarse chroma, the chroma is brought down to it first.

    Args:
        lightness: L* in [0, 100] of the picture, shape `(H, W)`.
        size: rows and columns of the coarse chroma.
        sigma_space: in coarse samples.
        sigma_lightness: in units of L*.

    Raises:
        ValueError: if the lightness is not two-dimensional or empty, or the size not positive.

    Example:
        >>> picture = np.zeros((6, 8), np.float32)
        >>> picture[:, 4:] = 90
        >>> chroma = np.zeros((3, 4, 2), np.float32)
        >>> chroma[:, 2:] = 40
        >>> JointUpsampler(picture, (3, 4)).up(chroma)[0, 3:5, 0].round().tolist()
        [4.0, 36.0]
    """

    def __init__(
        self,
        lightness: Floats,
        size: tuple[int, int],
        *,
        sigma_space: float = 0.7,
        sigma_lightness: float = 8.0,
    ) -> None:
        if lightness.ndim != 2 or 0 in lightness.shape or min(size) < 1:
            raise ValueError(
                f"got lightness {lightness.shape} and size {size}, expected lightness (H, W) and "
                "a size (h, w), all at least 1"
            )
        self.lightness = np.ascontiguousarray(lightness, np.float32)
        self.size = size
        self._grid = (min(size[0], lightness.shape[0]), min(size[1], lightness.shape[1]))
        self._rows = Axis(lightness.shape[0], self._grid[0])
        self._cols = Axis(lightness.shape[1], self._grid[1])
        self._space = 1 / sigma_space
        self._range = 1 / sigma_lightness
        self._coarse = self._rows.area @ self.lightness @ self._cols.area.T
        self._neighbours = self._neighbour_features()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rows = pool.map(self._gather_row, range(self._grid[0]))
            self._gathered = np.stack(
                list(rows)
            )  # A J: (h, w, 25 neighbours, 9 cells it counts for)

    def up(self, chroma: Floats) -> Floats:
        """Chroma at the size of the picture.

        Args:
            chroma: ab, shape `(..., h, w, 2)`: one variant or several.

        Returns:
            ab, shape `(..., H, W, 2)`.

        Raises:
            ValueError: if the chroma has another size than the upsampler was made for.
        """
        lifted = np.empty((*chroma.shape[:-3], *self.lightness.shape, 2), np.float32)
        variants = lifted.reshape(-1, *self.lightness.shape, 2)

        def keep(rows: slice, strip: Floats) -> None:
            variants[:, rows] = strip

        self.each_strip(chroma, keep)
        return lifted

    def each_strip(self, chroma: Floats, use: Callable[[slice, Floats], None]) -> None:
        """Calls `use(rows, strip)` for strip after strip of the lifted chroma, from threads.

        Args:
            chroma: ab, shape `(..., h, w, 2)`.
            use: takes the rows of the picture and their chroma, `(variants, rows, W, 2)`.
        """
        if chroma.shape[-3:] != (*self.size, 2):
            raise ValueError(
                f"got chroma {chroma.shape}, expected (..., {self.size[0]}, {self.size[1]}, 2): "
                "make the upsampler for the size of the chroma"
            )
        coarse = np.moveaxis(chroma.reshape(-1, *self.size, 2), -1, 1).astype(np.float32)
        coarse = (  # (C, h, w): the a and b of every variant
            _overlap(self.size[0], self._grid[0])
            @ coarse.reshape(-1, *self.size)
            @ _overlap(self.size[1], self._grid[1]).T
        )
        around = self._around(coarse)
        correction = self._correction(coarse, around)
        smooth = (coarse @ self._cols.bicubic.T / 2, correction @ self._cols.bilinear.T)

        def one(row: int) -> None:
            rows = slice(self._rows.start[row], self._rows.start[row + 1])
            strip = self._lift_row(row, around[row] / 2, smooth)
            use(rows, np.moveaxis(strip.reshape(-1, 2, *strip.shape[1:]), 1, -1))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(one, range(self._grid[0])):  # raises what a thread raised
                pass

    def _around(self, coarse: Floats) -> Floats:
        """The 25 neighbours of every cell, the border repeated: `(C, h, w)` to `(h, w, C, 25)`."""
        padded = np.pad(coarse, ((0, 0), (_RADIUS, _RADIUS), (_RADIUS, _RADIUS)), mode="edge")
        around = np.lib.stride_tricks.sliding_window_view(padded, (_WINDOW, _WINDOW), axis=(1, 2))
        return around.transpose(1, 2, 0, 3, 4).reshape(*self._grid, len(coarse), _WINDOW**2)

    def _correction(self, coarse: Floats, around: Floats) -> Floats:
        """`(2 - A B) r`: two steps of back-projection, all on the coarse grid, `(C, h, w)`."""
        rows, cols = self._rows, self._cols
        bicubic = (rows.area @ rows.bicubic) @ coarse @ (cols.area @ cols.bicubic).T
        rest = coarse - (self._bilateral_mean(around) + bicubic) / 2
        return 2 * rest - (rows.area @ rows.bilinear) @ rest @ (cols.area @ cols.bilinear).T

    def _bilateral_mean(self, around: Floats) -> Floats:
        """`A J · ab`, `(C, h, w)`, from the neighbours `(h, w, C, 25)`."""
        height, width = self._grid
        parts = around @ self._gathered  # (h, w, C, 9)
        mean = np.zeros((height + 2, width + 2, around.shape[2]), np.float32)
        for cell in range(9):
            down, right = divmod(cell, 3)
            mean[down : down + height, right : right + width] += parts[..., cell]
        return np.moveaxis(mean[1:-1, 1:-1], -1, 0)

    def _lift_row(self, row: int, around: Floats, smooth: tuple[Floats, Floats]) -> Floats:
        """The answer for the pixels of a row of cells, `(C, rows, W)`.

        From the halved neighbours of its cells `(w, C, 25)`, and what is smooth, already at the
        width of the picture: halved chroma and correction, `(C, h, W)` each.
        """
        rows = slice(self._rows.start[row], self._rows.start[row + 1])
        near = slice(max(row - _RADIUS, 0), row + _RADIUS + 1)
        kernels = np.hstack([self._rows.bicubic[rows, near], self._rows.bilinear[rows, near]])
        sources = np.concatenate([part[:, near] for part in smooth], axis=1)
        strip = np.empty((around.shape[1], len(kernels), self.lightness.shape[1]), np.float32)
        for cells in self._batches():
            lifted = around[cells, None] @ self._weights(row, cells)  # (cells, rows, C, columns)
            for cell, block in enumerate(lifted.swapaxes(1, 2), cells.start):
                cols = slice(self._cols.start[cell], self._cols.start[cell + 1])
                piece = kernels @ sources[:, :, cols]
                piece += block[:, : len(kernels), : cols.stop - cols.start]
                strip[:, :, cols] = piece
        return strip

    def _gather_row(self, row: int) -> Floats:
        """What the neighbours of each cell of a row give to the cells around: `(w, 25, 9)`."""
        gathered = []
        for cells in self._batches():
            along = self._weights(row, cells) @ self._cols.share[cells, None].swapaxes(2, 3)
            both = self._rows.share[row] @ along.reshape(
                *along.shape[:2], -1
            )  # (cells, 3, 25 * 3)
            both = both.reshape(-1, 3, _WINDOW**2, 3).swapaxes(1, 2)
            gathered.append(both.reshape(-1, _WINDOW**2, 9))
        return np.concatenate(gathered)

    def _batches(self) -> list[slice]:
        pixels = self._rows.index.shape[1] * self._cols.index.shape[1]
        step = max(1, _BATCH // (pixels * _WINDOW**2))
        return [slice(left, left + step) for left in range(0, self._grid[1], step)]

    def _weights(self, row: int, cells: slice) -> Floats:
        """Weights `(cells, rows, 25, columns)` of the neighbours for some cells of a row.

        `exp(-|p - q|²/2)` with `p`, `q` pixel and neighbour in space and lightness, both counted
        from the cell and in sigmas: all exponents are one product, `p·q - |q|²/2 - |p|²/2`. This
        and the products with the weights are made for one row of pixels at a time: too small for
        the linear algebra library to start threads of its own inside ours, which costs far more.
        """
        rows, cols = self._rows.index[row], self._cols.index[cells]
        lightness = self.lightness[rows[:, None], cols[:, None]]  # (cells, rows, columns)
        pixels = np.ones((len(cols), len(rows), 5, cols.shape[1]), np.float32)
        pixels[:, :, 0] = self._rows.offset[row][:, None] * self._space
        pixels[:, :, 1] = self._cols.offset[cells][:, None] * self._space
        pixels[:, :, 2] = (lightness - self._coarse[row, cells, None, None]) * self._range
        pixels[:, :, 4] = np.square(pixels[:, :, :3]).sum(2) / -2
        exponents = self._neighbours[row, cells, None] @ pixels
        weights: Floats = cv2.exp(exponents.reshape(1, -1)).reshape(exponents.shape)
        weights /= (
            np.ones((1, _WINDOW**2), np.float32) @ weights
        )  # the sum, at a third of its time
        return weights

    def _neighbour_features(self) -> Floats:
        """`(h, w, 25, 5)`: what `_weights` multiplies with the pixels."""
        steps = np.arange(-_RADIUS, _RADIUS + 1) * self._space
        features = np.ones((*self._grid, _WINDOW**2, 5), np.float32)
        features[..., 0] = np.repeat(steps, _WINDOW)
        features[..., 1] = np.tile(steps, _WINDOW)
        around = self._around(self._coarse[None])[:, :, 0]
        features[..., 2] = (around - self._coarse[..., None]) * self._range
        features[..., 3] = np.square(features[..., :3]).sum(-1) / -2
        return features


def colour(lightness: Floats, chromas: Floats) -> list[Bytes]:
    """Colours a picture with several coarse chroma fields, at its full size, strip by strip.

    Beyond the answers it holds a few strips, never a full-size chroma.

    Args:
        lightness: L* in [0, 100], shape `(H, W)`.
        chromas: ab in CIE Lab units, shape `(k, h, w, 2)`.

    Returns:
        k pictures, sRGB, shape `(H, W, 3)` each.

    Example:
        >>> chromas = np.float32([[[[0, 0]]], [[[40, 10]]]])
        >>> grey, rose = colour(np.full((4, 6), 50, np.float32), chromas)
        >>> grey[3, 5].tolist(), rose[3, 5].tolist()
        ([119, 119, 119], [185, 89, 104])
    """
    pictures = [np.empty((*lightness.shape, 3), np.uint8) for _ in chromas]

    def paint(rows: slice, strip: Floats) -> None:
        for picture, chroma in zip(pictures, strip, strict=True):
            picture[rows] = to_rgb(lightness[rows], chroma)

    JointUpsampler(lightness, chromas.shape[1:3]).each_strip(chromas, paint)
    return pictures


def _overlap(size: int, cells: int) -> Floats:
    """Area means along one direction, `(cells, size)`."""
    edges = np.arange(cells + 1) * (size / cells)
    pixels = np.arange(size)
    first = np.maximum(edges[:-1, None], pixels)
    last = np.minimum(edges[1:, None], pixels + 1)
    return (np.maximum(last - first, 0) * (cells / size)).astype(np.float32)


def _lift(size: int, cells: int, interpolation: int) -> Floats:
    """OpenCV's interpolation along one direction as a matrix, `(size, cells)`."""
    return cv2.resize(np.eye(cells, dtype=np.float32), (cells, size), interpolation=interpolation)
