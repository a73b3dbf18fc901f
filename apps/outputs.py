"""Where answers are written: one folder an input, the same form in every domain."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def folders(paths: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """Pair every input with a folder of its own in `out`, named by its stem.

    Example:
        >>> pairs = folders([Path("a/x.png"), Path("b/x.jpg"), Path("y.png")], Path("out"))
        >>> [folder.name for _, folder in pairs]
        ['x', 'x-2', 'y']
    """
    taken: set[str] = set()
    pairs = []
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in taken:  # some file systems do not tell case apart
            name, number = f"{path.stem}-{number}", number + 1
        taken.add(name.casefold())
        pairs.append((path, out / name))
    return pairs


def clear(folder: Path, suffix: str) -> None:
    """Remove numbered outputs (`1.png`, `2.png`, ...) of an earlier run; nothing else."""
    for path in folder.glob(f"*{suffix}"):
        if path.stem.isdigit():
            path.unlink()


def write_samples(
    folder: Path,
    *,
    source: Path | None,
    seed: int,
    model: str,
    temperature: float | None,
    files: Sequence[str],
    probabilities: Sequence[float] | None = None,
    asked: Mapping[str, Any] | None = None,
    details: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write `samples.json`, last: its presence says that the answers are complete.

    Args:
        probabilities: of the answers; None where all are draws alike.
        asked: what the answers were asked for beside the input.
        details: more to say of each answer.
    """
    shares = [1 / len(files)] * len(files) if probabilities is None else probabilities
    rows = zip(files, shares, details or [{}] * len(files), strict=True)
    samples = [{"file": name, "probability": p, **more} for name, p, more in rows]
    content: dict[str, Any] = {
        "input": str(source) if source else None,
        **({} if asked is None else {"asked": dict(asked)}),
        "seed": seed,
        "model": model,
        "temperature": temperature,
        "samples": samples,
    }
    (folder / "samples.json").write_text(json.dumps(content, indent=2) + "\n")
