"""From clips to windows in memory: splits, resume, damage, the working frame, the cut."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from apps.motion import cache, data
from apps.motion.cache import build, save
from apps.motion.clips import ClipFile, find_clips
from apps.motion.commands import register
from apps.motion.data import Windows, cap_groups, load_windows, scene_folds
from apps.motion.working import CELLS, SIZE, crop, region, to_working
from flow.basis import fit, unfit
from flow.windows import Window

Write = Callable[[Path, np.ndarray], None]


def window(height: int, width: int, cells: tuple[int, int], shift: tuple[float, float]) -> Window:
    """Every cell moves evenly by `shift`; red says the column of the frame, green the row."""
    t = np.arange(1, 31).reshape(30, 1, 1, 1) / 30
    y, x = np.mgrid[0:height, 0:width]
    frame = np.dstack([255 * x / width, 255 * y / height, 0 * x]).astype(np.uint8)
    moves = fit(t * np.array(shift) * np.ones((1, *cells, 1)))
    return Window(0.0, frame, moves, np.ones(cells, np.float32), True, 1.0, 1.0)


def moving_square(shift: float, seconds: float = 1.2) -> np.ndarray:
    """A textured square moves right by `shift` px in a second before a textured ground."""
    rng = np.random.default_rng(0)
    ground, square = (
        np.kron(rng.integers(0, 256, (h, w, 3)), np.ones((6, 6, 1)))
        for h, w in ((27, 38), (12, 12))
    )
    frames = []
    for n in range(round(10 * seconds) + 1):
        frame = ground[:160, :224].copy()
        left = 60 + round(shift * n / 10)
        frame[44:116, left : left + 72] = square
        frames.append(frame.astype(np.uint8))
    return np.stack(frames)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_clip: Write) -> Path:
    """Two clips and a damaged one."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "street/a.mp4", moving_square(20))
    write_clip(folder / "street/b.mp4", moving_square(0))
    (folder / "yard").mkdir()
    (folder / "yard/torn.mp4").write_bytes((folder / "street/a.mp4").read_bytes()[:2000])
    table = "file,scene,split\nstreet/a.mp4,s1,train\nstreet/b.mp4,s2,train\n"
    (folder / "split.csv").write_text(table + "yard/torn.mp4,s3,val\n")
    return folder


@pytest.fixture(scope="module")
def built(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, cache.Built]:
    out = tmp_path_factory.mktemp("cache")
    return out, build(find_clips(folder), out, stride=0.1, workers=1, progress=False)


def test_clips_become_windows(built: tuple[Path, cache.Built]) -> None:
    out, what = built
    assert (what.clips, what.resumed, what.unsteady) == (2, 0, 0)
    found = load_windows(out, "train", still=1)
    assert len(found) == what.windows == 6  # at 0, 0.1 and 0.2 s of either
    assert found.frames.shape == (6, 3, *SIZE) and found.frames.dtype == torch.uint8
    assert found.coefficients.shape == (6, 5, 2, *CELLS)
    assert [w.start for w in found.windows[:3]] == pytest.approx([0, 0.1, 0.2], abs=1e-3)
    assert found.windows[0].group == "street" and found.scenes == ("s1",) * 3 + ("s2",) * 3
    assert found.static.all()
    # the square moves by 20 px, the ground and the other clip do not
    end = unfit(found.coefficients.float().numpy())[:, -1]
    assert end[0, 8:12, 10:14, 0].mean() == pytest.approx(20, abs=1.5)
    assert np.abs(end[0, :3]).max() < 1 and np.abs(end[3:]).max() < 1
    assert found.moving[0] > 0.1 and found.moving[3] == 0


def test_the_frame_is_that_of_the_clip(built: tuple[Path, cache.Built]) -> None:
    frame = load_windows(built[0], "train", still=1).frames[3].permute(1, 2, 0).numpy()
    expected = moving_square(0)[0][:, 8:216]
    assert np.abs(frame.astype(int) - expected).mean() < 12  # of compression, not of place


def test_a_damaged_clip_is_named_and_skipped(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = [clip for clip in find_clips(folder) if "torn" in clip.name]
    what = build(
        [*clips, ClipFile(folder / "gone.mp4", "gone.mp4", "s", "val")], tmp_path, workers=1
    )
    assert (what.clips, what.windows, len(what.skipped)) == (0, 0, 2)
    assert "gone.mp4 does not exist" in what.skipped[0] and "torn.mp4" in what.skipped[1]
    said = [line for line in capsys.readouterr().err.splitlines() if "skipped:" in line]
    assert len(said) == 2
    assert not list(tmp_path.rglob("*.npz*"))


def test_resume_measures_only_what_changed(
    folder: Path, built: tuple[Path, cache.Built], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out, first = built
    clips = find_clips(folder)
    before = {path: path.read_bytes() for path in out.rglob("*.npz")}
    measured: list[str] = []

    def measure(clip: object, source: ClipFile, target: Path, **_: object) -> cache.Done:
        measured.append(source.name)
        return cache.Done(1)

    monkeypatch.setattr(cache, "_measure", measure)
    again = build(clips, out, stride=0.1, workers=1, progress=False)
    assert not measured and (again.resumed, again.windows) == (2, first.windows)
    assert {path: path.read_bytes() for path in out.rglob("*.npz")} == before
    # other bytes under the same name
    other = tmp_path / "a.mp4"
    other.write_bytes((folder / "street/b.mp4").read_bytes())
    changed = [ClipFile(other, *(clips[0].name, clips[0].scene, clips[0].split)), clips[1]]
    copy = tmp_path / "cache"
    for path, content in before.items():
        target = copy / path.relative_to(out)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    build(changed, copy, stride=0.1, workers=1, progress=False)
    assert measured == ["street/a.mp4"]
    # a cached file that is torn itself, then other settings
    path = copy / "street/b.mp4.npz"
    path.write_bytes(path.read_bytes()[:-500])
    build(clips[1:2], copy, stride=0.1, workers=1, progress=False)
    assert measured[1:] == ["street/b.mp4"]
    for path, content in before.items():
        (copy / path.relative_to(out)).write_bytes(content)
    build(clips[:2], copy, stride=0.2, workers=1, progress=False)
    assert measured[2:] == ["street/a.mp4", "street/b.mp4"]


def test_saving_is_whole_or_not_at_all(tmp_path: Path) -> None:
    class Bad:
        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise RuntimeError("disk")

    path = tmp_path / "a" / "x.npz"
    save(path, n=np.arange(3))
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        save(path, n=np.arange(4), m=Bad())  # type: ignore[arg-type]
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == ["x.npz"]


@pytest.mark.parametrize(
    ("size", "cells", "seen"),
    [
        ((160, 208), (20, 26), (160, 208)),
        ((160, 284), (20, 36), (160, 205)),  # wide: its sides go
        ((240, 320), (30, 40), (240, 312)),  # measured in larger cells
        ((284, 160), (36, 20), (120, 160)),  # portrait: the middle, larger
        ((160, 160), (20, 20), (120, 160)),
    ],
)
def test_every_shape_comes_to_one_frame(
    size: tuple[int, int], cells: tuple[int, int], seen: tuple[int, int]
) -> None:
    still = to_working(window(*size, cells, (6.0, -3.0)))
    assert still.frame.shape == (*SIZE, 3) and still.coefficients.shape == (5, 2, *CELLS)
    assert still.confidence.shape == CELLS
    part = crop(window(*size, cells, (0, 0)).frame, cells)
    assert np.abs(np.subtract(part.shape[:2], seen)).max() <= 2
    # the middle stays the middle (to half a cell), and what moves is scaled with the picture
    middle = still.frame[76:84, 100:108].mean((0, 1))
    assert np.abs(middle[:2] - 127).max() < 8
    end = unfit(still.coefficients)[-1]
    factors = np.array([SIZE[1] / part.shape[1], SIZE[0] / part.shape[0]])
    assert np.allclose(end, np.array([6.0, -3.0]) * factors, atol=1e-3)


def test_region_stays_within_the_grid() -> None:
    for h in range(1, 40, 3):
        for w in range(1, 60, 7):
            rows, columns = region((h, w))
            assert 0 <= rows.start < rows.stop <= h and 0 <= columns.start < columns.stop <= w


def planted(path: Path, clip: str, scene: str, split: str, moving: list[float]) -> None:
    n = len(moving)
    save(
        path / f"{clip}.npz",
        key=np.array(""),
        clip=np.array(clip),
        scene=np.array(scene),
        split=np.array(split),
        frames=np.zeros((n, *SIZE, 3), np.uint8),
        coefficients=np.zeros((n, 5, 2, *CELLS), np.float16),
        confidence=np.zeros((n, *CELLS), np.uint8),
        start=np.arange(n) / 4,
        static=np.ones(n, bool),
        inlier_ratio=np.ones(n, np.float32),
        motion=np.array(moving, np.float32),
        moving=np.array(moving, np.float32),
    )


def test_near_still_windows_keep_their_share(tmp_path: Path) -> None:
    planted(tmp_path, "a", "s1", "train", [0.0] * 30)
    planted(tmp_path, "b", "s2", "train", [0.5] * 8)
    planted(tmp_path, "c", "s3", "val", [0.0] * 5 + [0.3])
    found = load_windows(tmp_path, "train")
    assert len(found) == 10 and (found.moving < data.STILL).sum() == 2  # a fifth
    assert found.windows == load_windows(tmp_path, "train").windows
    assert len(load_windows(tmp_path, "train", still=1)) == 38
    assert len(load_windows(tmp_path, "train", still=0)) == 8
    # what is kept of more is kept of less too, and a fixed limit is a fixed choice
    more = load_windows(tmp_path, "train", still=0.5).windows
    assert set(found.windows) < set(more)
    assert set(load_windows(tmp_path, "train", limit=4).windows) < set(found.windows)
    assert len(load_windows(tmp_path, "train", "val", still=1)) == 44
    with pytest.raises(ValueError, match="expected a cache"):
        load_windows(tmp_path, "test")


def test_scenes_never_straddle(tmp_path: Path, folder: Path) -> None:
    planted(tmp_path, "a", "s1", "train", [1.0])
    planted(tmp_path, "b", "s1", "test", [1.0])
    with pytest.raises(ValueError, match="'s1' in train and in test"):
        load_windows(tmp_path, "train")
    for name in ("x/1", "x/2", "y/z/1", "top"):
        (tmp_path / f"clips/{name}.mp4").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"clips/{name}.mp4").touch()
    clips = find_clips(tmp_path / "clips")
    assert [clip.scene for clip in clips] == ["top.mp4", "x", "x", "y/z"]
    assert clips[1].split == clips[2].split
    (tmp_path / "clips/split.csv").write_text("file,scene,split\nx/1.mp4,s,train\nx/2.mp4,s,val\n")
    with pytest.raises(ValueError, match="'s' in train and in val"):
        find_clips(tmp_path / "clips")
    (tmp_path / "clips/split.csv").write_text("file,split\nx/1.mp4,train\n")
    with pytest.raises(ValueError, match="lacks the columns scene"):
        find_clips(tmp_path / "clips")


def test_folds_hold_whole_scenes_and_about_as_many() -> None:
    scenes = [f"s{n % 17}" for n in range(300)]
    folds = scene_folds(scenes, 4)
    assert len({(scene, fold) for scene, fold in zip(scenes, folds.tolist(), strict=True)}) == 17
    assert folds.bincount().min() > 50
    with pytest.raises(ValueError, match="2 to 2"):
        scene_folds(["a", "b"], 3)


def test_the_command_says_what_came_of_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    call = ["data", "motion", str(folder), "-o", str(tmp_path), "--workers", "1"]
    args = parser.parse_args([*call, "--split", "val"])
    args.run(args)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("0 windows of 0 clips") and printed[2] == "1 clips skipped"
    args = parser.parse_args([*call, "--short-side", "100"])
    with pytest.raises(ValueError, match="expected 160 to 240"):
        args.run(args)


@pytest.mark.parametrize(("share", "left"), [(0.5, 4), (0.2, 1), (1.0, 12)])
def test_no_group_is_more_than_its_share(
    make_windows: Callable[..., Windows], share: float, left: int
) -> None:
    """Twelve of one group and four of four others: the others stay, whatever the share."""
    whole = make_windows(torch.arange(16.0).reshape(-1, 1, 1, 1, 1).expand(16, 5, 2, *CELLS))
    groups = ["signing"] * 12 + ["street", "davis", "campus", "highway"]
    named = tuple(data.Window(f"{g}/{i}.mp4", "s", "train", 0.0) for i, g in enumerate(groups))
    windows = replace(whole, windows=named)
    capped = cap_groups(windows, share)
    kept = [window.group for window in capped.windows]
    assert kept == ["signing"] * left + groups[12:]
    numbers = [int(window.clip.split("/")[1][:-4]) for window in capped.windows]
    assert capped.coefficients[:, 0, 0, 0, 0].tolist() == numbers == sorted(numbers)
    again = cap_groups(windows.take(torch.arange(15, -1, -1)), share)
    assert {w.clip for w in again.windows} == {w.clip for w in capped.windows}


def test_a_share_is_a_share(make_windows: Callable[..., Windows]) -> None:
    windows = make_windows(torch.zeros(3, 5, 2, *CELLS))
    assert len(cap_groups(windows, 0.5)) == 3  # one group alone: there is nothing to be fair to
    with pytest.raises(ValueError, match="got share=0"):
        cap_groups(windows, 0)
