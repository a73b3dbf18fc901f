"""A checkpoint is whole or the one before, and reading one executes nothing."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cvae import checkpoint
from cvae.checkpoint import CheckpointError

ROOT = Path(__file__).parents[2]

# Forks writers that save for ever and kills them at odd moments: one interpreter for all.
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from cvae import checkpoint
torch.set_num_threads(1)
folder, torn = Path(sys.argv[1]), 0
checkpoint.save(folder, {"n": 0, "x": torch.zeros(500_000)})
for kill in range(12):
    child = os.fork()
    if child == 0:
        n = 1000 * kill
        while True:
            n += 1
            checkpoint.save(folder, {"n": n, "x": torch.full((500_000,), float(n))})
    time.sleep(0.05 + random.random() / 20)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    torn += (folder / (checkpoint.NAME + ".part")).exists()
    state = checkpoint.load(folder)
    assert (state["x"] == state["n"]).all(), state["n"]
checkpoint.save(folder, {"n": -1})
print(torn, *sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked writers")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    torn, *names = done.stdout.split()
    assert int(torn) > 0  # some were killed while they wrote
    assert names == [checkpoint.NAME]  # and what they left is gone with the next save


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state: dict[str, Any] = {
        "x": torch.randn(3),
        "list": [1, 2.5, "a", None],
        "nested": {"flag": True},
    }
    path = checkpoint.save(tmp_path / "new" / "run", state)
    assert path == tmp_path / "new" / "run" / checkpoint.NAME
    found = checkpoint.load(path.parent)
    assert torch.equal(found.pop("x"), state.pop("x"))
    assert found == state
    assert [p.name for p in path.parent.iterdir()] == [checkpoint.NAME]


def test_a_save_that_fails_raises_and_keeps_the_last(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"n": 1})

    class Unpicklable:
        def __reduce__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        checkpoint.save(tmp_path, {"n": 2, "bad": Unpicklable()})
    assert checkpoint.load(tmp_path) == {"n": 1}
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]


def test_a_full_disk_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, {"n": 1})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, {"n": 2})
    assert checkpoint.load(tmp_path) == {"n": 1}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_raises(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"n": 1})
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            checkpoint.save(tmp_path, {"n": 2})
        assert checkpoint.load(tmp_path) == {"n": 1}
    finally:
        tmp_path.chmod(0o700)


def test_a_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="train there first"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 no zip", bytes(range(256)) * 9])
def test_garbage_is_a_checkpoint_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoint.NAME).write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_a_checkpoint_error(tmp_path: Path, share: float) -> None:
    path = checkpoint.save(tmp_path, {"x": torch.randn(1000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path)


def test_something_else_that_was_saved_is_a_checkpoint_error(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / checkpoint.NAME)
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path)


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_payload_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    trap = tmp_path / "trap"
    with (tmp_path / checkpoint.NAME).open("wb") as file:
        if how == "pickle":
            pickle.dump({"trainer": Payload(trap)}, file)
        else:
            torch.save({"trainer": Payload(trap)}, file)
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path)
    assert not trap.exists()
