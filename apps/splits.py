"""Which split a picture or clip belongs to: by a table, `split.csv`, or by a hash of its group."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table, each by column; more columns than those asked for do no harm.

    Raises:
        ValueError: it lacks one of `columns`.
    """
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        missing = [name for name in columns if name not in (reader.fieldnames or [])]
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}: add them.")
        return list(reader)


def base_of(folder: Path, names: Sequence[str]) -> Path:
    """The folder that the names in a set's table start from: the set's own, or one below it.

    Raises:
        ValueError: none of the first hundred is in either.
    """
    for base in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if any((base / name).exists() for name in names[:100]):  # a few may be lost
            return base
    raise ValueError(
        f"got {names[0]!r} in {folder}/split.csv, expected a file in or below {folder}"
    )


def group_of(path: Path, name: str) -> str:
    """What must not straddle a split: the person in the layout of LFW, else the picture's name.

    Example:
        >>> group_of(Path("lfw/Ann_B/Ann_B_0001.jpg"), "Ann_B/Ann_B_0001.jpg")
        'Ann_B'
        >>> group_of(Path("trips/rome/forum.jpg"), "rome/forum.jpg")
        'rome/forum.jpg'
    """
    is_person = path.stem.rpartition("_")[0] == path.parent.name and path.stem[-4:].isdigit()
    return path.parent.name if is_person else name


def deal(group: str) -> str:
    """The split of a group where no table says: 90/5/5, always the same, whatever else there is.

    Example:
        >>> deal("street/3"), deal("street/3")
        ('train', 'train')
    """
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") / 2**32
    return "train" if share < 0.9 else "val" if share < 0.95 else "test"
