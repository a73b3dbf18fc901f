"""The tab *Motion* as a person sees it on a phone: around a forecaster that learnt nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.apps.motion.stand_in import Stand, tab_alone
from tests.apps.pages import serving


@pytest.fixture(scope="module")
def forecaster() -> Stand:
    return Stand()


@pytest.fixture(scope="module")
def url(chromium: str, forecaster: Stand) -> Iterator[str]:
    with serving(partial(tab_alone, forecaster)) as site:
        yield site.url


def drag(window: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Across the canvas, in shares of it."""
    canvas = window.locator(".canvas canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for move, (x, y) in ((window.mouse.down, start), (window.mouse.up, end)):
        window.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        move()


def another(window: Any, selector: str, before: str) -> str:
    """Wait until a part shows something else, and return that."""
    window.wait_for_function(
        "([selector, before]) => document.querySelector(selector)?.src !== before",
        arg=[selector, before],
    )
    return window.locator(selector).first.get_attribute("src")


def test_drop_forecast_point_paint_choose_and_save(
    url: str, look: Callable[..., Any], expect: Any, forecaster: Stand, tmp_path: Path
) -> None:
    photo = tmp_path / "street.png"
    small = np.random.default_rng(0).integers(40, 220, (6, 8, 3), np.uint8)
    Image.fromarray(cv2.resize(small, (80, 60))).save(photo)
    window = look(url, 390, 844)
    cells, save = window.locator(".moves [role=radio]"), "This one as GIF"
    expect(window.get_by_role("button", name=save)).to_be_disabled()
    window.locator("input[type=file]").first.set_input_files(photo)
    expect(window.locator(".canvas img")).to_be_visible()  # where the photo was dropped
    expect(window.locator("input[type=file]").first).not_to_be_visible()
    window.get_by_role("button", name="Forecast").click()
    expect(cells).to_have_count(5)
    expect(cells.nth(2)).to_contain_text("nearly still")
    expect(window.locator(".stage video")).to_be_visible()
    expect(window.get_by_role("button", name=save)).to_be_enabled()
    assert window.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    first = ".moves [role=radio] video"
    shown = window.locator(first).first.get_attribute("src")
    drag(window, (0.3, 0.5), (0.8, 0.5))  # an arrow asks anew
    shown = another(window, first, shown)
    hint = forecaster.asked[-1][2]
    assert len(forecaster.asked) == 2 and hint is not None
    assert (*hint.start, *hint.end) == pytest.approx((23.5, 29.5, 63.5, 29.5), abs=2)
    window.get_by_role("button", name="Brush").click()
    drag(window, (0.1, 0.9), (0.2, 0.9))  # a mask does not
    shown = another(window, first, shown)
    window.get_by_label("Strength").first.fill("2")
    window.get_by_label("Trails").click()
    expect(window.locator(".stage .show img")).to_be_visible()
    assert len(forecaster.asked) == 2

    cells.nth(1).click()
    expect(window.locator(".stage .said")).to_have_text(cells.nth(1).inner_text())
    with window.expect_download() as saved:
        window.get_by_role("button", name=save).click()
    assert saved.value.suggested_filename == "street-2.gif"
    assert Path(saved.value.path()).read_bytes()[:6] == b"GIF89a"

    window.get_by_role("button", name="Another photo").click()
    expect(window.locator(".canvas img")).not_to_be_visible()
    expect(cells).to_have_count(0)
    expect(window.get_by_role("button", name=save)).to_be_disabled()
