"""A page that is served while a test looks at it, and what a program finds there."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
from PIL import Image

from apps import images, web


@dataclass(frozen=True)
class Served:
    url: str
    blocks: gr.Blocks
    cache: Path


@contextmanager
def serving(build: Callable[[], gr.Blocks], **options: Any) -> Iterator[Served]:
    """Build a page in a workplace of its own and serve it; options are those of `web.launch`."""
    with web.workplace() as folder:
        blocks = build()
        try:
            yield Served(web.launch(blocks, **options), blocks, folder / "files")
        finally:
            blocks.close()


def pixels(path: str | Path) -> np.ndarray:
    """Those of a PNG, which is all that the page gives away."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def by_hand(site: Served, endpoint: str, *data: Any) -> str:
    """A request without the client's help, as an attacker sends it; what the server says to it."""
    api = f"{site.url}gradio_api/call/{endpoint}"
    event = httpx.post(api, json={"data": data}).json()["event_id"]
    return httpx.get(f"{api}/{event}", timeout=60).text


def lossy(blocks: gr.Blocks) -> list[Any]:
    """Whatever would show pictures in another format than PNG."""
    shows = gr.Image | gr.ImageSlider | gr.Gallery
    return [b for b in blocks.blocks.values() if isinstance(b, shows) and b.format != "png"]


def painted(size: tuple[int, int], rows: slice, columns: slice) -> dict[str, str]:
    """What a canvas of that height and width sends: opaque where somebody painted."""
    stroke = np.zeros((*size, 4), np.uint8)
    stroke[rows, columns] = (217, 72, 43, 255)
    data = images.encode_png(stroke[..., :3].copy(), stroke[..., 3].copy())
    return {"mask": "data:image/png;base64," + base64.b64encode(data).decode()}
