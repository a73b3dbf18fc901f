"""A write that fails leaves the model that was there."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pretrained import store
from pretrained.store import WeightsError, load
from tests.pretrained.models import a_state, identical, write


@pytest.mark.parametrize("call", range(1, 8))
def test_a_failing_write_leaves_the_earlier_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    write(tmp_path, seed=1, shard_bytes=1000)
    before = sorted(tmp_path.iterdir())
    calls = iter(range(1, 100))

    def full(descriptor: int) -> None:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path, seed=2, shard_bytes=1000)  # three shards, three texts, checksums
    assert sorted(tmp_path.iterdir()) == before
    assert identical(load(tmp_path).state, a_state(1))


@pytest.mark.parametrize("moved", range(8))
def test_old_and_new_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    write(tmp_path, seed=1, shard_bytes=1000)
    calls = iter(range(100))
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if next(calls) == moved:
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        try:
            write(tmp_path, seed=2, shard_bytes=1000)
            expected = 2
        except KeyboardInterrupt:
            expected = 1
    if moved in (0, 7):  # none moved, or all seven
        assert identical(load(tmp_path).state, a_state(expected))
    else:
        with pytest.raises(WeightsError, match="is damaged or was changed"):
            load(tmp_path)


KILLED = """
import os, signal, sys, torch
from pretrained.store import save
calls = iter(range(100))
def fsync(descriptor):
    if next(calls) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
save(sys.argv[1], state={"w": torch.zeros(4)}, config={}, card="")
"""


def test_a_killed_write_leaves_the_earlier_model(tmp_path: Path) -> None:
    write(tmp_path, seed=1)
    root = Path(store.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root)
    assert done.returncode == -signal.SIGKILL
    assert identical(load(tmp_path).state, a_state(1))
    write(tmp_path, seed=2)  # over what the killed one left behind
    assert identical(load(tmp_path).state, a_state(2))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anyway")
def test_a_read_only_folder_raises(tmp_path: Path) -> None:
    write(tmp_path, seed=1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            write(tmp_path, seed=2)
        assert identical(load(tmp_path).state, a_state(1))
    finally:
        tmp_path.chmod(0o755)
