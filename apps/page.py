"""What the tabs of the page share: numbers, names, previews and archives, but no component."""

import base64
import html
import re
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import gradio as gr
import numpy as np

LAST_SEED = 2**31 - 1
PREVIEW = 1600  # longest side on the page, pixels; downloads have them all
FREE = 10**9  # bytes of disk below which nothing more is written
NO_MODEL = "The model cannot be loaded: the server's log says why."

P = TypeVar("P")


def within(value: Any, low: float, high: float, otherwise: float) -> float:
    """A number from outside, clamped; `otherwise` for what is no number.

    The sliders' own bounds bind a browser only: the HTTP interface takes anything.

    Example:
        >>> within(99, 1, 16, 8), within("3", 1, 16, 8), within(float("nan"), 1, 16, 8)
        (16, 3.0, 8)
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    if number != number:  # not a number, which no comparison would clamp
        return otherwise
    return min(max(number, low), high)


def own(path: Any, cache: Path) -> Path:
    """A path that a browser sent back, if it lies in `cache`, where uploads and answers are.

    Gradio's own check passes over a path that comes without its marks of a file, so that a request
    made by hand could name any file of the server.

    Raises `gr.Error` for a file that lies elsewhere or that the hourly sweep has taken.
    """
    try:
        file = Path(path).resolve()
    except (TypeError, ValueError, OSError):
        file = Path()
    if not file.is_relative_to(cache.resolve()) or not file.is_file():
        raise gr.Error("This file is no longer here: drop the photo again.", print_exception=False)
    return file


def sorry(sentence: str) -> gr.Error:
    """What is said where somebody asked for what cannot be."""
    return gr.Error(html.escape(sentence, quote=False), title="Sorry", print_exception=False)


def loaded(predictor: Callable[[], P]) -> P:
    """What `predictor` makes. Raises `gr.Error`, one sentence, where it cannot be loaded."""
    try:
        return predictor()
    except (OSError, ValueError) as error:
        raise gr.Error(NO_MODEL) from error


def new_folder(cache: Path) -> Path:
    """A new place in `cache`, which is Gradio's, so that nothing that lies there is copied.

    Nobody can guess its name. Raises `gr.Error` where the disk is nearly full.
    """
    cache.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(cache).free < FREE:
        raise gr.Error("The server's disk is nearly full: try again later.")
    return Path(tempfile.mkdtemp(dir=cache))


def new_seed() -> int:
    """A seed that nobody chose, to be shown so that it can be used again."""
    return secrets.randbelow(LAST_SEED + 1)


def stem_of(path: str | Path) -> str:
    """The name of an upload without its suffix, safe and short enough for any file system.

    Example:
        >>> stem_of("x/Grandma & me (1931).jpeg"), stem_of("..png")
        ('Grandma-me-1931', 'photo')
    """
    stem = re.sub(r"[^\w]+", "-", Path(path).stem).strip("-_")
    return stem[:60] or "photo"


def preview(number: int) -> str:
    """The file beside the answers that the page shows of one of them; 0 is the photo as it was."""
    return f"preview-{number}.png"


def caption(number: int, probability: float | None) -> str:
    """What stands under an answer.

    Example:
        >>> caption(1, 0.243), caption(8, 0.002), caption(3, None)
        ('1 · 24 %', '8 · < 1 %', '3')
    """
    if probability is None:
        return str(number)
    share = f"{100 * probability:.0f}" if probability >= 0.005 else "< 1"
    return f"{number} · {share} %"


def shrink(pixels: np.ndarray, longest: int = PREVIEW) -> np.ndarray:
    """A picture `(H, W, 3)` uint8 made small enough for a phone, or itself where it is.

    Example:
        >>> shrink(np.zeros((30, 40, 3), np.uint8), 20).shape
        (15, 20, 3)
    """
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def shown(pixels: np.ndarray) -> str:
    """A picture as the page shows it at once, with no file: a data URL. Downloads are lossless."""
    flat = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def pack(archive: Path, files: Sequence[Path]) -> Path:
    """Put files into a ZIP, stored as they are, without times: same files, same bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for file in files:
            out.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
    return archive
