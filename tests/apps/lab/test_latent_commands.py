"""`perhaps latent …` as a person uses it, around models that learnt nothing."""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from apps import images
from apps.lab import commands
from apps.lab.predict import LatentLab
from pretrained import store
from tests.apps.lab.latent_toy import band, export, lab


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("told"), "told")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("plane"), "plane")


def latent(weights: Path, out: Path, *args: object) -> None:
    top = argparse.ArgumentParser()
    commands.register(top.add_subparsers())
    common = ["-o", out, "--model", weights, "--device", "cpu"]
    asked = top.parse_args(["latent", *map(str, [*args, *common])])
    asked.run(asked)


def read(out: Path, name: str | int) -> np.ndarray:
    """A grey PNG of an answer."""
    return images.read(out / f"{name}.png").pixels[..., 0]


def photo(folder: Path, label: int) -> Path:
    """A band as somebody drew it: large, dark on bright, as wide as its class says."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{label}.png"
    drawn = band(label, columns=slice(4, 8 + 2 * label))
    large = 255 - drawn.repeat(5, 0).repeat(5, 1)
    path.write_bytes(images.encode_png(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)))
    return path


def samples(out: Path) -> dict[str, Any]:
    return json.loads((out / "samples.json").read_text())


def test_samples_are_those_of_the_seed(told: Path, tmp_path: Path) -> None:
    latent(told, tmp_path, "sample", "-k", 3, "--seed", 7)
    expected = lab("told").sample(3, seed=7)
    assert all(np.array_equal(read(tmp_path, i + 1), expected[i]) for i in range(3))
    said = samples(tmp_path)
    assert [sample["file"] for sample in said["samples"]] == ["1.png", "2.png", "3.png"]
    assert said["seed"] == 7 and said["input"] is None and Path(said["model"]) == told
    assert (tmp_path / "grid.png").is_file()
    latent(told, tmp_path, "sample", "-k", 1)
    assert not (tmp_path / "2.png").exists()  # of the earlier run


def test_a_traversal_is_a_strip_for_each_dimension(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ("--dims", "2,0", "--steps", 3, "--reach", 1, "--class", 4, "--seed", 5)
    latent(told, tmp_path, "traverse", *asked)
    found = lab("told")
    z = found.draw(1, seed=5)[0]
    walk = found.traverse(z, [2, 0], steps=3, reach=1, labels=4)
    assert np.array_equal(read(tmp_path, 2), np.concatenate(walk[1], 1))
    assert read(tmp_path, "grid").shape == (2 * 28, 3 * 28)
    assert "2, 0" in capsys.readouterr().out


def test_a_photo_is_where_a_traversal_begins(told: Path, tmp_path: Path) -> None:
    source, out = photo(tmp_path / "in", 3), tmp_path / "out"
    latent(told, out, "traverse", source, "--dims", "1", "--steps", 3)
    found = lab("told")
    (label,), (z,) = found.guess(source), found.encode(source)
    walk = found.traverse(z, [1], steps=3, labels=int(label))
    assert np.array_equal(read(out, 1), np.concatenate(walk[0], 1))
    assert samples(out)["input"] == str(source)


def test_a_manifold_is_one_sheet(plane: Path, tmp_path: Path) -> None:
    latent(plane, tmp_path, "manifold", "--steps", 4, "--dims", "0,1")
    sheet = lab("plane").manifold(4, (0, 1))
    assert np.array_equal(read(tmp_path, 1)[28:56, :28], sheet[1, 0])
    assert read(tmp_path, 1).shape == (4 * 28, 4 * 28)


def test_interpolation_on_the_arc_or_straight(told: Path, tmp_path: Path) -> None:
    ends = [photo(tmp_path / "in", n) for n in (2, 7)]
    for name, more in (("arc", ()), ("line", ("--straight",))):
        asked = ("--steps", 3, "--class", 2, *more)
        latent(told, tmp_path / name, "interpolate", *ends, *asked)
    found = lab("told")
    z = found.encode(ends, 2)
    assert np.array_equal(read(tmp_path / "arc", 1), found.decode(z[0], 2))
    middle = read(tmp_path / "line", 2).astype(int)
    assert np.abs(middle - found.decode(z.mean(0), 2)).max() <= 1
    assert not np.array_equal(read(tmp_path / "arc", 2), middle)


def test_one_style_in_all_classes(told: Path, tmp_path: Path) -> None:
    latent(told, tmp_path, "classes", "--seed", 2)
    ten = lab("told").classes(lab("told").draw(1, seed=2)[0])
    assert all(np.array_equal(read(tmp_path, i + 1), ten[i]) for i in range(10))


def test_arithmetic_adds_what_some_have(plane: Path, tmp_path: Path) -> None:
    have = [photo(tmp_path / "have", n) for n in (1, 2)]
    photo(tmp_path / "lack", 8)
    source, out = photo(tmp_path / "in", 5), tmp_path / "out"
    lists = ("--plus", *have, "--minus", tmp_path / "lack")
    latent(plane, out, "arithmetic", source, *lists, "--steps", 3, "--strength", 2)
    found = lab("plane")
    z = found.encode(source)[0]
    step = found.encode(have).mean(0) - found.encode([tmp_path / "lack/8.png"])[0]
    for i, strength in enumerate((0, 1, 2), 1):
        expected = found.decode(z + strength * step).astype(int)
        assert np.abs(read(out, i) - expected).max() <= 1


def test_a_completion_fills_what_the_mask_hides(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source, mask = photo(tmp_path / "in", 5), tmp_path / "mask.png"
    hidden = np.zeros((140, 140, 3), np.uint8)
    hidden[:, 70:] = 255
    mask.write_bytes(images.encode_png(hidden))
    latent(told, tmp_path, "complete", source, "--mask", mask, "-k", 2)
    answers = [read(tmp_path, i) for i in (1, 2)]
    assert all(
        np.array_equal(answer[:, :14], band(5, columns=slice(4, 18))[:, :14]) for answer in answers
    )
    assert not np.array_equal(answers[0], answers[1])
    assert "classes, likeliest first: " in capsys.readouterr().out


def test_a_map_says_where_each_picture_lies(plane: Path, tmp_path: Path) -> None:
    paths = [photo(tmp_path / f"in/{name}", n) for name in ("a", "b") for n in (1, 4, 7)]
    latent(plane, tmp_path / "out", "map", tmp_path / "in")
    rows = list(csv.DictReader((tmp_path / "out/map.csv").open()))
    assert [Path(row["picture"]) for row in rows] == paths
    assert [row["group"] for row in rows] == ["a"] * 3 + ["b"] * 3
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    assert np.allclose(points, lab("plane").map(paths), atol=1e-5)
    assert images.read(tmp_path / "out/map.png").pixels.std() > 5


def test_a_map_of_test_digits_is_coloured_by_class(told: Path, data: Path, tmp_path: Path) -> None:
    latent(told, tmp_path, "map", "--data", data, "--limit", 20)
    rows = list(csv.DictReader((tmp_path / "map.csv").open()))
    assert len(rows) == 20 and {row["group"] for row in rows} <= set("0123456789")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["manifold"], "got no label for .*expected 0 to 9"),
        (["manifold", "--class", 1, "--dims", "1"], "expected two"),
        (["traverse", "--class", 1, "--dims", "x"], "expected whole numbers"),
        (["traverse", "--class", 1, "--dims", "9"], r"got dimensions \[9\]"),
        (["map"], "expected pictures to map, or --data"),
        (["sample", "--class", 11], "got labels 11"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    told: Path, tmp_path: Path, args: list[object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        latent(told, tmp_path, *args)
    assert not any(tmp_path.iterdir())


def test_without_weights_the_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(store.WeightsError, match="no model 'no-lab'"):
        latent(Path("no-lab"), tmp_path, "sample")
    assert LatentLab.from_pretrained.__doc__


def test_registering_imports_nothing_heavy() -> None:
    code = (
        "import argparse, sys; from apps.lab import commands\n"
        "commands.register(argparse.ArgumentParser().add_subparsers())\n"
        "sys.exit(bool({'torch', 'gradio', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
