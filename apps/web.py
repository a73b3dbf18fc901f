"""The page: one tab a domain, on a server that is closed unless it is opened on purpose."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from apps.colorization import tab as colorization
from apps.faces import tab as faces
from apps.images import MAX_BYTES
from apps.lab import tab as lab
from apps.motion import tab as motion

# One line a domain: its name on the page, what draws its tab, what loads its model on a device.
TABS: tuple[tuple[str, Callable[..., None], Callable[[str], Any]], ...] = (
    ("Colorize", colorization.tab, colorization.load),
    ("Faces", faces.tab, faces.load),
    ("Motion", motion.tab, motion.load),
    ("Latent lab", lab.tab, lab.load),
)

HOUR = 3600  # seconds
WAITING = 32  # requests; the next one is told to come back later

TITLE = "perhaps"
HEADER = """
<div class="masthead"><span class="wordmark">perhaps</span>
<span class="tagline">One input, several plausible answers.</span></div>
"""
FOOTER = """
<span class="note">Uploads and answers are deleted within two hours; until then, whoever has the
address of a file can read it.</span>
"""


def build(
    *, device: str = "auto", predictors: Mapping[str, Callable[[], Any]] | None = None
) -> gr.Blocks:
    """Draw the page; models are loaded when they are first asked for, once.

    `predictors` replaces, by name of the tab, what makes its predictor.

    Example:
        >>> build().title
        'perhaps'
    """
    given = predictors or {}
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(HOUR, HOUR)) as page:
        gr.HTML(HEADER, padding=False, elem_classes="header")
        for name, tab, load in TABS:
            with gr.Tab(name):
                tab(cache(given[name] if name in given else _loader(load, device)))
        gr.Markdown(FOOTER)
    return page.queue(max_size=WAITING)


def serve(host: str = "127.0.0.1", port: int = 7860, device: str = "auto") -> None:
    """Serve the page until Ctrl+C.

    Only this machine can reach it unless `host` says otherwise. Names and passwords, if wanted,
    come from `PERHAPS_AUTH` or from the file that `PERHAPS_AUTH_FILE` names, one `name:password`
    a line; never from the command line, where other users could read them.

    Raises `OSError` where the port is taken, `ValueError` for a malformed password list.
    """
    auth = credentials(os.environ)
    with workplace():
        page = build(device=device)
        url = launch(page, host=host, port=port, auth=auth)
        print(f"The page is at {url} (Ctrl+C stops it).", flush=True)
        page.block_thread()


def launch(
    page: gr.Blocks,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    auth: list[tuple[str, str]] | None = None,
) -> str:
    """Start serving in the background, every door closed that is not needed; returns the address.

    Each option stands here although some are defaults, since environment variables change those.
    """
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        auth=auth,
        prevent_thread_lock=True,
        inbrowser=False,
        quiet=True,
        show_error=False,  # only our own sentences reach the browser, no traceback
        share=False,
        allowed_paths=[],
        max_file_size=MAX_BYTES,
        enable_monitoring=False,
        strict_cors=True,
        state_session_capacity=1000,
        run_history=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        footer_links=["api"],
        theme=_theme(),
        css_paths=Path(__file__).with_name("web.css"),
        head=_ICON,
    )
    return url


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder of our own to serve from, gone afterwards.

    Gradio may serve what lies in the working directory, and leaves its files in a shared one.
    """
    before, setting = Path.cwd(), os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="perhaps-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder / "files")
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
            if setting is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = setting


def credentials(environ: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Names and passwords from the environment, or from the file that it names.

    Example:
        >>> credentials({"PERHAPS_AUTH": "ada:lovelace"})
        [('ada', 'lovelace')]
        >>> credentials({}) is None
        True
    """
    lines = environ.get("PERHAPS_AUTH", "").splitlines()
    if file := environ.get("PERHAPS_AUTH_FILE"):
        lines += Path(file).read_text(encoding="utf-8").splitlines()
    pairs = [line.strip().partition(":") for line in lines if line.strip()]
    if not all(name and password for name, _, password in pairs):
        raise ValueError("got a line without name:password in PERHAPS_AUTH or PERHAPS_AUTH_FILE")
    if not pairs and (file or "PERHAPS_AUTH" in environ):
        raise ValueError("got an empty PERHAPS_AUTH or PERHAPS_AUTH_FILE: unset it or fill it")
    return [(name, password) for name, _, password in pairs] or None


def _loader(load: Callable[[str], Any], device: str) -> Callable[[], Any]:
    return lambda: load(device)


def _theme() -> gr.themes.Base:
    """Quiet greys, so that the colours on the page are those of the photos."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.neutral,
        secondary_hue=gr.themes.colors.neutral,
        neutral_hue=gr.themes.colors.neutral,
        radius_size=gr.themes.sizes.radius_lg,
        # The reader's own: the semi-bold that Gradio brings lacks most of its letters.
        font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"),
        font_mono=("ui-monospace", "Consolas", "monospace"),
    ).set(
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_hover="*neutral_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*neutral_100",
        button_primary_background_fill_hover_dark="*neutral_300",
        button_primary_text_color_dark="*neutral_900",
        slider_color="*neutral_700",
        slider_color_dark="*neutral_300",
    )


# Four dots in the colours of the wordmark; drawn here, so that no file need be served.
_ICON = (
    "<link rel='icon' href=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 16 16'><circle cx='5' cy='5' r='3' fill='%23d9482b'/><circle cx='11' cy='5' "
    "r='3' fill='%23e0a526'/><circle cx='5' cy='11' r='3' fill='%232f8f6b'/><circle cx='11' "
    "cy='11' r='3' fill='%233a6fb7'/></svg>\">"
)
