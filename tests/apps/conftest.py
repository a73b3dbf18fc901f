"""A program and a person at the page: `gradio_client`, and the system's Chromium."""

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradio_client import Client

    from tests.apps.pages import Served

NAMES = ("chromium", "chromium-browser", "google-chrome")
ALONE = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
]
PATIENCE = 60_000  # milliseconds; a few seconds are short on a busy machine


@pytest.fixture(scope="module")
def client(site: "Served", tmp_path_factory: pytest.TempPathFactory) -> "Client":
    """A client of the page that the test's module serves as `site`."""
    from gradio_client import Client

    return Client(site.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where it is; before anything is served, tests that need it are skipped without it."""
    pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("this test drives the system's Chromium; on Debian: apt-get install chromium")
    return found


@pytest.fixture
def expect(chromium: str) -> Any:
    """Playwright's assertions, which wait for what they expect."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    return expect


@pytest.fixture
def look(chromium: str) -> Iterator[Callable[[str, int, int], Any]]:
    """Open a page in a fresh window, so wide and high; what it wants from elsewhere is refused."""
    from playwright.sync_api import sync_playwright

    abroad: list[str] = []
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=ALONE)

        def open_window(url: str, width: int, height: int) -> Any:
            def fetch(route: Any) -> None:
                if route.request.url.startswith((url, "data:", "blob:")):
                    route.continue_()
                else:
                    abroad.append(route.request.url)
                    route.abort()

            window = browser.new_page(viewport={"width": width, "height": height})
            window.set_default_timeout(PATIENCE)
            window.route("**/*", fetch)
            window.goto(url)
            return window

        yield open_window
        browser.close()
    assert not abroad
