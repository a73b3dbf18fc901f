"""The page as a person sees it: a real browser, from upload to download."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from apps import images, web
from pretrained import store
from tests.apps.pages import serving


class Tints:
    """Tints instead of colours, where no trained weights are."""

    def grey(self, image: str) -> np.ndarray:
        grey = cv2.cvtColor(images.read(image).pixels, cv2.COLOR_RGB2GRAY)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)

    def __call__(self, image: str, *, k: int, seed: int, **_: Any) -> SimpleNamespace:
        grey = self.grey(image)
        tints = np.random.default_rng(seed).integers(0, 60, (k, 3))
        coloured = [(grey // 2 + tint).astype(np.uint8) for tint in tints]
        return SimpleNamespace(images=coloured, probabilities=[1 / k] * k, seed=seed, alpha=None)


def predictors() -> dict[str, Callable[[], Any]]:
    return {} if "colorization" in store.shipped() else {"Colorize": Tints}


@pytest.fixture(scope="module")
def url(chromium: str) -> Iterator[str]:
    with serving(partial(web.build, device="cpu", predictors=predictors())) as site:
        yield site.url


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def tab(url: str, look: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return look(url, *request.param)


def test_from_upload_to_download(tab: Any, expect: Any, tmp_path: Path) -> None:
    photo = tmp_path / "street.jpg"
    height, width = 300, 420
    noise = np.random.default_rng(0).uniform(0, 255, (6, 8)).astype(np.float32)
    Image.fromarray(cv2.resize(noise, (width, height)).astype(np.uint8)).save(photo)
    answers = tab.locator(".answers img")
    download = tab.get_by_role("button", name="Download no.")

    expect(tab.get_by_role("button", name="All as ZIP")).to_be_disabled()
    tab.locator("input[type=file]").first.set_input_files(photo)
    expect(tab.locator("img[src*='street']").first).to_be_visible()
    tab.get_by_role("button", name="Colorize", exact=True).click()

    expect(answers).to_have_count(8)
    expect(download).to_have_text("Download no. 1")
    expect(tab.get_by_role("button", name="All as ZIP")).to_be_enabled()
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    answers.nth(1).click()
    expect(download).to_have_text("Download no. 2")
    expect(tab.locator(".viewer img[src*='preview-2.png']").first).to_be_visible()
    with tab.expect_download() as saved:
        download.click()
    assert saved.value.suggested_filename == "street-2.png"
    with Image.open(saved.value.path()) as image:
        assert (image.format, image.size) == ("PNG", (width, height))


def test_no_tab_hides_behind_a_menu(tab: Any, expect: Any) -> None:
    for name, *_ in web.TABS:
        expect(tab.get_by_role("tab", name=name)).to_be_visible()


def test_rolling_again_shows_another_seed_and_other_answers(tab: Any, expect: Any) -> None:
    seed = tab.get_by_label("Seed")
    first = tab.locator(".answers img").first

    tab.locator(".examples button img").first.click()  # an example needs no second click
    expect(first).to_be_visible(timeout=60_000)
    expect(seed).to_have_value("0")
    shown = first.get_attribute("src")
    tab.get_by_role("button", name="Roll again").click()
    expect(first).not_to_have_attribute("src", shown, timeout=60_000)
    expect(seed).not_to_have_value("0")
