"""`perhaps faces` and `perhaps face …` as a person types them; the maker learnt nothing."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps import images
from apps.faces import commands
from apps.faces.attributes import RequestError
from apps.faces.data import Faces
from tests.apps.faces.stand_in import Maker, stand_in


@pytest.fixture(scope="module")
def maker(world: Faces) -> Maker:
    return stand_in(world)


@pytest.fixture
def perhaps(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(commands, "_maker", lambda args: maker)
    top = argparse.ArgumentParser()
    commands.register(top.add_subparsers())

    def run(*args: object) -> None:
        asked = top.parse_args([*map(str, args)])
        asked.run(asked)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(60, 200, (100, 120, 3), np.uint8)
    path = tmp_path / "photo.png"
    path.write_bytes(images.encode_png(pixels))
    return path


def answers(out: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    said = json.loads((out / "samples.json").read_text())
    return [images.read(out / sample["file"]).pixels for sample in said["samples"]], said


def test_faces_are_those_of_the_maker_and_say_what_each_has(
    perhaps: Any, maker: Maker, tmp_path: Path
) -> None:
    wanted = ["--with", "smiling,Blond Hair", "--without", "male", "--temperature", 0.7]
    perhaps("faces", "-o", tmp_path, "-k", 3, "--seed", 4, *wanted)
    asked = {"Smiling": True, "Blond_Hair": True, "Male": False}
    made = maker(asked, k=3, seed=4, temperature=0.7)
    pictures, said = answers(tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, made.images, strict=True))
    assert said["asked"] == asked and said["seed"] == 4 and said["temperature"] == 0.7
    assert [sample["attributes"] for sample in said["samples"]] == made.requests
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("1.png", "2.png", "3.png", "grid.png", "samples.json")
    ]


def test_fewer_faces_leave_no_old_ones(perhaps: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for k in (3, 1):
        perhaps("faces", "-o", tmp_path, "-k", k)
    assert {path.name for path in tmp_path.glob("*.png")} == {"1.png", "grid.png"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_progression_is_the_makers(perhaps: Any, maker: Maker, tmp_path: Path) -> None:
    perhaps("face", "progress", "blond hair", "-o", tmp_path, "--steps", 3, "--seed", 2)
    pictures, said = answers(tmp_path)
    steps = maker.progression("Blond_Hair", 3, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, steps, strict=True))
    shares = [sample["attributes"] for sample in said["samples"]]
    assert shares == [{"Blond_Hair": share} for share in (0.0, 0.5, 1.0)]


def test_an_edit_and_a_completion_are_of_the_photos_size(
    perhaps: Any, photo: Path, maker: Maker, tmp_path: Path
) -> None:
    perhaps("face", "edit", photo, "--with", "bangs", "-o", tmp_path / "edit")
    (edited,), said = answers(tmp_path / "edit")
    assert np.array_equal(edited, maker.edit(photo, {"Bangs": True}))
    assert said["input"] == str(photo) and said["asked"] == {"Bangs": True}
    hidden = np.zeros((100, 120, 3), np.uint8)
    hidden[40:60, 50:70] = 255
    mask = tmp_path / "mask.png"
    mask.write_bytes(images.encode_png(hidden))
    perhaps("face", "complete", photo, "--mask", mask, "-k", 2, "-o", tmp_path / "filled")
    before = images.read(photo).pixels
    for picture in answers(tmp_path / "filled")[0]:
        assert np.array_equal(picture[hidden == 0], before[hidden == 0])


def test_what_may_be_asked_for_is_listed(perhaps: Any, capsys: pytest.CaptureFixture[str]) -> None:
    perhaps("face", "attributes")
    listed = capsys.readouterr().out
    assert "Eyeglasses" in listed and "Attractive" not in listed


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["faces", "--with", "smilling"], "Smiling"),
        (["faces", "--with", "attractive"], "ttractive"),
        (["faces", "--with", "bald,bangs"], "Bald"),
        (["face", "progress", "smil"], "Smiling"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence_and_writes_nothing(
    perhaps: Any, tmp_path: Path, args: list[str], says: str
) -> None:
    with pytest.raises(RequestError, match=says) as error:
        perhaps(*args, "-o", tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_an_edit_of_nothing_and_half_a_box_are_refused(perhaps: Any, photo: Path) -> None:
    with pytest.raises(ValueError, match="--with or --without"):
        perhaps("face", "edit", photo, "-o", photo.parent / "out")
    with pytest.raises(ValueError, match="four numbers"):
        perhaps("face", "edit", photo, "--with", "bangs", "--box", "1,2", "-o", photo.parent / "o")
