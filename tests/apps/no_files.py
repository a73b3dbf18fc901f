"""What a gate for files must say of that which is none."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def refuses_what_is_no_file(
    read: Callable[[Any], object],
    error: type[Exception],
    folder: Path,
    *,
    suffix: str,
    most: int,
) -> None:
    """A pipe, a folder, nothing, more than `most` bytes, odd names, and what is no path at all."""
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"folder{suffix}").mkdir()
    (folder / f"empty{suffix}").touch()
    with (folder / f"huge{suffix}").open("wb") as file:
        file.truncate(most + 1)
    expected = {
        f"pipe{suffix}": "is no file",
        f"folder{suffix}": "is no file",
        f"empty{suffix}": "is empty",
        f"missing{suffix}": "does not exist",
        f"huge{suffix}": f"more than {most // 10**6} MB",
        f"nul\0{suffix}": "does not exist",
        "long" * 999: "cannot be opened",
    }
    for name, reason in expected.items():
        with pytest.raises(error, match=reason) as caught:
            read(folder / name)
        assert str(folder) not in str(caught.value)  # a server's folders are its own business
    for source in (None, 3, io.BytesIO(), [[0]]):
        with pytest.raises(error, match="give a path"):
            read(source)
