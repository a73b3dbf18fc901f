"""The tab *Faces* over HTTP and in a browser: around networks that learnt nothing."""

import base64
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from apps import images, page, web
from apps.faces import FaceMaker, tab_respond
from apps.faces import tab as faces
from apps.faces.attributes import COLUMNS, OFFERED, RequestError
from apps.faces.copula import Copula
from apps.faces.data import Faces
from apps.faces.detector import NoFace
from apps.faces.edit import MaskError
from apps.faces.model import ReaderSize, Size, build, build_reader
from apps.faces.place import Frame
from apps.faces.tab_parts import STEPS, K
from apps.faces.tab_respond import Studio, mask_of, states
from pretrained.store import WeightsError

FRAME = Frame(60, 50, 64)


class Maker(FaceMaker):
    """Finds a face in the middle of any photo that is not black; counts what it makes."""

    calls = 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.calls += 1
        return super().__call__(*args, **more)

    def locate(self, pixels: np.ndarray, box: Any = None) -> Frame:
        if not pixels.any():
            raise NoFace("There is none.")
        return box or FRAME


@pytest.fixture(scope="module")
def maker(world: Faces) -> Maker:
    torch.manual_seed(0)
    model = build(Size(width=8, latent=8))
    for block in model.generation.blocks:  # type: ignore[union-attr]
        torch.nn.init.normal_(block.film.project.weight, std=0.3)
        torch.nn.init.normal_(block.conv2.weight, std=0.1)
    made = Maker(
        model, Copula.fit((world.labels[:, COLUMNS] > 0).numpy()), device="cpu", name="faces"
    )
    made.__dict__["_reader"] = build_reader(ReaderSize(width=8)).eval()
    return made


@dataclass(frozen=True)
class Site:
    url: str
    blocks: gr.Blocks


@pytest.fixture(scope="module")
def site(maker: Maker) -> Iterator[Site]:
    with web.workplace():
        with gr.Blocks(analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
            faces.tab(lambda: maker)
        blocks.queue(max_size=web.WAITING)
        try:
            yield Site(web.launch(blocks), blocks)
        finally:
            blocks.close()


@pytest.fixture(scope="module")
def client(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(site.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def studio(maker: Maker, tmp_path: Path) -> Studio:
    return Studio(lambda: maker, tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Grandma & me.png"
    small = np.random.default_rng(0).integers(60, 200, (5, 5, 3), np.uint8)
    Image.fromarray(cv2.resize(small, (120, 100), interpolation=cv2.INTER_CUBIC)).save(path)
    return path


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def painted(rows: slice, columns: slice, size: tuple[int, int] = (100, 120)) -> dict[str, str]:
    """What the canvas sends: opaque where somebody painted."""
    stroke = np.zeros((*size, 4), np.uint8)
    stroke[rows, columns] = (217, 72, 43, 255)
    data = images.encode_png(stroke[..., :3].copy(), stroke[..., 3].copy())
    return {"mask": "data:image/png;base64," + base64.b64encode(data).decode()}


def by_hand(site: Site, endpoint: str, *data: Any) -> str:
    """A request without the client's help; what the server says to it."""
    api = f"{site.url}gradio_api/call/{endpoint}"
    event = httpx.post(api, json={"data": data}).json()["event_id"]
    return httpx.get(f"{api}/{event}", timeout=60).text


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
    mask = painted(slice(40, 60), slice(45, 75))
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
        (painted(slice(0, 0), slice(0, 0)), "Nothing is painted over yet"),
        ({"mask": "data:image/png;base64,AAAA"}, "cannot be read"),
        ({"mask": "http://example.org/mask.png"}, "cannot be read"),
        ({"mask": ["x"]}, "cannot be read"),
        ({"mask": "data:image/png;base64," + "A" * tab_respond.MOST_MASK}, "cannot be read"),
        (painted(slice(0, 5), slice(0, 5)), "hides nothing of the face"),
    ],
)
def test_masks_that_cannot_be_used(studio: Studio, photo: Path, mask: Any, sentence: str) -> None:
    with pytest.raises(gr.Error, match=sentence):
        studio.fill({"path": str(photo)}, mask, 0)


def test_a_mask_is_brought_to_the_size_of_the_photo() -> None:
    mask = mask_of(painted(slice(20, 40), slice(0, 60), (50, 60)), (100, 120))
    assert mask.shape == (100, 120)
    assert mask[45:75].min() == 255 and mask[:35].max() == 0
    with pytest.raises(MaskError):
        mask_of({}, (5, 5))


def test_uploads_that_cannot_be_used_get_one_sentence(
    client: Client, site: Site, tmp_path: Path
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
    site: Site, photo: Path, endpoint: str, marks: dict
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


def test_doors_are_closed_and_every_offered_attribute_is_a_toggle(site: Site) -> None:
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
    lossy = [
        block
        for block in site.blocks.blocks.values()
        if isinstance(block, gr.Image | gr.ImageSlider | gr.Gallery) and block.format != "png"
    ]
    assert not lossy


NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
ALONE = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]


@pytest.fixture
def phone(site: Site) -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("this test drives the system's Chromium; on Debian: apt-get install chromium")
    reason = "pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=BROWSER, args=ALONE)
        window = browser.new_page(viewport={"width": 390, "height": 844})
        window.set_default_timeout(60_000)
        playwright.expect.set_options(timeout=60_000)
        window.goto(site.url)
        yield SimpleNamespace(window=window, expect=playwright.expect)
        browser.close()


def changed(window: Any, selector: str, before: str) -> str:
    """Wait until a picture is another one, and return it."""
    window.wait_for_function(
        "([selector, before]) => document.querySelector(selector).src !== before",
        arg=[selector, before],
    )
    return window.locator(selector).get_attribute("src")


def test_toggle_choose_walk_and_save(phone: Any) -> None:
    window, expect = phone.window, phone.expect
    people, stage = ".people img", ".walk .stage img"
    expect(window.locator(stage)).to_be_visible()  # first people and steps come by themselves
    shown, first = (window.locator(part).get_attribute("src") for part in (people, stage))
    chip = window.locator(".toggles [data-name=Bald]").first
    chip.get_by_role("button", name="Bald", exact=True).click()
    expect(chip).to_have_attribute("data-state", "on")
    shown = changed(window, people, shown)

    window.locator(".toggles [data-name=Bangs] .with").first.click()
    expect(window.get_by_text("Bald and Bangs contradict each other")).to_be_visible()
    assert window.locator(people).get_attribute("src") == shown
    expect(chip).to_have_attribute("data-state", "on")
    window.get_by_role("button", name="Clear all").first.click()
    expect(chip).to_have_attribute("data-state", "")
    changed(window, people, shown)

    window.get_by_role("radio", name="Face 7", exact=True).click()
    changed(window, stage, first)
    window.get_by_role("slider", name="From without to with").fill("8")
    assert window.locator(".walk i").evaluate("mark => mark.style.left") != "0%"
    with window.expect_download() as saved:
        window.get_by_role("button", name="Download no. 7").click()
    assert saved.value.suggested_filename == "face-7-seed-0.png"
    assert window.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
