"""The page over HTTP, as a program sees it: with a small predictor in the place of the model."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from gradio.route_utils import delete_files_created_by_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from apps import images, page, web
from apps.examples import examples
from tests.apps.pages import Served, by_hand, lossy, pixels, serving


@dataclass
class Tints:
    """Tints instead of colours: each answer shifts the grey photo by what the seed says."""

    calls: list[dict[str, Any]] = field(default_factory=list)

    def grey(self, image: str) -> np.ndarray:
        pixels = images.read(image).pixels
        return pixels.mean(2, keepdims=True).round().astype(np.uint8).repeat(3, 2)

    def __call__(self, image: str, **asked: Any) -> SimpleNamespace:
        self.calls.append(asked)
        grey, k = self.grey(image), asked["k"]
        tints = np.random.default_rng(asked["seed"]).integers(0, 60, (k, 3))
        return SimpleNamespace(
            images=[(grey // 2 + tint).astype(np.uint8) for tint in tints],
            probabilities=[2 * (k - i) / (k * (k + 1)) for i in range(k)],
            seed=asked["seed"],
            alpha=images.read(image).alpha,
        )


@dataclass(frozen=True)
class Site(Served):
    model: Tints
    loads: list[int]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    model, loads = Tints(), []

    def load() -> Tints:
        loads.append(1)
        return model

    with serving(partial(web.build, predictors={"Colorize": load})) as served:
        yield Site(**vars(served), model=model, loads=loads)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "My grandmother (1931).png"
    ramp = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)
    Image.fromarray(ramp).save(path)
    return path


def colorize(client: Client, path: Path, **changes: Any) -> SimpleNamespace:
    asked = {"seed": 5, "k": 4, "diversity": "Distinct answers", "temperature": 1, "intensity": 1}
    seed, gallery, slider, one, archive, files = client.predict(
        handle_file(str(path)), **(asked | changes), api_name="/colorize"
    )
    return SimpleNamespace(
        seed=seed, gallery=gallery, slider=slider, one=one, archive=archive, files=files
    )


def colorize_by_hand(site: Site, photo: Any) -> str:
    return by_hand(site, "colorize", photo, 0, 2, "Distinct answers", 1, 1)


def test_a_photo_comes_back_k_times_at_its_own_size(client: Client, photo: Path) -> None:
    answer = colorize(client, photo)
    assert answer.seed == 5
    assert [item["caption"] for item in answer.gallery] == [
        "1 · 40 %", "2 · 30 %", "3 · 20 %", "4 · 10 %"
    ]  # fmt: skip
    stack = [pixels(file) for file in answer.files]
    assert [image.shape for image in stack] == [(40, 60, 3)] * 4
    assert len({image.tobytes() for image in stack}) == 4
    assert Path(answer.one).read_bytes() == Path(answer.files[0]).read_bytes()
    grey, first = (pixels(path) for path in answer.slider)
    assert np.array_equal(grey[..., 0], pixels(str(photo)))
    assert np.array_equal(first, stack[0])
    assert np.array_equal(pixels(answer.gallery[2]["image"]), stack[2])


def test_the_archive_holds_every_answer_and_says_how_to_have_it_again(
    client: Client, photo: Path
) -> None:
    answer = colorize(client, photo, k=3, diversity="Plain samples", temperature=0.5)
    names = [f"My-grandmother-1931-{i}.png" for i in (1, 2, 3)]
    with zipfile.ZipFile(answer.archive) as archive:
        assert archive.namelist() == [*names, "samples.json"]
        for name, file in zip(names, answer.files, strict=True):
            assert archive.read(name) == Path(file).read_bytes()
        said = json.loads(archive.read("samples.json"))
    assert (said["seed"], said["temperature"], said["model"]) == (5, 0.5, "colorization")
    assert [sample["file"] for sample in said["samples"]] == names
    assert "/" not in said["input"]  # no folder of the server
    # Plain samples are equally probable: their number is all there is to say.
    assert [item["caption"] for item in answer.gallery] == ["1", "2", "3"]


def test_the_same_seed_gives_the_same_bytes(client: Client, photo: Path) -> None:
    first, second, other = (colorize(client, photo, seed=seed) for seed in (7, 7, 8))
    assert Path(first.archive).read_bytes() == Path(second.archive).read_bytes()
    assert Path(first.archive).read_bytes() != Path(other.archive).read_bytes()


def test_transparency_comes_back_in_the_files_and_not_in_the_previews(
    client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "cut.png"
    alpha = np.arange(48, dtype=np.uint8).reshape(6, 8)
    Image.fromarray(np.dstack([np.full((6, 8, 3), 90, np.uint8), alpha])).save(path)
    answer = colorize(client, path, k=1)
    assert np.array_equal(pixels(answer.files[0])[..., 3], alpha)
    assert pixels(answer.slider[1]).shape == (6, 8, 3)


def test_a_large_photo_is_shown_small_and_kept_large(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("L", (page.PREVIEW + 400, 50), 90).save(path)
    answer = colorize(client, path, k=1)
    assert pixels(answer.slider[0]).shape == pixels(answer.gallery[0]["image"]).shape
    assert pixels(answer.slider[0]).shape[1] == page.PREVIEW
    assert pixels(answer.files[0]).shape[1] == page.PREVIEW + 400


@pytest.mark.parametrize(
    "content", [b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
@pytest.mark.parametrize("name", ["bad.png", "bad.svg", "bad"])
def test_a_bad_file_gives_one_sentence(
    client: Client, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AppError) as caught:
        colorize(client, path)
    assert str(caught.value).endswith("is no JPEG, PNG, WebP, TIFF or BMP inside: save it as one.")


def test_no_photo_gives_one_sentence(site: Site) -> None:
    assert "There is no photo yet: drop one first." in colorize_by_hand(site, None)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"k": 10**9}, {"k": 16}),
        ({"k": -3}, {"k": 1}),
        ({"k": "lots"}, {"k": 8}),
        ({"seed": -1}, {"seed": 0}),
        ({"seed": 2**80}, {"seed": page.LAST_SEED}),
        ({"seed": None}, {"seed": 0}),
        ({"intensity": 1e300}, {"intensity": 1.5}),
        ({"intensity": [1]}, {"intensity": 1}),
        ({"diversity": "Plain samples", "temperature": 50}, {"temperature": 1}),
        ({"diversity": "Plain samples", "temperature": -50}, {"temperature": 0.3}),
        ({"diversity": {"rm": "-rf"}, "temperature": 0.5}, {"temperature": None}),
    ],
)
def test_the_server_clamps_what_a_browser_would_not_send(
    client: Client, site: Site, photo: Path, changes: dict, seen: dict
) -> None:
    answer = colorize(client, photo, **changes)
    asked = site.model.calls[-1]
    assert {name: asked[name] for name in seen} == seen
    assert len(answer.files) == asked["k"] and answer.seed == asked["seed"]


@pytest.mark.parametrize("marks", [{}, {"meta": {"_type": "gradio.FileData"}}, {"url": "x"}])
def test_no_request_reads_a_file_that_was_not_uploaded(
    site: Site, photo: Path, marks: dict
) -> None:
    before = len(site.model.calls)
    said = colorize_by_hand(site, {"path": str(photo), **marks})
    assert "event: error" in said and len(site.model.calls) == before


def test_the_model_is_loaded_once(client: Client, site: Site, photo: Path) -> None:
    colorize(client, photo, k=1)
    colorize(client, photo, k=1)
    assert site.loads == [1]


def sizes(*owners: Any) -> dict[str, int]:
    """How much every container of these objects holds."""
    return {
        f"{type(owner).__name__}.{name}": len(value)
        for owner in owners
        for name, value in vars(owner).items()
        if isinstance(value, dict | list | set)
    }


def test_thirty_requests_leave_nothing_behind(client: Client, site: Site, photo: Path) -> None:
    def held() -> dict[str, int]:
        found = sizes(site.blocks, site.blocks.app, site.blocks._queue)
        # Gradio's own, each under a ceiling of its own.
        return {name: n for name, n in found.items() if "analytics" not in name}

    for _ in range(3):
        colorize(client, photo, k=1)
    before = held()
    for _ in range(30):
        colorize(client, photo, k=1)
    assert held() == before

    # Files are many, until the sweep that the server makes every hour.
    delete_files_created_by_app(site.blocks, age=-1)
    left = {path.name for path in site.cache.rglob("*") if path.is_file()}
    assert left <= {example.path.name for example in examples()}


def test_doors_are_closed(site: Site) -> None:
    config = httpx.get(f"{site.url}config").json()
    assert config["title"] == "perhaps" and not config.get("analytics_enabled")
    assert site.blocks.share is False and not site.blocks.mcp_server
    assert site.blocks.allowed_paths == [] and site.blocks.max_file_size == images.MAX_BYTES
    assert site.blocks.delete_cache and site.blocks._queue.max_size
    assert httpx.get(f"{site.url}monitoring").status_code >= 400
    assert httpx.get(f"{site.url}gradio_api/file={Path(__file__)}").status_code >= 400
    named = [fn for fn in site.blocks.fns.values() if fn.api_visibility == "public"]
    faces = ["faces", "face", "progress", "edit", "complete"]
    motion = ["forecast", "gif", "mp4", "numbers", "archive"]
    assert [fn.api_name for fn in named] == ["colorize", *faces, *motion, "latent", "latents"]
    heavy = [fn for fn in site.blocks.fns.values() if fn.name == "colorize"]
    assert {fn.concurrency_id for fn in heavy} == {"model"} and len(heavy) == 3


def test_another_site_cannot_use_the_page_through_a_browser(site: Site) -> None:
    answer = httpx.get(f"{site.url}config", headers={"Origin": "https://example.org"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_model_that_cannot_be_loaded_is_said_so(photo: Path) -> None:
    def missing() -> Any:
        raise OSError("secret/place")

    with serving(partial(web.build, predictors={"Colorize": missing})) as site:
        client = Client(site.url, verbose=False, download_files=False)
        with pytest.raises(AppError, match="The model cannot be loaded") as caught:
            colorize(client, photo)
        assert "secret" not in str(caught.value)


def test_the_workplace_is_left_as_it_was_found() -> None:
    before = Path.cwd()
    with web.workplace() as folder:
        (folder / "left").touch()
        assert Path.cwd() == folder
    assert Path.cwd() == before and not folder.exists()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PERHAPS_AUTH": "ada"}, "name:password"),
        ({"PERHAPS_AUTH": ":x"}, "name:password"),
        ({"PERHAPS_AUTH": ""}, "empty"),
    ],
)
def test_a_malformed_password_list_opens_no_door(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        web.credentials(environ)


def test_passwords_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("ada:love:lace\n\nbob:x\n")
    found = web.credentials({"PERHAPS_AUTH_FILE": str(tmp_path / "list")})
    assert found == [("ada", "love:lace"), ("bob", "x")]


def test_a_password_is_asked_for() -> None:
    build = partial(web.build, predictors={"Colorize": Tints})
    with serving(build, auth=[("ada", "x")]) as site:
        assert httpx.get(f"{site.url}config").status_code == 401


def test_every_example_is_a_photo_with_its_attribution() -> None:
    found = examples()
    assert len(found) >= 1
    for example in found:
        assert images.read(example.path).pixels.shape[0] > 200
        assert "public domain" in example.attribution or "CC0" in example.attribution
    with web.workplace():
        text = json.dumps(web.build().get_config_file(), ensure_ascii=False, default=str)
    assert all(example.attribution in text for example in found)


def test_png_is_what_the_page_shows(site: Site) -> None:
    assert not lossy(site.blocks)


def test_an_archive_is_the_same_at_any_time(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    first = page.pack(tmp_path / "1.zip", [file]).read_bytes()
    file.touch()
    assert page.pack(tmp_path / "2.zip", [file]).read_bytes() == first
    assert zipfile.ZipFile(io.BytesIO(first)).read("a.png") == b"x"
