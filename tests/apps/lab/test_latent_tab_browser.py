"""The tab *Latent lab* as a person sees it: around models that learnt nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.apps.lab.test_latent_tab import tab_alone
from tests.apps.pages import serving

PICTURE = ".decoded img"


@pytest.fixture(scope="module")
def url(chromium: str) -> Iterator[str]:
    with serving(tab_alone) as site:
        yield site.url


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desk", "phone"])
def window(url: str, look: Callable[..., Any], request: pytest.FixtureRequest) -> Any:
    return look(url, *request.param)


def changed(window: Any, selector: str, before: str) -> str:
    """Wait until a picture is another one, and return it."""
    window.wait_for_function(
        "([selector, before]) => document.querySelector(selector).src !== before",
        arg=[selector, before],
    )
    return window.locator(selector).first.get_attribute("src")


def test_move_click_draw_and_save(window: Any, expect: Any) -> None:
    picture, dials = window.locator(PICTURE), window.locator(".dials .dial:visible")
    expect(picture).to_be_visible()  # the first one comes by itself
    traversal = window.get_by_alt_text("One dimension a row")
    expect(traversal).to_be_visible()
    expect(dials).to_have_count(4)
    shown, sheet = picture.get_attribute("src"), traversal.get_attribute("src")

    dials.first.locator("input").fill("2.5")  # the picture follows, and a moment later the sheets
    expect(dials.first.locator("output")).to_have_text("2.50")
    shown = changed(window, PICTURE, shown)
    expect(traversal).not_to_have_attribute("src", sheet)

    window.get_by_label("7", exact=True).check()
    shown = changed(window, PICTURE, shown)
    window.get_by_alt_text("One z in every class").click(position={"x": 12, "y": 12})
    shown = changed(window, PICTURE, shown)
    expect(window.get_by_label("0", exact=True)).to_be_checked()

    traversal.click(position={"x": 12, "y": 12})
    shown = changed(window, PICTURE, shown)
    expect(dials.first.locator("output")).to_have_text("−2.50")

    board = window.locator(".canvas canvas")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    window.mouse.move(box["x"] + 60, box["y"] + 40)
    window.mouse.down()
    window.mouse.move(box["x"] + 120, box["y"] + 200, steps=5)
    window.mouse.up()
    shown = changed(window, PICTURE, shown)

    window.get_by_role("button", name="z = 0").click()
    changed(window, PICTURE, shown)
    expect(dials.first.locator("output")).to_have_text("0.00")
    with window.expect_download() as saved:
        window.get_by_role("button", name="All as ZIP").click()
    assert saved.value.suggested_filename == "Digits.zip"

    window.get_by_label("Plane", exact=True).check()
    expect(dials).to_have_count(2)
    expect(window.get_by_text("One style, ten classes")).to_be_hidden()
    assert window.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
