"""The tab *Latent lab* over HTTP and as a class: around models that learnt nothing."""

import base64
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client

from apps import images, web
from apps.lab import tab
from apps.lab.predict import LatentLab
from apps.lab.shelf import MODELS, Shelf
from apps.lab.tab_parts import DIALS, REACH
from apps.lab.tab_respond import (
    BOARD,
    PLANE,
    WALK,
    WALKED,
    Studio,
    decoded,
    dials_of,
    sheet_values,
    z_of,
)
from pretrained import store
from pretrained.store import WeightsError
from tests.apps.lab.latent_toy import band, export, lab, taught
from tests.apps.pages import Served, by_hand, lossy, painted, pixels, serving

TITLES = {"Digits": "told", "Plane": "plane", "Sprites": "sprites"}


def models() -> dict[str, LatentLab]:
    return {title: lab(name) for title, name in TITLES.items()}


def tab_alone() -> gr.Blocks:
    """The tab alone, as the page draws and queues it."""
    found = models()
    with gr.Blocks(analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        tab.tab(lambda: found)
    return blocks.queue(max_size=web.WAITING)


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    with serving(tab_alone) as served:
        yield served


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(partial(dict, models()), tmp_path)


def test_the_file_is_what_z_decodes_to(client: Client) -> None:
    z = [0.5, -1.0, 0.0, 2.0]
    found = client.predict("Digits", {"z": z}, "7", api_name="/latent")
    assert Path(found).name == "Digits.png"
    expected = lab("told").decode(z, 7)
    assert np.array_equal(pixels(found)[8::16, 8::16, 0], expected)
    assert pixels(found).shape == (448, 448, 3)


def test_the_archive_holds_what_is_around_and_how_to_have_it_again(client: Client) -> None:
    found = client.predict("Plane", {"z": [0.5, -1]}, None, api_name="/latents")
    with zipfile.ZipFile(found) as archive:
        assert archive.namelist() == ["picture.png", "traversal.png", "plane.png", "latent.json"]
        said = json.loads(archive.read("latent.json"))
        plane = images.read(archive.read("plane.png")).pixels
        picture = images.read(archive.read("picture.png")).pixels
    assert said == {"model": "Plane", "label": None, "z": [0.5, -1]}
    assert np.array_equal(picture[..., 0], lab("plane").decode(said["z"]))
    assert plane.shape == (PLANE * 28, PLANE * 28, 3)


def test_a_draw_is_that_of_its_seed(studio: Studio) -> None:
    place = studio.drawn("Digits", 5, "4")
    assert np.array_equal(place.z, lab("told").draw(1, seed=5)[0]) and place.label == 4
    assert not studio.middle("Sprites", "4").z.any()
    assert studio.drawn("Sprites", 5, "4").label is None
    assert studio.titles() == list(TITLES)


def test_dials_stand_in_the_order_of_what_they_carry(studio: Studio) -> None:
    value = dials_of(studio.drawn("Digits", 5, 0))
    found = lab("told")
    assert value["dims"] == found.used[:DIALS] and len(value["z"]) == 4
    assert value["shares"] == sorted(value["shares"], reverse=True)
    place = studio.at("Digits", value, 0)
    assert np.allclose(place.z, found.draw(1, seed=5)[0], atol=1e-4)


def test_a_click_goes_to_what_was_clicked(studio: Studio) -> None:
    """The picture that is shown afterwards is the one in the sheet."""
    place = studio.drawn("Digits", 1, 3)
    walk, plane, classes = sheet_values(place)
    assert walk is not None and plane is not None and classes is not None
    cases = [
        (walk, studio.clicked, [1, WALK - 2]),
        (plane, studio.landed, [2, PLANE - 1]),
        (classes, studio.chosen, [0, 8]),
    ]
    for value, go, (row, column) in cases:
        data = base64.b64decode(value["src"].partition(",")[2])
        sheet = images.read(data).pixels[..., 0]
        assert sheet.shape == (value["rows"] * 28, value["columns"] * 28)
        shown = sheet[row * 28 : row * 28 + 28, column * 28 : column * 28 + 28]
        there = decoded(go(place, {**value, "at": [row, column]}))
        assert np.abs(shown.astype(int) - there).max() <= 1
        assert not np.array_equal(there, decoded(place))
    assert studio.clicked(place, {"at": [0, 0]}).z[place.lab.used[0]] == -WALKED


def test_models_show_only_what_they_have(studio: Studio) -> None:
    assert [value is None for value in sheet_values(studio.drawn("Plane", 0, 0))] == [
        False, False, True
    ]  # fmt: skip


def test_what_is_painted_is_encoded(tmp_path: Path) -> None:
    found = taught()
    studio = Studio(lambda: {"Bands": found}, tmp_path)
    drawn = painted((BOARD, BOARD), slice(100, 120), slice(40, 240))
    place = studio.painted("Bands", drawn)
    assert place is not None and place.label is not None
    stroke = np.zeros((BOARD, BOARD), np.uint8)
    stroke[100:120, 40:240] = 255
    assert np.allclose(place.z, found.encode([stroke], place.label)[0], atol=1e-4)
    assert studio.painted("Bands", {"photo": "x", "mask": None}) is None


def test_uploads_are_encoded_and_others_refused(tmp_path: Path) -> None:
    found = taught()
    studio = Studio(lambda: {"Bands": found}, tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    inside, outside = tmp_path / "cache/a.png", tmp_path / "b.png"
    for path in (inside, outside):
        path.write_bytes(images.encode_png(np.repeat(band(6)[..., None], 3, 2)))
    place = studio.uploaded("Bands", {"path": str(inside)})
    assert place.label == 6 and np.allclose(place.z, found.encode([band(6)])[0], atol=1e-4)
    for photo in ({"path": str(outside)}, {"path": "../b.png"}, None, "x"):
        with pytest.raises(gr.Error):
            studio.uploaded("Bands", photo)
    (tmp_path / "cache/black.png").write_bytes(images.encode_png(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(gr.Error, match="Nothing stands out"):
        studio.uploaded("Bands", {"path": str(tmp_path / "cache/black.png")})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [0, 0, 0]),
        ({"z": "123"}, [0, 0, 0]),
        ({"z": [1, {"rm": "-rf"}]}, [1, 0, 0]),
        ({"z": [float("nan"), 1e300, -(10**400)]}, [0, 2 * REACH, 0]),
        ({"z": list(range(10**5))}, [0, 1, 2]),
    ],
)
def test_z_from_outside_is_clamped(value: Any, expected: list[float]) -> None:
    assert z_of(value, 3).tolist() == expected


@pytest.mark.parametrize("sheet", [None, {}, {"at": "x"}, {"at": [1]}, {"at": [None, "many"]}])
def test_a_click_that_says_nothing_is_the_first_cell(studio: Studio, sheet: Any) -> None:
    place = studio.drawn("Digits", 0, 0)
    first = studio.clicked(place, {"at": [0, 0]})
    assert np.array_equal(studio.clicked(place, sheet).z, first.z)
    assert np.isfinite(studio.landed(place, {"at": [10**9, -5]}).z).all()


def test_unknown_models_and_classes_are_the_first(studio: Studio) -> None:
    for title in (None, "Faces", ["Digits"], {"x": 1}):
        assert studio.drawn(title, 0, "many").title == "Digits"
    assert studio.drawn("Digits", None, 10**9).label == 9


def test_no_request_reads_a_file_that_was_not_uploaded(site: Served) -> None:
    fns = {fn.name: fn for fn in site.blocks.fns.values()}
    assert fns["encode"].api_visibility == "private"
    assert "event: complete" in by_hand(site, "latent", "Digits", {"z": []}, "x")


def test_a_model_that_cannot_be_loaded_is_said_so(tmp_path: Path) -> None:
    def missing() -> Any:
        raise WeightsError("secret/place")

    with pytest.raises(gr.Error, match="The model cannot be loaded") as caught:
        Studio(missing, tmp_path).drawn("Digits", 0, 0)
    assert "secret" not in str(caught.value)


def test_the_shelf_has_what_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path / "lab-digits", "told")
    export(tmp_path / "lab-sprites", "sprites")
    monkeypatch.setattr(store, "_SHIPPED", tmp_path)
    shelf = Shelf("cpu")
    assert list(shelf) == ["Digits", "Sprites"] and set(shelf) <= set(MODELS)
    assert shelf["Sprites"].side == 64 and shelf["Digits"] is shelf["Digits"]
    monkeypatch.setattr(store, "_SHIPPED", tmp_path / "none")
    with pytest.raises(WeightsError, match="lab-digits"):
        Shelf("cpu")


def test_doors_are_closed(site: Served) -> None:
    fns = site.blocks.fns.values()
    public = [fn.api_name for fn in fns if fn.api_visibility == "public"]
    assert sorted(map(str, public)) == ["latent", "latents"]
    heavy = [fn for fn in fns if fn.queue and fn.fn is not None]
    assert {fn.concurrency_id for fn in heavy} == {"lab", "model"}
    assert not any(fn.preprocess for fn in heavy)
    assert not lossy(site.blocks)
