"""The tab *Faces* as a person sees it on a phone: around networks that learnt nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from apps.faces.data import Faces
from tests.apps.faces.stand_in import stand_in, tab_alone
from tests.apps.pages import serving


@pytest.fixture(scope="module")
def url(chromium: str, world: Faces) -> Iterator[str]:
    with serving(partial(tab_alone, stand_in(world))) as site:
        yield site.url


@pytest.fixture
def window(url: str, look: Callable[..., Any]) -> Any:
    return look(url, 390, 844)


def changed(window: Any, selector: str, before: str) -> str:
    """Wait until a picture is another one, and return it."""
    window.wait_for_function(
        "([selector, before]) => document.querySelector(selector).src !== before",
        arg=[selector, before],
    )
    return window.locator(selector).get_attribute("src")


def test_toggle_choose_walk_and_save(window: Any, expect: Any) -> None:
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
