"""Checkpoints that a crash cannot spoil and a resume continues exactly."""

import os
from pathlib import Path
from typing import Any

import torch

NAME = "checkpoint.pt"


class CheckpointError(ValueError):
    """A checkpoint that cannot be read, or one of another run."""


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Write `state` to `folder/checkpoint.pt`: beside it first, then moved in one step.

    A kill at any moment leaves the previous file whole. Failures raise; a run that cannot save
    must not go on as if it had.

    Args:
        folder: created if absent.
        state: tensors, numbers, strings, and lists and dicts of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{NAME}.part"  # one name: what a kill leaves, the next save writes over
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / NAME)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return folder / NAME


def load(folder: Path) -> dict[str, Any]:
    """Read `folder/checkpoint.pt`; only plain data is accepted, nothing in it is executed.

    Raises:
        CheckpointError: there is none, or it is no checkpoint.
    """
    path = folder / NAME
    if not path.exists():
        raise CheckpointError(f"got {folder}, expected a run with a {NAME}: train there first")
    file = path.open("rb")  # what cannot be opened may still be whole, and says so itself
    try:
        with file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"got {type(state).__name__}, expected a dict")
        return state
    except MemoryError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"got {path}, which cannot be read as a checkpoint ({type(error).__name__}); "
            "delete it and train again"
        ) from error
