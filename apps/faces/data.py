"""Faces with their attributes from disk to the common frame, and the changes made to a batch."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from apps import images, splits
from apps.faces import frame, labels
from apps.faces.attributes import NAMES
from apps.faces.place import Frame, cut


@dataclass(frozen=True, eq=False)
class Face:
    """One picture of a set; `group` is what must not straddle a split (a person, or the picture).

    `labels` is int8 `(40,)` in CelebA's order: +1 on, -1 off, 0 not known.
    """

    path: Path
    set: str
    split: str
    group: str
    labels: np.ndarray


@dataclass(frozen=True)
class Faces:
    """Faces in memory, in the common frame, 8 bit a value.

    pixels uint8 `(N, 3, 64, 64)` sRGB, labels int8 `(N, 40)` as of `Face`, where each came from,
    and how many files could not be read.
    """

    pixels: Tensor
    labels: Tensor
    faces: tuple[Face, ...]
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.faces)

    def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """For networks: x `(B, 3, 64, 64)` in [-1, 1], labels `(B, 40)` in {-1, 0, 1}, float."""
        return frame.to_network(self.pixels[rows]), self.labels[rows].float()

    def take(self, rows: Tensor) -> "Faces":
        """The faces with these row numbers `(M,)`."""
        kept = tuple(self.faces[i] for i in rows.tolist())
        return Faces(self.pixels[rows], self.labels[rows], kept, self.skipped)

    def select(self, name: str) -> "Faces":
        """The faces of one set."""
        rows = [i for i, face in enumerate(self.faces) if face.set == name]
        return self.take(torch.tensor(rows, dtype=torch.long))


def find_faces(data: Path, split: str) -> list[Face]:
    """List the faces of one split of every labelled set in `data`, or of `data` if it is one.

    A set is a folder with `split.csv` (`file,split`), pictures in some folder below it, and
    `attributes.csv` (`file` and a column of 0 and 1 for each attribute) as CelebA's, or
    `attributes_celeba40_soft.csv` with probabilities, as for LFW. Faces without a row have no
    known labels. The layout of LFW (`Person/Person_0001.jpg`) groups by person, others by picture.

    Raises:
        ValueError: no such faces, or a table that cannot be read as that; one sentence says why.
    """
    data = Path(data)
    if not data.is_dir():
        raise ValueError(f"got {data}, expected a folder of faces or one that holds such folders")
    folders = (data, *sorted(path for path in data.iterdir() if path.is_dir()))
    # labels of people first: what machines say is held against their rates
    hard = [folder for folder in folders if (folder / labels.HARD).is_file()]
    soft = [f for f in folders if (f / labels.SOFT).is_file() and f not in hard]
    rates, found = None, []
    for folder in (*hard, *soft):
        listed = _listed(folder)
        train = {name for name, of in listed.items() if of == "train"}
        if folder in hard:
            table = labels.read_hard(folder / labels.HARD)
            rates = labels.rates(table, train) if rates is None else rates
        else:
            table = labels.read_soft(folder / labels.SOFT, fit=train, rates=rates)
        wanted = [name for name, of in listed.items() if of == split]
        found += _faces_of(folder, split, wanted, table)
    if not found:
        raise ValueError(
            f"got no {split} faces in {data}, expected there, or in folders of it, a split.csv, "
            f"an {labels.HARD} and a folder of pictures, images/"
        )
    return found


def _listed(folder: Path) -> dict[str, str]:
    path = folder / "split.csv"
    if not path.is_file():
        raise ValueError(f"{folder} has no split.csv: write one with the columns file, split.")
    return {row["file"]: row["split"] for row in splits.read_table(path, ("file", "split"))}


def _faces_of(
    folder: Path, split: str, names: Sequence[str], table: dict[str, np.ndarray]
) -> list[Face]:
    if not names:
        return []
    base = splits.base_of(folder, names)
    unknown = np.zeros(len(NAMES), np.int8)
    faces = []
    for name in names:
        path = base / name
        group = splits.group_of(path, name)
        faces.append(Face(path, folder.name, split, group, table.get(name, unknown)))
    return faces


def load_faces(faces: Sequence[Face], *, progress: bool = True) -> Faces:
    """Decode faces through the gate into the common frame; unreadable ones are left out."""
    quiet = None if progress else True  # None: a bar for a person, none in a log
    with ThreadPoolExecutor() as pool:
        rows = list(tqdm(pool.map(_decode, faces), total=len(faces), disable=quiet, desc="faces"))
    kept = [(row, face) for row, face in zip(rows, faces, strict=True) if row is not None]
    if not kept:
        raise ValueError(f"got {len(faces)} files, expected at least one readable picture")
    pixels = torch.from_numpy(np.stack([row for row, _ in kept]))
    known = torch.from_numpy(np.stack([face.labels for _, face in kept]))
    return Faces(pixels, known, tuple(face for _, face in kept), len(faces) - len(kept))


def _decode(face: Face) -> np.ndarray | None:
    try:
        pixels = images.read(face.path).pixels
    except images.ImageError:
        return None
    crop = Frame.from_crop(_crop_of(face, pixels), *pixels.shape[:2])
    return np.ascontiguousarray(cut(pixels, crop).transpose(2, 0, 1))


def _crop_of(face: Face, pixels: np.ndarray) -> frame.Crop:
    """Where the common frame lies in a picture; one's own are taken to be in it."""
    if "lfw-deepfunneled" in face.path.parts:
        return frame.LFW
    if face.set == "celeba":
        return frame.celeba_crop(*pixels.shape[:2])
    return frame.WHOLE


def halves(faces: Sequence[Face]) -> tuple[Tensor, Tensor]:
    """Row numbers of two fixed halves: one for the judge of an evaluation, one for critics.

    By a hash of the group (the file's name; in LFW the person's), so that which half a face is in
    depends on no other face, and no network of training has seen what the judge learns from.
    """
    first = torch.tensor([_half(face.group) == 0 for face in faces], dtype=torch.bool)
    return torch.nonzero(first).flatten(), torch.nonzero(~first).flatten()


def _half(group: str) -> int:
    return hashlib.sha256(f"half of {group}".encode()).digest()[0] & 1


class Augment:
    """Flips, gain of each channel, shift by whole pixels, and for half of the faces a new scale.

    Whole pixels and bicubic, because what is resampled loses detail that a model would then
    learn to lose: by 8 % at a new scale, by 40 % were it bilinear.
    """

    def __init__(self, *, gain: float = 0.03, shift: int = 2, scale: float = 0.03) -> None:
        self.gain, self.shift, self.scale = gain, shift, scale

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch `(B, 3, H, W)` in [-1, 1]; the generator is on the batch's device."""
        b, _, h, w = x.shape

        def uniform(*shape: int) -> Tensor:
            return torch.rand(b, *shape, generator=generator, device=x.device)

        flip = torch.where(uniform() < 0.5, -1.0, 1.0)
        scaled = (uniform() < 0.5).float()
        size = 1 + scaled * self.scale * (2 * uniform() - 1)
        steps = (uniform(2) * (2 * self.shift + 1)).floor().clamp(max=2 * self.shift) - self.shift
        theta = torch.zeros(b, 2, 3, device=x.device)
        theta[:, 0, 0], theta[:, 1, 1] = size * flip, size
        theta[:, :, 2] = steps * 2 / torch.tensor([w, h], device=x.device)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
        gain = 1 + self.gain * (2 * uniform(3, 1, 1) - 1)
        return ((x + 1) * gain - 1).clamp(-1, 1)
