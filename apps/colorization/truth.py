"""The pictures that answers are held against: exact chroma, and who is in them."""

import hashlib
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from apps.colorization.data import Photo, Photos, find_photos, load_photos, read_planes


@dataclass(frozen=True)
class Truth:
    """Held-out photos of one set, from the file and not from 8-bit planes.

    `grey` `(N, 1, 128, 128)` in [-1, 1] is what a method sees; `chroma` `(N, 2, 64, 64)` in ab/128
    is what it is asked for; `lightness` `(N, 64, 64)` in [0, 100] belongs to the chroma; `groups`
    are resampled as wholes (persons, or photos).
    """

    grey: Tensor
    chroma: Tensor
    lightness: Tensor
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)


def load_truth(
    data: Path, split: str, *, limit: int | None = None, progress: bool = True
) -> dict[str, Truth]:
    """The photos of a split by set, at most `limit` a set (a fixed shuffle's first ones)."""
    by_set: dict[str, list[Photo]] = {}
    for photo in find_photos(data, split):
        by_set.setdefault(photo.set, []).append(photo)
    truths = {}
    for name, photos in by_set.items():
        random.Random(0).shuffle(photos)
        truths[name] = _load(photos[:limit], name=f"{name} {split}", progress=progress)
    return truths


def _load(photos: Sequence[Photo], *, name: str, progress: bool) -> Truth:
    with ThreadPoolExecutor() as pool:
        quiet = None if progress else True
        shown = tqdm(pool.map(_decode, photos), total=len(photos), disable=quiet, desc=name)
        rows = list(shown)
    kept = [(row, photo.group) for row, photo in zip(rows, photos, strict=True) if row is not None]
    if not kept:
        raise ValueError(f"got {len(photos)} files of {name}, expected a readable colour picture")
    grey, lightness, chroma = (
        torch.from_numpy(np.stack([row[i] for row, _ in kept])) for i in range(3)
    )
    return Truth(grey[:, None], chroma, lightness, tuple(group for _, group in kept))


def _decode(photo: Photo) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    planes = read_planes(photo)
    if planes is None:
        return None
    grey, lab = planes
    chroma = np.ascontiguousarray(lab[..., 1:].transpose(2, 0, 1)) / 128
    return grey / 50 - 1, lab[..., 0], chroma


def cached_photos(data: Path, cache: Path, *, progress: bool = True) -> Photos:
    """The train photos, decoded once and kept in `cache` while the files stay the same."""
    found = find_photos(data, "train")
    listing = "\n".join(f"{photo.path} {photo.path.stat().st_size}" for photo in found)
    path = cache / f"train-{hashlib.sha256(listing.encode()).hexdigest()[:16]}.pt"
    if path.exists():
        lightness, chroma, kept = torch.load(path, mmap=True, weights_only=True)
        return Photos(lightness, chroma, tuple(found[i] for i in kept))
    photos = load_photos(found, progress=progress)
    places = {photo: i for i, photo in enumerate(found)}
    cache.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    torch.save((photos.lightness, photos.chroma, [places[p] for p in photos.photos]), partial)
    partial.replace(path)
    return photos
