"""The tab *Motion*: around a forecaster that learnt nothing."""

import base64
import io
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
from PIL import Image, ImageSequence

from apps import images, page, video
from apps.motion import tab_respond
from apps.motion.tab_respond import ANIMATION, FLOW, MOST, STAGE, TRAILS, Studio, scene_of
from pretrained.store import WeightsError
from tests.apps.motion.stand_in import STILL, Stand, tab_alone
from tests.apps.pages import Served, by_hand, lossy, painted, pixels, serving

PHOTO = (90, 120)  # height and width
NOWHERE: dict[str, Any] = {}  # nothing is drawn on the canvas


@pytest.fixture(scope="module")
def forecaster() -> Stand:
    return Stand()


@pytest.fixture(scope="module")
def site(forecaster: Stand) -> Iterator[Served]:
    with serving(partial(tab_alone, forecaster)) as served:
        yield served


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Grandma & me.png"
    small = np.random.default_rng(0).integers(40, 220, (9, 12, 3), np.uint8)
    Image.fromarray(cv2.resize(small, PHOTO[::-1])).save(path)
    return path


@pytest.fixture
def studio(forecaster: Stand, tmp_path: Path) -> Studio:
    return Studio(lambda: forecaster, tmp_path)


def silent(*_: Any, **__: Any) -> None:
    """Progress that nobody sees."""


def frames(src: str) -> np.ndarray:
    """Those of an MP4 in a data URL."""
    head, _, data = src.partition(",")
    assert head == "data:video/mp4;base64"
    return video.read(base64.b64decode(data)).frames


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_answers_most_probable_first_and_the_still_one_says_so(
    studio: Studio, photo: Path
) -> None:
    question = studio.question({"path": str(photo)}, NOWHERE, 3, 4)
    found, large = studio.answers(scene_of(question, NOWHERE, 1), ANIMATION, 0, silent)
    captions = [answer["caption"] for answer in found["answers"]]
    assert captions == ["1 · 43 %", "2 · 27 %", "3 · 22 % · nearly still", "4 · 9 %"]
    assert found["chosen"] == 0 and large == found["answers"][0]
    before = pixels(photo)
    moving, still = (frames(found["answers"][i]["src"]) for i in (0, STILL))
    assert moving.shape == still.shape == (60, *PHOTO, 3)
    assert apart(moving[30], before) > 2 * apart(still[30], before)


def test_strength_mask_and_view_show_the_same_forecast(
    studio: Studio, forecaster: Stand, photo: Path
) -> None:
    question = studio.question({"path": str(photo)}, NOWHERE, 0, 3)
    left = painted(PHOTO, slice(None), slice(0, 60))
    asked = len(forecaster.asked)

    def large(drawn: Any, strength: float) -> np.ndarray:
        return frames(studio.answer(scene_of(question, drawn, strength), ANIMATION, 0)["src"])

    usual, strong, still, half = large({}, 1), large({}, 2), large({}, 0), large(left, 1)
    before = pixels(photo)
    codec = apart(still[30], before)
    assert apart(still[0], still[30]) < 0.1
    assert apart(strong[30], before) > apart(usual[30], before) > codec + 1
    right = np.s_[:, 75:]
    assert apart(half[30][right], still[30][right]) < apart(usual[30][right], still[30][right]) / 3
    assert apart(half[30], still[30]) > 2
    for view in (TRAILS, FLOW):
        usual_view, otherwise = (
            studio.answer(scene_of(question, drawn, strength), view, 0)["src"]
            for drawn, strength in (({}, 1), (left, 2))
        )
        assert usual_view == otherwise and usual_view.startswith("data:image/jpeg")
    assert len(forecaster.asked) == asked + 1


def test_another_arrow_is_another_forecast(studio: Studio, forecaster: Stand, photo: Path) -> None:
    question = studio.question({"path": str(photo)}, NOWHERE, 7, 2)
    assert studio.again(question, {"mask": None, "arrow": None}) == question
    hinted = studio.again(question, {"arrow": [0, 0.5, 0.5, 0.5]})
    studio.captions(hinted)
    k, seed, hint = forecaster.asked[-1]
    assert (k, seed) == (2, 7) and hint is not None
    assert (hint.start, hint.end) == ((-0.5, 44.5), (59.5, 44.5))  # pixels, centres are whole
    moves = studio._forecast(hinted).displacements[0, -1, 8, 10]
    assert moves == pytest.approx([9, 0], abs=1e-5)


def test_previews_are_small_and_downloads_are_not(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (820, 600), (90, 80, 70)).save(path)
    question = studio.question({"path": str(path)}, NOWHERE, 0, 1)
    scene = scene_of(question, NOWHERE, 0)  # nothing moves, which is quickly drawn
    height, width = frames(studio.answer(scene, ANIMATION, 0)["src"]).shape[1:3]
    assert 0.9 * STAGE < height * width <= 1.01 * STAGE
    drawn = studio.answer(scene, TRAILS, 0)["src"].partition(",")[2]
    assert images.read(base64.b64decode(drawn)).pixels.shape == (600, 820, 3)
    clip = video.read(studio.film(scene, 0, "mp4"))
    assert clip.frames.shape == (60, 600, 820, 3)
    with Image.open(studio.film(scene, 0, "gif")) as gif:
        assert gif.width * gif.height <= 1.01 * STAGE


def test_over_http_from_a_photo_to_what_is_taken_home(
    client: Client, forecaster: Stand, photo: Path
) -> None:
    asked = len(forecaster.asked)
    seed, found, large, chosen = client.predict(
        handle_file(str(photo)), NOWHERE, 5, 3, 1, "Animation", api_name="/forecast"
    )
    assert (seed, chosen, len(found["answers"])) == (5, 0, 3)
    assert large["caption"] == "1 · 47 %"
    one = client.predict(NOWHERE, 1, 1, api_name="/gif")
    assert Path(one).name == "Grandma-me-2.gif"
    with Image.open(one) as gif:
        assert (gif.format, gif.size, gif.info["loop"]) == ("GIF", PHOTO[::-1], 0)
        assert len(list(ImageSequence.Iterator(gif))) > 20
    film = client.predict(NOWHERE, 1, 0, api_name="/mp4")
    assert Path(film).name == "Grandma-me-1.mp4"
    assert video.read(film).frames.shape == (60, *PHOTO, 3)
    npz = client.predict(NOWHERE, 1, api_name="/numbers")
    with np.load(npz) as numbers:
        assert numbers["displacements"].shape == (3, 30, 15, 20, 2)
        assert numbers["probabilities"].sum() == pytest.approx(1)
    zipped = client.predict(NOWHERE, 1, api_name="/archive")
    with zipfile.ZipFile(zipped) as archive:
        films = [f"Grandma-me-{i}.gif" for i in (1, 2, 3)]
        drawn = [f"{kind}-{i}.png" for i in (1, 2, 3) for kind in ("trails", "flow")]
        rest = ["trajectories.npz", "samples.json"]
        assert sorted(archive.namelist()) == sorted([*films, *drawn, *rest])
        assert archive.read(films[1]) == Path(one).read_bytes()
        assert images.read(archive.read("flow-3.png")).pixels.shape == (*PHOTO, 3)
        assert np.load(io.BytesIO(archive.read(rest[0])))["grid"].shape == (15, 20, 2)
        said = json.loads(archive.read("samples.json"))
    assert said["seed"] == 5 and [sample["file"] for sample in said["samples"]] == films
    assert said["asked"] == {"strength": 1, "painted": False, "arrow": None}
    assert len(forecaster.asked) == asked + 1


def test_numbers_from_outside_are_clamped(studio: Studio, photo: Path) -> None:
    upload = {"path": str(photo)}
    most = studio.question(upload, NOWHERE, 2**80, 1e9)
    assert (most.seed, most.k) == (page.LAST_SEED, MOST)
    usual = studio.question(upload, NOWHERE, None, "many")
    assert (usual.seed, usual.k) == (0, tab_respond.USUAL)
    strengths = [scene_of(usual, NOWHERE, value).strength for value in (-1, 9, None)]
    assert strengths == [0, tab_respond.STRONGEST, 1]
    last = scene_of(usual, NOWHERE, 0)
    assert Path(studio.film(last, 10**9, "gif")).name == "Grandma-me-5.gif"
    assert Path(studio.film(last, None, "gif")).name == "Grandma-me-1.gif"
    assert studio.answer(last, "<b>", "x")["src"].startswith("data:video/mp4")


def test_what_cannot_be_used_gets_one_sentence(
    studio: Studio, client: Client, site: Served, photo: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.png"
    text.write_bytes(b"no picture")
    with pytest.raises(AppError, match=r"is no JPEG, PNG, WebP"):
        client.predict(handle_file(str(text)), {}, 0, 1, 1, "Flow", api_name="/forecast")
    assert "There is no photo yet" in by_hand(site, "forecast", None, {}, 0, 1, 1, "Flow")
    assert "There is no forecast yet" in by_hand(site, "gif", {}, 1, 0)
    question = studio.question({"path": str(photo)}, NOWHERE, 0, 1)
    with pytest.raises(gr.Error, match="mask cannot be read"):
        studio.answer(scene_of(question, {"mask": "data:image/png;base64,AAAA"}, 1), ANIMATION, 0)
    with pytest.raises(gr.Error, match="arrow cannot be read"):
        studio.again(question, {"arrow": "left"})
    photo.unlink()
    with pytest.raises(gr.Error, match="drop the photo again"):
        studio.film(scene_of(question, NOWHERE, 1), 0, "gif")


@pytest.mark.parametrize("marks", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_no_request_reads_a_file_that_was_not_uploaded(
    site: Served, photo: Path, marks: dict
) -> None:
    said = by_hand(site, "forecast", {"path": str(photo), **marks}, {}, 0, 1, 1, "Trails")
    assert "event: error" in said and "data:" not in said.partition("event: error")[0]


def test_a_model_that_cannot_be_loaded_is_said_so(photo: Path, tmp_path: Path) -> None:
    def missing() -> Any:
        raise WeightsError("secret/place")

    studio = Studio(missing, tmp_path)
    with pytest.raises(gr.Error, match="The model cannot be loaded") as caught:
        studio.captions(studio.question({"path": str(photo)}, NOWHERE, 0, 1))
    assert "secret" not in str(caught.value)


def test_doors_are_closed(site: Served) -> None:
    fns = site.blocks.fns.values()
    public = [fn.api_name for fn in fns if fn.api_visibility == "public"]
    assert sorted(map(str, public)) == ["archive", "forecast", "gif", "mp4", "numbers"]
    heavy = [fn for fn in fns if fn.queue and fn.fn is not None]
    assert {fn.concurrency_id for fn in heavy} == {"model"}
    assert not any(fn.preprocess for fn in heavy)
    assert not lossy(site.blocks)
