"""Weights come back bit for bit, by the names that they were saved under."""

import json
from pathlib import Path

import huggingface_hub
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pretrained import store
from pretrained.store import WeightsError, load, resolve, save
from tests.pretrained.models import CONFIG, a_state, identical, numbers, sign, write


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


def test_a_strict_consumer_names_extra_and_missing_keys(tmp_path: Path) -> None:
    state = dict(nn.Linear(3, 2).state_dict())
    state["surplus"] = state.pop("bias")
    save(tmp_path, state=state, config={}, card="")
    with pytest.raises(RuntimeError, match=r'(?s)Missing.*"bias".*Unexpected.*"surplus"'):
        nn.Linear(3, 2).load_state_dict(load(tmp_path).state)


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
