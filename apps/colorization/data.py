"""Photos from disk to lightness and chroma, and changes that make a model robust to old ones."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from apps import images, splits

GREY_SIZE = 128  # the tower's input, pixels a side
CHROMA_SIZE = 64  # what the model paints, pixels a side
NEAR_GREY = 8.0  # colourfulness below which a photo teaches nothing but grey

_LEVEL = np.arange(256) / 255
_LINEAR = np.where(_LEVEL <= 0.04045, _LEVEL / 12.92, ((_LEVEL + 0.055) / 1.055) ** 2.4)
_LINEAR = _LINEAR.astype(np.float32)  # sRGB byte to linear light, IEC 61966-2-1


@dataclass(frozen=True)
class Photo:
    """One picture of a set; `group` is what must not straddle a split (a person, or the photo)."""

    path: Path
    set: str
    split: str
    group: str


@dataclass(frozen=True)
class Photos:
    """Decoded photos in memory, 8 bit a value.

    lightness `(N, 128, 128)` uint8 (L* times 2.55), chroma `(N, 2, 64, 64)` int8 (ab in Lab
    units), and where each came from.
    """

    lightness: Tensor
    chroma: Tensor
    photos: tuple[Photo, ...]

    def __len__(self) -> int:
        return len(self.photos)

    def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """For networks: lightness `(B, 1, 128, 128)` in [-1, 1], chroma `(B, 2, 64, 64)` /128."""
        grey = self.lightness[rows].float()[:, None] / 127.5 - 1
        return grey, self.chroma[rows].float() / 128

    def some_chroma(self, *, seed: int, at_most: int = 3000) -> Tensor:
        """Chroma of a few thousand photos, `(M, 2, 64, 64)` /128: enough to measure the set by."""
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(self), generator=generator)[:at_most]
        return self.tensors(rows)[1]

    def select(self, name: str) -> "Photos":
        """The photos of one set."""
        rows = [i for i, p in enumerate(self.photos) if p.set == name]
        index = torch.tensor(rows, dtype=torch.long)
        kept = tuple(self.photos[i] for i in rows)
        return Photos(self.lightness[index], self.chroma[index], kept)


def find_photos(data: Path, split: str) -> list[Photo]:
    """List the photos of one split of every set that lies unpacked in `data`.

    A set is a folder of `data` with pictures in it. Its `split.csv` (`file,split`) says what is
    train, val and test; without one, whole groups are dealt 90/5/5 by a hash of their name. The
    layout of LFW (`Person/Person_0001.jpg`) groups by person, everything else by photo.

    Raises:
        ValueError: `data` holds no picture of that split.
    """
    data = Path(data)
    found = [p for folder in _sets(data) for p in _photos_of(folder) if p.split == split]
    if not found:
        raise ValueError(
            f"got no {split} pictures in {data}, expected folders of pictures there, "
            "such as lfw/ or photos/ (the README shows the layouts)"
        )
    return found


def _sets(data: Path) -> list[Path]:
    if not data.is_dir():
        raise ValueError(f"got {data}, expected a folder that holds the unpacked sets")
    return sorted(p for p in data.iterdir() if p.is_dir() and not p.name.startswith("."))


def _photos_of(folder: Path) -> list[Photo]:
    listed = folder / "split.csv"
    if listed.exists():
        table = splits.read_table(listed, ("file", "split"))
        base = splits.base_of(folder, [row["file"] for row in table]) if table else folder
        files = [(base / row["file"], row["file"], row["split"]) for row in table]
    else:
        paths = images.find([folder])
        files = [(p, p.relative_to(folder).as_posix(), "") for p in paths]
    photos = []
    for path, name, split in files:
        group = splits.group_of(path, name)
        photos.append(Photo(path, folder.name, split or splits.deal(group), group))
    return photos


def load_photos(photos: Sequence[Photo], *, progress: bool = True) -> Photos:
    """Decode photos through the gate; unreadable and near-grey ones are left out."""
    quiet = None if progress else True  # None: a bar for a person, none in a log
    with ThreadPoolExecutor() as pool:
        rows = list(
            tqdm(pool.map(_decode, photos), total=len(photos), disable=quiet, desc="photos")
        )
    kept = [(row, photo) for row, photo in zip(rows, photos, strict=True) if row is not None]
    if not kept:
        raise ValueError(f"got {len(photos)} files, expected at least one readable colour picture")
    lightness = torch.from_numpy(np.stack([row[0] for row, _ in kept]))
    chroma = torch.from_numpy(np.stack([row[1] for row, _ in kept]))
    return Photos(lightness, chroma, tuple(photo for _, photo in kept))


def _decode(photo: Photo) -> tuple[np.ndarray, np.ndarray] | None:
    planes = read_planes(photo)
    if planes is None:
        return None
    grey, lab = planes
    return (
        np.round(grey * 2.55).astype(np.uint8),
        np.round(lab[..., 1:].transpose(2, 0, 1)).clip(-128, 127).astype(np.int8),
    )


def read_planes(photo: Photo) -> tuple[np.ndarray, np.ndarray] | None:
    """Centre square as L* `(128, 128)` and Lab `(64, 64, 3)`; None for what teaches no colour."""
    try:
        square = centre_square(images.read(photo.path).pixels)
    except images.ImageError:
        return None
    if colourfulness(square) < NEAR_GREY:
        return None
    grey = to_lab(resize(square, (GREY_SIZE, GREY_SIZE)))[..., 0]
    return grey, to_lab(resize(square, (CHROMA_SIZE, CHROMA_SIZE)))


def centre_square(pixels: np.ndarray) -> np.ndarray:
    """The largest square in the middle of `(H, W, ...)`."""
    h, w = pixels.shape[:2]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    return pixels[top : top + side, left : left + side]


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (height, width): by area where it shrinks, bicubic where it grows."""
    h, w = size
    shrinks = h <= pixels.shape[0] and w <= pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (w, h), interpolation=how)


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """CIE Lab (D65) of uint8 sRGB `(H, W, 3)`, float32: L* in [0, 100], ab within ±110."""
    # OpenCV's own companding is a coarse table: greys would come out tinted and L* off by 0.2
    return cv2.cvtColor(_LINEAR[pixels], cv2.COLOR_LRGB2Lab)


def colourfulness(pixels: np.ndarray) -> float:
    r"""Hasler & Süsstrunk (2003), $\sigma_{rgyb} + 0.3\mu_{rgyb}$ of `(H, W, 3)` uint8; grey is 0.

    Example:
        >>> colourfulness(np.full((4, 4, 3), 90, np.uint8))
        0.0
    """
    r, g, b = (pixels[..., i].astype(np.float32) for i in range(3))
    rg, yb = r - g, 0.5 * (r + g) - b
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


class Augment:
    """Random crops and flips of both; age of the grey alone: gamma, contrast, blur, grain, JPEG.

    Old photos differ from grey versions of new ones in everything but colour; the colours to learn
    stay those of the clean picture.
    """

    def __init__(self, *, crop: float = 0.8, old: float = 0.15) -> None:
        self.crop, self.old = crop, old

    def __call__(
        self, grey: Tensor, chroma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Change a batch: grey `(B, 1, H, W)` in [-1, 1], chroma `(B, 2, h, w)`."""
        batch = len(grey)

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            noise = torch.rand(batch, *shape, generator=generator, device=grey.device)
            return low + (high - low) * noise

        scale = uniform(self.crop, 1.1).clamp(max=1.0)  # a third keep the whole frame
        stretch = uniform(0.9, 1.1).sqrt()  # uploads of any shape are squeezed a little
        size = torch.stack([scale * stretch, scale / stretch], 1).clamp(max=1.0)
        centre = uniform(-1, 1, 2) * (1 - size)
        flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
        theta = torch.zeros(batch, 2, 3, device=grey.device)
        theta[:, 0, 0], theta[:, 1, 1] = size[:, 0] * flip, size[:, 1]
        theta[:, :, 2] = centre
        grey, chroma = _crop(grey, theta), _crop(chroma, theta)
        chroma = chroma * uniform(0.9, 1.1, 1, 1, 1)
        rows = uniform(0, 1) < self.old
        if rows.any():
            grey = grey.clone()
            grey[rows] = age(grey[rows], generator)
        return grey, chroma


def _crop(x: Tensor, theta: Tensor) -> Tensor:
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def age(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Make clean lightness `(B, 1, H, W)` in [-1, 1] look like a scan of an old print."""
    shape, device = (len(grey), 1, 1, 1), grey.device

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, device=device)

    x = (grey + 1) / 2
    x = x.clamp(0, 1) ** torch.exp(uniform(-0.4, 0.4))
    x = 0.5 + (x - 0.5) * uniform(0.6, 1.2) + uniform(-0.1, 0.1)
    soft = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    x = x + uniform(0, 1) * (soft - x)
    grain = torch.randn(x.shape, generator=generator, device=device)
    x = (x + uniform(0, 0.06) * grain).clamp(0, 1)
    pressed = (uniform(0, 1) < 0.5).flatten()
    for i in torch.nonzero(pressed).flatten().tolist():
        x[i, 0] = _jpeg(x[i, 0], int(uniform(25, 85)[i, 0, 0, 0]))
    return x * 2 - 1


def _jpeg(grey: Tensor, quality: int) -> Tensor:
    pixels = (grey * 255).round().to(torch.uint8).cpu().numpy()
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    back = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return torch.from_numpy(back).to(grey) / 255
