"""The windows of a cache in memory, cut so that those in which nothing moves do not dominate."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from apps.motion.cache import SUFFIX
from apps.motion.clips import SPLITS, check_scenes

STILL = 0.02  # share of the cells, by confidence, below which a window counts as near-still
STILL_SHARE = 0.2  # at most so many of the windows are near-still: a legitimate answer, but one


@dataclass(frozen=True)
class Window:
    """Where a window comes from; `start` in seconds."""

    clip: str
    scene: str
    split: str
    start: float

    @property
    def group(self) -> str:
        """The folder of the clip: windows of one kind."""
        return self.clip.rpartition("/")[0]


@dataclass(frozen=True)
class Windows:
    """One-second windows in the working frame of 160 × 208 px, for N of them.

    frames uint8 `(N, 3, 160, 208)` sRGB; coefficients float16 `(N, 5, 2, 20, 26)` in px of that
    frame, of `flow.basis`, without the camera's motion; confidence uint8 `(N, 20, 26)`, 255 is
    sure; static `(N,)` bool, whether the camera stands still; inlier_ratio, motion (mean length
    of the displacements, px) and moving (share of the cells that get further than 3 px), float32
    `(N,)`; and where each comes from.
    """

    frames: Tensor
    coefficients: Tensor
    confidence: Tensor
    static: Tensor
    inlier_ratio: Tensor
    motion: Tensor
    moving: Tensor
    windows: tuple[Window, ...]

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def scenes(self) -> tuple[str, ...]:
        """The scene of each: what is resampled or held out as a whole."""
        return tuple(window.scene for window in self.windows)

    def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """For networks, float32: frames in [-1, 1], coefficients in px, confidence in [0, 1]."""
        return (
            self.frames[rows].float() / 127.5 - 1,
            self.coefficients[rows].float(),
            self.confidence[rows].float() / 255,
        )

    def take(self, rows: Tensor) -> "Windows":
        """The windows with these row numbers `(M,)`."""
        return Windows(
            self.frames[rows],
            self.coefficients[rows],
            self.confidence[rows],
            self.static[rows],
            self.inlier_ratio[rows],
            self.motion[rows],
            self.moving[rows],
            tuple(self.windows[i] for i in rows.tolist()),
        )


def load_windows(
    cache: Path, *splits: str, still: float = STILL_SHARE, limit: int | None = None
) -> Windows:
    """The windows of one or more splits, sorted by clip and time.

    Args:
        still: near-still windows make up at most this share of each split: those that a hash of
            clip and time puts first, so that the same ones stay whenever and wherever; 1 keeps
            all.
        limit: at most so many of each split, chosen by that hash too.

    Raises:
        ValueError: no such windows, or a scene in two splits.
    """
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown or not splits:
        raise ValueError(f"got splits {unknown or 'of no name'}, expected of {', '.join(SPLITS)}")
    if not 0 <= still <= 1:
        raise ValueError(f"got still={still}, expected a share of 0 to 1")
    headers = [_header(path) for path in sorted(Path(cache).rglob(f"*{SUFFIX}"))]
    check_scenes((header.scene, header.split) for header in headers)
    chosen: list[tuple[_Header, np.ndarray]] = []
    for split in dict.fromkeys(splits):
        chosen += _chosen([one for one in headers if one.split == split], still, limit)
    if not sum(len(rows) for _, rows in chosen):
        raise ValueError(
            f"got no windows of {' or '.join(splits)} in {cache}, expected a cache that "
            "`perhaps data motion CLIPS -o CACHE` has made"
        )
    return _load(chosen)


@dataclass(frozen=True)
class _Header:
    """What of a clip decides which windows are wanted."""

    path: Path
    clip: str
    scene: str
    split: str
    start: np.ndarray
    moving: np.ndarray


def _header(path: Path) -> _Header:
    try:
        with np.load(path) as arrays:
            clip, scene, split = (str(arrays[key]) for key in ("clip", "scene", "split"))
            return _Header(path, clip, scene, split, arrays["start"], arrays["moving"])
    except Exception as error:
        raise ValueError(
            f"got {path}, which is damaged or no cached clip: remove it and make the cache again"
        ) from error


def _chosen(
    headers: Sequence[_Header], still: float, limit: int | None
) -> list[tuple[_Header, np.ndarray]]:
    """Which windows of each clip stay, as sorted row numbers."""
    every = [(n, row) for n, one in enumerate(headers) for row in range(len(one.start))]
    every.sort(key=lambda one: _lot(headers[one[0]].clip, headers[one[0]].start[one[1]]))
    calm = [place for place in every if headers[place[0]].moving[place[1]] < STILL]
    lively = len(every) - len(calm)
    # of n windows, still * n are near-still
    most = len(calm) if still == 1 else int(still / (1 - still) * lively)
    dropped = set(calm[most:])
    kept = [place for place in every if place not in dropped][:limit]
    rows: list[list[int]] = [[] for _ in headers]
    for n, row in kept:
        rows[n].append(row)
    return [(one, np.array(sorted(of), int)) for one, of in zip(headers, rows, strict=True) if of]


def _lot(clip: str, start: float) -> bytes:
    return hashlib.sha256(f"{clip} at {start:.3f}".encode()).digest()


def _load(chosen: Sequence[tuple[_Header, np.ndarray]]) -> Windows:
    names = ("frames", "coefficients", "confidence", "static", "inlier_ratio", "motion", "moving")
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    meta = []
    for header, rows in chosen:
        with np.load(header.path) as arrays:
            for name in names:
                parts[name].append(arrays[name][rows])
        for row in rows:
            start = float(header.start[row])
            meta.append(Window(header.clip, header.scene, header.split, start))
    whole = {name: torch.from_numpy(np.concatenate(parts.pop(name))) for name in names}
    frames = whole.pop("frames").permute(0, 3, 1, 2).contiguous()
    return Windows(frames, **whole, windows=tuple(meta))


def cap_groups(windows: Windows, share: float) -> Windows:
    """The windows less some of the groups that are more than `share` of all that stay.

    What stays of such a group is chosen by a hash of clip and time, the same every time.
    """
    if not 0 < share <= 1:
        raise ValueError(f"got share={share}, expected more than 0 and at most 1")
    members: dict[str, list[int]] = {}
    for row, window in enumerate(windows.windows):
        members.setdefault(window.group, []).append(row)
    kept: list[int] = []
    for rows in members.values():
        others = len(windows) - len(rows)
        most = int(share / (1 - share) * others) if share < 1 and others else len(rows)
        rows.sort(key=lambda row: _lot(windows.windows[row].clip, windows.windows[row].start))
        kept += rows[:most]
    return windows.take(torch.tensor(sorted(kept)))


def scene_folds(scenes: Sequence[str], folds: int) -> Tensor:
    """A fold for each window, `(N,)` in 0 … folds - 1: whole scenes, about equal in windows.

    The largest scenes are dealt first, each to the fold that has least; the same every time.

    Example:
        >>> scene_folds(["a", "a", "b", "c", "c", "c"], 2)
        tensor([1, 1, 1, 0, 0, 0])
    """
    counts: dict[str, int] = {}
    for scene in scenes:
        counts[scene] = counts.get(scene, 0) + 1
    if not 2 <= folds <= len(counts):
        raise ValueError(f"got {folds} folds, expected 2 to {len(counts)}, the number of scenes")
    load, fold_of = [0] * folds, {}
    for count, scene in sorted((-count, scene) for scene, count in counts.items()):
        fold_of[scene] = load.index(min(load))
        load[fold_of[scene]] -= count
    return torch.tensor([fold_of[scene] for scene in scenes])
