"""Which clips there are, and to which split each belongs; nothing is opened here."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from apps import splits, video

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ClipFile:
    """A video of a set: `name` relative to it, and the scene, which must not straddle a split."""

    path: Path
    name: str
    scene: str
    split: str


def find_clips(folder: Path) -> list[ClipFile]:
    """List the clips of a folder, sorted by name.

    `split.csv` (`file,scene,split`; more columns do no harm) says what belongs where. Without
    one, all videos below the folder count; a scene is the folder that a clip lies in (the clip
    itself where that is `folder`), and whole scenes are dealt 90/5/5 by a hash of their name.

    Raises:
        ValueError: no clips, a table that cannot be read as that, or a scene in two splits.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"got {folder}, expected a folder of clips")
    listed = folder / "split.csv"
    clips = _listed(folder, listed) if listed.is_file() else _found(folder)
    if not clips:
        raise ValueError(f"got no clips in {folder}, expected videos there or in folders of it")
    check_scenes((clip.scene, clip.split) for clip in clips)
    return sorted(clips, key=_name)


def _name(clip: ClipFile) -> str:
    return clip.name


def _listed(folder: Path, table: Path) -> list[ClipFile]:
    clips = []
    for row in splits.read_table(table, ("file", "scene", "split")):
        name, split = row["file"], row["split"]
        if split not in SPLITS:
            raise ValueError(
                f"got split {split!r} for {name} in {table}, expected {', '.join(SPLITS)}"
            )
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise ValueError(f"got {name!r} in {table}, expected a file below {folder}")
        clips.append(ClipFile(folder / name, name, row["scene"], split))
    return clips


def _found(folder: Path) -> list[ClipFile]:
    clips = []
    for path in folder.rglob("*"):
        if path.is_file() and video.is_video(path):
            name = path.relative_to(folder).as_posix()
            scene = name.rpartition("/")[0] or name
            clips.append(ClipFile(path, name, scene, splits.deal(scene)))
    return clips


def check_scenes(pairs: Iterable[tuple[str, str]]) -> None:
    """Raise a ValueError if a scene of the (scene, split) pairs is in two splits.

    Example:
        >>> check_scenes([("yard", "train"), ("yard", "test")])
        Traceback (most recent call last):
        ValueError: got scene 'yard' in train and in test, expected every scene in one split
    """
    seen: dict[str, str] = {}
    for scene, split in pairs:
        first = seen.setdefault(scene, split)
        if first != split:
            raise ValueError(
                f"got scene {scene!r} in {first} and in {split}, expected every scene in one split"
            )
