"""Clips to windows on disk, a file a clip: flow is measured once, and a stopped run goes on."""

import hashlib
import multiprocessing
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np
from tqdm import tqdm

from apps import video
from apps.motion.clips import ClipFile
from apps.motion.working import CELLS, SIZE, to_working
from flow.basis import COEFFICIENTS
from flow.windows import windows

FORMAT = 1  # counts up when what is stored, or how it is measured, changes
SUFFIX = ".npz"
STRIDE = 0.25  # s: half a second gives 40 % fewer windows
LEAST = 8  # pixels a side: a cell
SHORT_SIDE = 160  # of the frame that flow is measured in: its cells are those of the working grid


@dataclass(frozen=True)
class Done:
    """What became of a clip: its windows, how many were unsteady and left out; or why it has none.

    `fresh`: measured now, not in an earlier run.
    """

    windows: int = 0
    unsteady: int = 0
    fresh: bool = True
    error: str | None = None


@dataclass(frozen=True)
class Built:
    """What `build` did: counts of clips and of windows, and a sentence for every clip skipped."""

    clips: int
    resumed: int
    windows: int
    unsteady: int
    skipped: tuple[str, ...]


def build(
    clips: Sequence[ClipFile],
    cache: Path,
    *,
    stride: float = STRIDE,
    short_side: int = SHORT_SIDE,
    workers: int = 2,
    progress: bool = True,
) -> Built:
    """Measure every clip and keep its windows in `cache`; finished ones are not measured again.

    A clip is finished when its file in the cache was made of the same bytes, scene, split and
    settings. Clips that cannot be read are reported in a line and left out. Windows in which the
    camera's motion could not be found (`Window.steady`) are left out too.

    Args:
        stride: least time between the starts of two windows, in seconds.
        short_side: of the frame that flow is measured in, a multiple of 8, 160 to 240.
        workers: processes; 1 works in this one.
    """
    if not stride > 0:
        raise ValueError(f"got a stride of {stride} s, expected more than 0")
    if workers < 1:
        raise ValueError(f"got {workers} workers, expected at least 1")
    if not 160 <= short_side <= 240 or short_side % 8:
        raise ValueError(f"got a short side of {short_side}, expected 160 to 240, a multiple of 8")
    cache.mkdir(parents=True, exist_ok=True)
    finish = partial(_finish, cache=cache, stride=stride, short_side=short_side)
    done: list[Done] = []
    quiet = None if progress else True  # None: a bar for a person, none in a log
    with tqdm(total=len(clips), disable=quiet, desc="clips", unit="clip") as bar:
        for one in _each(finish, clips, workers):
            done.append(one)
            bar.update()
            if one.error is not None:
                bar.write(f"skipped: {one.error}", file=sys.stderr)
    return Built(
        clips=sum(one.error is None for one in done),
        resumed=sum(not one.fresh for one in done),
        windows=sum(one.windows for one in done),
        unsteady=sum(one.unsteady for one in done),
        skipped=tuple(sorted(one.error for one in done if one.error is not None)),
    )


def _each(finish: "partial[Done]", clips: Sequence[ClipFile], workers: int) -> Iterator[Done]:
    """The clips one by one, or in several processes as they come."""
    if workers == 1:
        yield from map(finish, clips)
        return
    # fresh processes: forking one whose libraries run threads can hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        for future in as_completed([pool.submit(finish, clip) for clip in clips]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _finish(clip: ClipFile, *, cache: Path, stride: float, short_side: int) -> Done:
    target = cache / (clip.name + SUFFIX)
    key = _key(clip, stride, short_side)
    stored = _stored(target, key)
    if stored is not None:
        return stored
    target.unlink(missing_ok=True)  # of another file, or of other settings
    try:
        read = video.read(clip.path, short_side=max(short_side, SIZE[0]))
    except video.VideoError as error:
        return Done(error=str(error))
    if min(read.frames.shape[1:3]) < LEAST:
        return Done(error=f"{clip.path.name} has frames of less than {LEAST} pixels a side.")
    return _measure(read, clip, target, key=key, stride=stride, short_side=short_side)


def _key(clip: ClipFile, stride: float, short_side: int) -> str:
    """All that the windows of a clip depend on, in one word."""
    parts = (FORMAT, clip.name, clip.scene, clip.split, stride, short_side, SIZE, COEFFICIENTS)
    content = b""
    # what is missing or too large is refused by the gate, which then says why
    with suppress(OSError):
        if clip.path.stat().st_size <= video.MAX_BYTES:
            content = clip.path.read_bytes()
    return hashlib.sha256(repr(parts).encode() + content).hexdigest()


def _stored(path: Path, key: str) -> Done | None:
    """What an earlier run left, if it is whole and of this key."""
    try:
        with np.load(path) as arrays:
            if str(arrays["key"]) == key:
                return Done(len(arrays["start"]), int(arrays["unsteady"]), fresh=False)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None
    return None


def _measure(
    clip: video.Clip,
    source: ClipFile,
    target: Path,
    *,
    key: str,
    stride: float,
    short_side: int,
) -> Done:
    found = windows(clip.frames, clip.times, stride=stride, short_side=short_side)
    unsteady = 0
    kept, starts, static, inliers = [], [], [], []
    for window in found:
        if not window.steady:
            unsteady += 1
            continue
        kept.append(to_working(window))
        starts.append(window.start)
        static.append(window.camera_static)
        inliers.append(window.inlier_ratio)
    save(
        target,
        key=np.array(key),
        clip=np.array(source.name),
        scene=np.array(source.scene),
        split=np.array(source.split),
        unsteady=np.array(unsteady),
        frames=_stack([one.frame for one in kept], (*SIZE, 3), np.uint8),
        coefficients=_stack(
            [one.coefficients for one in kept], (COEFFICIENTS, 2, *CELLS), np.float16
        ),
        confidence=_stack([np.rint(one.confidence * 255) for one in kept], CELLS, np.uint8),
        start=np.array(starts, np.float64),
        static=np.array(static, bool),
        inlier_ratio=np.array(inliers, np.float32),
        motion=np.array([one.motion for one in kept], np.float32),
        moving=np.array([one.moving for one in kept], np.float32),
    )
    return Done(len(kept), unsteady)


def _stack(rows: Sequence[np.ndarray], shape: tuple[int, ...], kind: type) -> np.ndarray:
    """Rows as one array, also where there are none."""
    return np.stack(rows).astype(kind) if rows else np.zeros((0, *shape), kind)


def save(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
