"""`perhaps forecast`: the files it writes, what it refuses, what it leaves alone."""

import argparse
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from apps import images
from apps.motion.commands import register
from apps.motion.model import Size, build
from pretrained import store

ASDICT = {"width": 8, "whole": 3, "spatial": 2, "components": 2, "rank": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build(Size(**ASDICT))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    folder = tmp_path_factory.mktemp("weights")
    config = {"domain": "motion", "model": "mixture", "size": ASDICT}
    store.save(folder, state=model.state_dict(), config=config, card="# Nobody's")
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    path = tmp_path / "in/yard.png"
    path.parent.mkdir()
    path.write_bytes(images.encode_png(pixels.repeat(16, 0).repeat(16, 1)))
    return path


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    args = parser.parse_args(["forecast", *map(str, words), "--device", "cpu"])
    return args.run(args)


def test_all_files_of_a_forecast(photo: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(photo, "-o", out, "-k", 2, "--seed", 5, "--model", weights) == 0
    folder = out / "yard"
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{kind}-{i}.png" for kind in ("flow", "trails") for i in (1, 2)}
    assert names == {"1.gif", "2.gif", "samples.json", "trajectories.npz"} | pictures
    with np.load(folder / "trajectories.npz") as arrays:
        moves, grid, shares = (arrays[key] for key in ("displacements", "grid", "probabilities"))
    assert moves.shape == (2, 30, 20, 26, 2) and moves.dtype == np.float32
    assert grid.shape == (20, 26, 2) and grid.max() < 128
    said = json.loads((folder / "samples.json").read_text())
    assert said["seed"] == 5 and [one["file"] for one in said["samples"]] == ["1.gif", "2.gif"]
    assert said["asked"] == {"strength": 1.0, "mask": None}
    assert [one["probability"] for one in said["samples"]] == pytest.approx(shares.tolist())
    with Image.open(folder / "1.gif") as film:
        assert (
            film.size == (128, 96) and getattr(film, "n_frames", 1) > 20 and film.info["loop"] == 0
        )
    with Image.open(folder / "trails-2.png") as drawn:
        assert drawn.size == (128, 96)


def test_a_second_run_replaces_the_first(photo: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = out / "yard/notes-1.png"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    assert run(photo, "-o", out, "-k", 3, "--model", weights) == 0
    assert run(photo, "-o", out, "-k", 1, "--format", "mp4", "--model", weights) == 0
    names = {path.name for path in own.parent.iterdir()}
    expected = {"1.mp4", "flow-1.png", "trails-1.png", "samples.json", "trajectories.npz"}
    assert names == expected | {"notes-1.png"}
    with av.open(str(own.parent / "1.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 60


def test_a_bad_picture_is_named_and_the_others_go_on(
    photo: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photo.parent / "torn.png").write_bytes(photo.read_bytes()[:50])
    assert run(photo.parent, "-o", tmp_path / "out", "-k", 1, "--model", weights) == 1
    assert "torn.png" in capsys.readouterr().err
    assert (tmp_path / "out/yard/1.gif").exists()
    assert not (tmp_path / "out/torn").exists()


def test_strength_and_mask(photo: Path, weights: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(images.encode_png(np.zeros((96, 128, 3), np.uint8)))
    out = tmp_path / "out"
    assert run(photo, "-o", out, "-k", 1, "--mask", mask, "--model", weights) == 0
    with Image.open(out / "yard/1.gif") as film:
        assert getattr(film, "n_frames", 1) == 1  # nothing may move
    with pytest.raises(ValueError, match="got strength=9"):
        run(photo, "-o", out, "--strength", 9, "--model", weights)
    with pytest.raises(ValueError, match="got --mask and 2 pictures"):
        other = photo.with_name("street.png")
        other.write_bytes(photo.read_bytes())
        run(photo, other, "-o", out, "--mask", mask, "--model", weights)
    with pytest.raises(ValueError, match="expected the same size"):
        mask.write_bytes(images.encode_png(np.zeros((9, 9, 3), np.uint8)))
        run(photo, "-o", out, "--mask", mask, "--model", weights)


def test_nothing_to_do(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", "-o", tmp_path / "out", "--model", weights) == 1
    assert "got no pictures" in capsys.readouterr().err
