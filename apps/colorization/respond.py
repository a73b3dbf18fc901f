"""From one request of the page to the files that answer it."""

import html
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import gradio as gr
import numpy as np

from apps import outputs
from apps.images import ImageError, encode_png
from apps.page import caption, loaded, new_folder, pack, preview, shrink, stem_of

MODEL = "colorization"


class Colors(Protocol):
    """What a predictor answers with; see `apps.colorization.predict.Colorization`."""

    @property
    def images(self) -> list[np.ndarray]: ...
    @property
    def probabilities(self) -> list[float]: ...
    @property
    def seed(self) -> int: ...
    @property
    def alpha(self) -> np.ndarray | None: ...


class Predictor(Protocol):
    """What the tab needs of `apps.colorization.predict.Colorizer`."""

    def __call__(
        self,
        image: str,
        k: int = 8,
        seed: int = 0,
        temperature: float | None = None,
        intensity: float = 1.0,
    ) -> Colors: ...

    def grey(self, image: str) -> np.ndarray: ...


@dataclass(frozen=True)
class Request:
    """A path that the page may read, and numbers that are within bounds."""

    path: str
    seed: int
    k: int
    temperature: float | None
    intensity: float


def respond(
    request: Request, predictor: Callable[[], Predictor], cache: Path, progress: gr.Progress
) -> list[Any]:
    """Answer a request with new files in `cache`, and say what the components show of them.

    Returns the values of gallery, slider, first file, archive and all files. Raises `gr.Error`,
    one sentence, for a photo that cannot be read, a model that cannot be loaded, a full disk.
    """
    folder = new_folder(cache)  # before the work, which a full disk would waste
    progress(0.05, desc="Loading the model")
    model = loaded(predictor)
    try:
        progress(0.2, desc=f"Imagining {request.k} colourings")
        answer = model(
            request.path,
            k=request.k,
            seed=request.seed,
            temperature=request.temperature,
            intensity=request.intensity,
        )
        grey = model.grey(request.path)
    except ImageError as error:
        raise gr.Error(html.escape(str(error), quote=False), print_exception=False) from None
    progress(0.8, desc="Writing them at full size")
    return _write(folder, request, answer, grey)


def _write(folder: Path, request: Request, answer: Colors, grey: np.ndarray) -> list[Any]:
    stem = stem_of(request.path)
    names = [f"{stem}-{i}.png" for i in range(1, len(answer.images) + 1)]
    with ThreadPoolExecutor() as pool:
        full = pool.map(partial(encode_png, alpha=answer.alpha), answer.images)
        files = [_save(folder / name, data) for name, data in zip(names, full, strict=True)]
        small = pool.map(encode_png, map(shrink, (grey, *answer.images)))
        before, *after = [_save(folder / preview(i), data) for i, data in enumerate(small)]
    outputs.write_samples(
        folder,
        source=Path(Path(request.path).name),
        seed=answer.seed,
        model=MODEL,
        temperature=request.temperature,
        files=names,
        probabilities=answer.probabilities,
    )
    archive = pack(folder / f"{stem}.zip", [*map(Path, files), folder / "samples.json"])
    (folder / "samples.json").unlink()
    shares = answer.probabilities if request.temperature is None else [None] * len(files)
    captions = [caption(i, share) for i, share in enumerate(shares, 1)]
    gallery = list(zip(after, captions, strict=True))
    return [gallery, (before, after[0]), files[0], str(archive), files]


def _save(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)
