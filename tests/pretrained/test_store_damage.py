"""What is damaged, or made by a stranger, is refused and never run."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pretrained import store
from pretrained.store import WeightsError, load
from tests.pretrained.models import a_state, sign, write


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
