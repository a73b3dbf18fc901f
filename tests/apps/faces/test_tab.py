"""The tab *Faces* over HTTP: around networks that learnt nothing."""

import base64
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from apps import canvas, images, page
from apps.faces import tab_respond
from apps.faces.attributes import OFFERED, RequestError
from apps.faces.data import Faces
from apps.faces.tab_parts import STEPS, K
from apps.faces.tab_respond import Studio, states
from pretrained.store import WeightsError
from tests.apps.faces.stand_in import FRAME, Maker, stand_in, tab_alone
from tests.apps.pages import Served, by_hand, lossy, painted, pixels, serving

PHOTO = (100, 120)  # height and width


@pytest.fixture(scope="module")
def maker(world: Faces) -> Maker:
    return stand_in(world)


@pytest.fixture(scope="module")
def site(maker: Maker) -> Iterator[Served]:
    with serving(partial(tab_alone, maker)) as served:
        yield served


@pytest.fixture
def studio(maker: Maker, tmp_path: Path) -> Studio:
    return Studio(lambda: maker, tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Grandma & me.png"
    small = np.random.default_rng(0).integers(60, 200, (5, 5, 3), np.uint8)
    Image.fromarray(cv2.resize(small, (120, 100), interpolation=cv2.INTER_CUBIC)).save(path)
    return path


def test_the_archive_holds_what_the_maker_makes(client: Client, maker: Maker) -> None:
    asked = {"Smiling": True, "Male": False, "Young": None}
    found = client.predict(asked, 5, 0.7, api_name="/faces")
    made = maker(asked, k=K, seed=5, temperature=0.7)
    with zipfile.ZipFile(found) as archive:
        names = [f"{j}.png" for j in range(1, K + 1)]
        assert archive.namelist() == [*names, "grid.png", "samples.json"]
        for name, face in zip(names, made.images, strict=True):
            assert np.array_equal(images.read(archive.read(name)).pixels, face)
        said = json.loads(archive.read("samples.json"))
    assert (said["seed"], said["temperature"], said["model"]) == (5, 0.7, "faces")
    assert said["asked"] == {"Smiling": True, "Male": False}
    assert [sample["attributes"] for sample in said["samples"]] == made.requests
    assert Path(found).name == "faces-seed-5.zip"


def test_one_face_and_the_steps_of_it(client: Client, maker: Maker) -> None:
    one = client.predict({"Bald": True}, 3, 6, 1, api_name="/face")
    face = maker({"Bald": True}, k=7, seed=3).images[6]
    assert np.array_equal(pixels(one)[::4, ::4].shape, face.shape)
    assert np.array_equal(pixels(one), tab_respond.enlarge(face))
    strip = pixels(client.predict({}, "Eyeglasses", 3, 6, 1, api_name="/progress"))
    steps = maker.progression("Eyeglasses", STEPS, {}, seed=3, j=6)
    assert np.array_equal(strip[:, :256], tab_respond.enlarge(steps[0]))
    assert np.array_equal(strip[:, -256:], tab_respond.enlarge(steps[-1]))


def test_toggles_keep_the_people_and_the_same_twice_is_looked_up(
    studio: Studio, maker: Maker
) -> None:
    before = maker.calls
    none, smiling = (studio.people(asked, 1, 1) for asked in ({}, {"Smiling": True}))
    assert none != smiling and none.startswith("data:image/jpeg;base64,")
    assert studio.people({"smiling": True, "Male": None}, 1.0, "1") == smiling
    assert maker.calls == before + 2
    sheet = images.read(base64.b64decode(smiling.partition(",")[2])).pixels
    assert sheet.shape == (4 * 256, 4 * 256, 3)
    face = maker({"Smiling": True}, k=7, seed=1).images[6]  # in row 1, column 2
    shown = sheet[256:512, 512:768].astype(int)
    assert np.abs(shown - tab_respond.enlarge(face)).mean() < 4


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"Bald": True, "Bangs": True}, "Bald and Bangs contradict each other"),
        ({"Black_Hair": True, "Blond_Hair": True}, "Black Hair and Blond Hair contradict"),
        ({"Grin": True}, "There is no attribute 'Grin'"),
        ({"Attractive": True}, "not offered because it judges people"),
        ({"<b>" * 10**5: True}, "There is no attribute '&lt;b&gt;"),
        ({"Smiling": 1}, "each as true, false or null"),
        ({"Smiling": "x" * 10**5}, "each as true, false or null"),
        ("Smiling", "each as true, false or null"),
        ([["Smiling", True]], "each as true, false or null"),
    ],
)
def test_what_cannot_be_asked_for_gets_one_sentence(
    client: Client, asked: Any, sentence: str
) -> None:
    with pytest.raises(AppError) as caught:
        client.predict(asked, 0, 1, api_name="/faces")
    assert sentence in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("seed", "temperature", "numbers"),
    [
        (2**80, 50, (page.LAST_SEED, 1)),
        (-1, -1, (0, 0.3)),
        (None, None, (0, 1)),
        ("many", [1], (0, 1)),
    ],
)
def test_numbers_are_clamped(seed: Any, temperature: Any, numbers: tuple[int, float]) -> None:
    assert tab_respond.numbers(seed, temperature) == numbers


def test_a_face_beyond_the_grid_is_its_last(studio: Studio) -> None:
    last, beyond, none = (studio.face({}, 0, j, 1) for j in (K - 1, 10**9, None))
    assert np.array_equal(pixels(last), pixels(beyond))
    assert Path(none).name == "face-1-seed-0.png"


def test_an_edit_comes_back_at_full_size_with_only_the_face_changed(
    client: Client, maker: Maker, photo: Path
) -> None:
    name = next(iter(maker.read(pixels(photo), FRAME)))
    asked = {name: maker.read(pixels(photo), FRAME)[name] < 0.5}
    edited = client.predict(handle_file(str(photo)), asked, api_name="/edit")
    assert Path(edited).name.endswith("-changed.png")
    before, after = pixels(photo), pixels(edited)
    assert np.array_equal(after, maker.edit(before, asked, FRAME))
    assert not np.array_equal(after, before)
    assert np.array_equal(after[:15], before[:15])


def test_a_large_photo_is_shown_small_and_kept_large(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (page.PREVIEW + 400, 150), (90, 80, 70)).save(path)
    upload = {"path": str(path)}
    before, after = studio.change(upload, {"Smiling": True})
    assert pixels(before).shape[1] == pixels(after).shape[1] == page.PREVIEW
    assert pixels(studio.changed(upload, {})).shape[1] == page.PREVIEW + 400


def test_fillings_keep_what_is_not_painted(client: Client, photo: Path) -> None:
    mask = painted(PHOTO, slice(40, 60), slice(45, 75))
    gallery, pair, one, files = client.predict(
        handle_file(str(photo)), mask, 0, api_name="/complete"
    )
    before = pixels(photo)
    filled = [pixels(file) for file in files]
    assert len(filled) == 4
    for picture in filled:
        assert np.array_equal(picture[:38], before[:38])
        assert not np.array_equal(picture[40:60, 45:75], before[40:60, 45:75])
    assert [item["caption"] for item in gallery] == ["1", "2", "3", "4"]
    assert np.array_equal(pixels(pair[0]), before) and np.array_equal(pixels(pair[1]), filled[0])
    assert Path(one).read_bytes() == Path(files[0]).read_bytes()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (None, "Nothing is painted over yet"),
        ({"photo": "x"}, "Nothing is painted over yet"),
        (painted(PHOTO, slice(0, 0), slice(0, 0)), "Nothing is painted over yet"),
        ({"mask": "data:image/png;base64,AAAA"}, "cannot be read"),
        ({"mask": "http://example.org/mask.png"}, "cannot be read"),
        ({"mask": ["x"]}, "cannot be read"),
        ({"mask": "data:image/png;base64," + "A" * canvas.MOST_MASK}, "cannot be read"),
        (painted(PHOTO, slice(0, 5), slice(0, 5)), "hides nothing of the face"),
    ],
)
def test_masks_that_cannot_be_used(studio: Studio, photo: Path, mask: Any, sentence: str) -> None:
    with pytest.raises(gr.Error, match=sentence):
        studio.fill({"path": str(photo)}, mask, 0)


def test_uploads_that_cannot_be_used_get_one_sentence(
    client: Client, site: Served, tmp_path: Path
) -> None:
    black, text = tmp_path / "black.png", tmp_path / "text.png"
    Image.new("RGB", (50, 40)).save(black)
    text.write_bytes(b"no picture")
    for path, sentence in ((black, tab_respond.NO_FACE), (text, "is no JPEG, PNG, WebP")):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(str(path)), {}, api_name="/edit")
    assert "There is no photo yet" in by_hand(site, "edit", None, {})


@pytest.mark.parametrize("endpoint", ["edit", "complete"])
@pytest.mark.parametrize("marks", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_no_request_reads_a_file_that_was_not_uploaded(
    site: Served, photo: Path, endpoint: str, marks: dict
) -> None:
    more: tuple[Any, ...] = ({},) if endpoint == "edit" else ({}, 0)
    said = by_hand(site, endpoint, {"path": str(photo), **marks}, *more)
    assert "event: error" in said and "null" not in said.partition("event: error")[0]


def test_a_model_that_cannot_be_loaded_is_said_so(tmp_path: Path) -> None:
    def missing() -> Any:
        raise WeightsError("secret/place")

    with pytest.raises(gr.Error, match="The model cannot be loaded") as caught:
        Studio(missing, tmp_path).people({}, 0, 1)
    assert "secret" not in str(caught.value)


def test_states_are_known_names_in_one_order() -> None:
    assert states({"Smiling": True, "male": False}) == (("Male", False), ("Smiling", True))
    assert states(None) == states({}) == states({"Young": None}) == ()
    with pytest.raises(RequestError):
        states({"Young": {"rm": "-rf"}})


def test_doors_are_closed_and_every_offered_attribute_is_a_toggle(site: Served) -> None:
    fns = site.blocks.fns.values()
    public = [fn.api_name for fn in fns if fn.api_visibility == "public"]
    assert sorted(map(str, public)) == ["complete", "edit", "face", "faces", "progress"]
    heavy = [fn for fn in fns if fn.queue and fn.fn is not None]
    assert {fn.concurrency_id for fn in heavy} == {"model"}
    assert not any(fn.preprocess for fn in heavy)
    parts = [
        block.html_template
        for block in site.blocks.blocks.values()
        if isinstance(block, gr.HTML) and "chip" in block.html_template
    ]
    assert len(parts) == 2
    assert all(part.count(f'data-name="{name}"') == 1 for part in parts for name in OFFERED)
    assert all(part.count("data-name=") == len(OFFERED) for part in parts)
    assert not lossy(site.blocks)
