"""Weights come back bit for bit, or not at all."""

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pretrained import store
from pretrained.store import WeightsError, load, resolve, save

CONFIG = {"width": 3, "betas": [0.9, 0.999], "name": "café", "nested": {"on": True}}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_state(seed: int = 0) -> dict[str, Tensor]:
    """Five tensors of 400 bytes each."""
    return {f"layer.{i}": numbers(10, 10, seed=seed + i) for i in range(5)}


def identical(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a
    )


def write(folder: Path, seed: int = 0, **options: Any) -> None:
    save(folder, state=a_state(seed), config=CONFIG | {"seed": seed}, card="# Card", **options)


def sign(folder: Path) -> None:
    """Checksums that fit whatever lies in the folder, as a stranger could write them."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != store.CHECKSUMS
    ]
    (folder / store.CHECKSUMS).write_text("".join(lines))


# Round trip


def test_round_trip_is_exact(tmp_path: Path) -> None:
    state = {
        "float": numbers(3, 4),
        "half": numbers(5).half(),
        "bfloat": numbers(5).bfloat16(),
        "double": numbers(2).double(),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
        "infinite": torch.tensor([float("inf"), -0.0]),
    }
    save(tmp_path, state=state, config=CONFIG, card="# Card\n\nwith é\n")
    weights = load(tmp_path)
    assert identical(weights.state, state)
    assert weights.config == CONFIG
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# Card\n\nwith é\n"


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    shard_bytes=st.integers(1, 300),
)
def test_any_split_round_trips(
    sizes: list[int], shard_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    state = {f"t{i}": numbers(size, seed=i) for i, size in enumerate(sizes)}
    save(folder, state=state, config={}, card="", shard_bytes=shard_bytes)
    assert identical(load(folder).state, state)


def test_views_shared_memory_and_channels_last_are_stored_by_value(tmp_path: Path) -> None:
    base = numbers(4, 4)
    state = {
        "base": base,
        "again": base,
        "view": base.T[1:],
        "image": numbers(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "parameter": nn.Parameter(numbers(2)),
    }
    save(tmp_path, state=state, config={}, card="")
    assert identical(load(tmp_path).state, state)


def test_half_precision_rounds_floats_only(tmp_path: Path) -> None:
    state = {"w": numbers(6), "steps": torch.tensor(100_001)}
    save(tmp_path, state=state, config={}, card="", dtype=torch.float16)
    assert identical(load(tmp_path).state, {"w": state["w"].half(), "steps": state["steps"]})
    assert state["w"].dtype == torch.float32  # the caller's own stay as they were


def test_a_value_that_half_precision_cannot_hold_is_refused(tmp_path: Path) -> None:
    state = {"fine": torch.tensor([65504.0, float("inf")]), "big": torch.tensor([1.0, -7e4])}
    with pytest.raises(WeightsError, match=r"'big' reaches 7e\+04"):
        save(tmp_path, state=state, config={}, card="", dtype=torch.float16)
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_is_not_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save(tmp_path, state=a_state(), config={"device": torch.device("cpu")}, card="")
    assert list(tmp_path.iterdir()) == []


# Layout


def test_one_file_where_it_fits(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "model", shard_bytes=2000)
    assert {path.name for path in (tmp_path / "deep" / "model").iterdir()} == {
        "model.safetensors",
        "config.json",
        "README.md",
        "checksums.sha256",
    }


def test_shards_stay_below_the_limit_and_are_indexed(tmp_path: Path) -> None:
    write(tmp_path, shard_bytes=1000)
    names = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == names
    shards = [safetensors.torch.load_file(tmp_path / name) for name in names]
    assert [sum(t.nbytes for t in shard.values()) for shard in shards] == [800, 800, 400]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2000
    assert index["weight_map"] == {
        key: name for name, shard in zip(names, shards, strict=True) for key in shard
    }


@pytest.mark.parametrize("shard_bytes", [10_000, 200])
def test_the_hub_reads_the_folder(tmp_path: Path, shard_bytes: int) -> None:
    ours, theirs = nn.Linear(20, 5), nn.Linear(20, 5)
    save(tmp_path, state=ours.state_dict(), config={}, card="", shard_bytes=shard_bytes)
    huggingface_hub.load_torch_model(theirs, tmp_path, strict=True)
    assert identical(dict(theirs.state_dict()), dict(ours.state_dict()))


def test_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    write(tmp_path, shard_bytes=1000)
    ours = (tmp_path / "checksums.sha256").read_text()
    sign(tmp_path)
    assert sorted(ours.splitlines()) == sorted(
        (tmp_path / "checksums.sha256").read_text().splitlines()
    )


def test_saving_again_leaves_no_stale_files(tmp_path: Path) -> None:
    write(tmp_path, seed=1, shard_bytes=1000)
    write(tmp_path, seed=2)
    assert not list(tmp_path.glob("model-*"))
    assert not (tmp_path / store.INDEX).exists()
    write(tmp_path, seed=3, shard_bytes=1000)
    assert not (tmp_path / store.MODEL).exists()
    assert identical(load(tmp_path).state, a_state(3))


# Damage


@pytest.mark.parametrize(
    "name", ["model-00002-of-00003.safetensors", store.INDEX, "config.json", "README.md"]
)
def test_one_flipped_bit_is_found(tmp_path: Path, name: str) -> None:
    write(tmp_path, shard_bytes=1000)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=rf"{re.escape(name)} is damaged.*fetch it again"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "README.md"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(WeightsError, match=rf"{name} is missing; fetch"):
        load(tmp_path)


def test_no_checksums_no_weights(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / store.CHECKSUMS).unlink()
    with pytest.raises(WeightsError, match=r"checksums\.sha256 is missing"):
        load(tmp_path)


def test_every_flipped_bit_of_the_checksums_is_found(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / store.CHECKSUMS
    original = path.read_bytes()
    for position in range(0, len(original) - 1, 7):
        path.write_bytes(bytes(b ^ (i == position) for i, b in enumerate(original)))
        with pytest.raises(WeightsError):
            load(tmp_path)


def test_a_strict_consumer_names_extra_and_missing_keys(tmp_path: Path) -> None:
    state = dict(nn.Linear(3, 2).state_dict())
    state["surplus"] = state.pop("bias")
    save(tmp_path, state=state, config={}, card="")
    with pytest.raises(RuntimeError, match=r'(?s)Missing.*"bias".*Unexpected.*"surplus"'):
        nn.Linear(3, 2).load_state_dict(load(tmp_path).state)


# Folders by strangers


OUTSIDE = ["../secret", "..", "/etc/hostname", "a/b", "a\\..\\b", ".hidden", "C:secret", "", "a\0"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_checksums_name_nothing_outside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    write(folder)
    (tmp_path / "secret").write_bytes(b"")
    with (folder / store.CHECKSUMS).open("a") as file:
        file.write(f"{hashlib.sha256(b'').hexdigest()}  {name}\n")
    with pytest.raises(WeightsError, match=r"expected plain file names|expected '<sha256>"):
        load(folder)


@pytest.mark.parametrize("name", [*OUTSIDE, 3, None])
def test_the_index_names_nothing_outside(tmp_path: Path, name: object) -> None:
    write(tmp_path, shard_bytes=1000)
    (tmp_path / store.INDEX).write_text(json.dumps({"weight_map": {"layer.0": name}}))
    sign(tmp_path)
    with pytest.raises(WeightsError, match="expected plain file names"):
        load(tmp_path)


def drop_a_tensor(weight_map: dict[str, str]) -> None:
    del weight_map["layer.0"]


def add_a_tensor(weight_map: dict[str, str]) -> None:
    weight_map["surplus"] = weight_map["layer.0"]


def move_a_tensor(weight_map: dict[str, str]) -> None:
    weight_map["layer.0"] = weight_map["layer.4"]


@pytest.mark.parametrize("change", [drop_a_tensor, add_a_tensor, move_a_tensor])
def test_index_and_shards_must_agree(
    tmp_path: Path, change: Callable[[dict[str, str]], None]
) -> None:
    write(tmp_path, shard_bytes=1000)
    index = json.loads((tmp_path / store.INDEX).read_text())
    change(index["weight_map"])
    (tmp_path / store.INDEX).write_text(json.dumps(index))
    sign(tmp_path)
    with pytest.raises(WeightsError, match=r"layer\.0|surplus"):
        load(tmp_path)


def test_a_shard_without_checksum_is_refused(tmp_path: Path) -> None:
    write(tmp_path, shard_bytes=1000)
    path = tmp_path / store.CHECKSUMS
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "00002-of" not in line))
    with pytest.raises(WeightsError, match="does not list model-00002"):
        load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"[1, 2]", b"{", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", store.INDEX])
def test_what_is_no_json_object_is_an_unknown_format(
    tmp_path: Path, name: str, data: bytes
) -> None:
    write(tmp_path, shard_bytes=1000)
    (tmp_path / name).write_bytes(data)
    sign(tmp_path)
    with pytest.raises(WeightsError, match="expected"):
        load(tmp_path)


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    write(tmp_path)
    torch.save(a_state(), tmp_path / "model.safetensors")
    sign(tmp_path)
    with pytest.raises(WeightsError, match="expected safetensors"):
        load(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "model.bin")
    sign(tmp_path)
    with pytest.raises(WeightsError, match=r"unknown format.*may run code"):
        load(tmp_path)


# Writes that fail


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


# Names


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with two shipped models, and a working directory elsewhere."""
    shelf, elsewhere = tmp_path / "shelf", tmp_path / "elsewhere"
    for name in ("motion", "faces"):
        write(shelf / name)
    (shelf / "__pycache__").mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr(store, "_SHIPPED", shelf)
    monkeypatch.chdir(elsewhere)
    return shelf


def test_resolve_finds_shipped_models_and_folders(shelf: Path) -> None:
    assert store.shipped() == ["faces", "motion"]
    assert resolve("faces") == shelf / "faces"
    assert resolve(shelf / "motion") == shelf / "motion"
    assert resolve(str(shelf)) == shelf


def test_a_shipped_name_wins_over_a_folder_beside(shelf: Path) -> None:
    Path("faces").mkdir()
    assert resolve("faces") == shelf / "faces"
    assert resolve("./faces").samefile("faces")
    assert resolve(Path("faces")).samefile("faces")


@pytest.mark.parametrize("name", ["face", "faces/config.json", "../shelf/none", "__pycache__"])
def test_resolve_lists_what_there_is(shelf: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="which are: faces, motion"):
        resolve(name)


def test_everything_shipped_loads() -> None:
    for name in store.shipped():
        weights = load(resolve(name))
        assert weights.state
        assert all(tensor.isfinite().all() for tensor in weights.state.values())
        files = Path(resolve(name)).glob("*.safetensors")
        assert all(path.stat().st_size <= 16 * 2**20 for path in files)
