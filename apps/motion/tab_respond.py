"""From one request of the tab *Motion* to what answers it; nothing that comes in is trusted."""

import base64
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from apps import images, outputs
from apps.canvas import Arrow, CanvasError, arrow_of, mask_of, strokes_of, to_paint
from apps.page import (
    LAST_SEED,
    PREVIEW,
    caption,
    loaded,
    new_folder,
    own,
    pack,
    shown,
    sorry,
    stem_of,
    within,
)

if TYPE_CHECKING:
    from apps.motion.predict import Forecast, Hint

MOST, USUAL = 8, 5  # answers at a time
STRONGEST = 2.0  # factor on the motion
ANIMATION, TRAILS, FLOW = VIEWS = ("Animation", "Trails", "Flow")
CELL, STAGE = 50_000, 300_000  # pixels of a preview among the answers, and of the one chosen
FAINT = 0.01  # of the shorter side: a cell that never gets further is hardly seen to move
FEW = 0.01  # of the cells: where no more than these move, an answer is nearly still

NOTHING = "There is no forecast yet: drop a photo and press Forecast."

Progress = Callable[..., Any]


class Predictor(Protocol):
    """What the tab needs of `apps.motion.predict.Forecaster`."""

    name: str

    def __call__(
        self, image: np.ndarray, k: int = 5, seed: int = 0, hint: "Hint | None" = None
    ) -> "Forecast": ...


@dataclass(frozen=True)
class Question:
    """All that a forecast depends on, within bounds."""

    path: str
    k: int
    seed: int
    arrow: Arrow | None


@dataclass(frozen=True)
class Scene:
    """A forecast, and how it is to be animated."""

    question: Question
    strength: float
    strokes: bytes | None  # a picture, opaque where something may move; None: everywhere


class Studio:
    """What the tab does with a model. The latest answers are kept: the same twice is looked up.

    Args:
        predictor: called at the first forecast; the model is its own to keep.
        cache: folder that the page may read uploads from and serves answers from.
    """

    def __init__(self, predictor: Callable[[], Predictor], cache: Path) -> None:
        self._predictor, self.cache = predictor, cache
        self._pixels = lru_cache(maxsize=2)(self._read)  # up to 120 MB each
        self._forecast = lru_cache(maxsize=16)(self._ask)
        self._preview = lru_cache(maxsize=48)(self._draw)  # up to a megabyte each

    def arrive(self, photo: Any) -> dict[str, Any]:
        """A new photo as the value of the canvas."""
        with one_sentence():
            return to_paint(self._pixels(str(self._own(photo))))

    def question(self, photo: Any, painted: Any, seed: Any, k: Any) -> Question:
        """What is asked of the model."""
        with one_sentence():
            return Question(
                path=str(self._own(photo)),
                k=int(within(k, 1, MOST, USUAL)),
                seed=int(within(seed, 0, LAST_SEED, 0)),
                arrow=arrow_of(painted),
            )

    def again(self, question: Question, painted: Any) -> Question:
        """The same with the arrow that is on the canvas now."""
        with one_sentence():
            return Question(question.path, question.k, question.seed, arrow_of(painted))

    def answers(
        self, scene: Scene, view: Any, chosen: Any, progress: Progress
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Values of the answers and, at once though small, of the stage."""
        with one_sentence():
            progress(0.05, desc="Forecasting")
            captions = self.captions(scene.question)
            found = []
            for i, said in enumerate(captions):
                progress(0.3 + 0.7 * i / len(captions), desc=f"Drawing no. {i + 1}")
                src = self._preview(*_shown(scene, view), i, CELL)
                found.append({"src": src, "caption": said})
        j = int(within(chosen, 0, len(found) - 1, 0))
        return {"answers": found, "chosen": j}, found[j]

    def answer(self, scene: Scene, view: Any, chosen: Any) -> dict[str, str]:
        """Value of the stage, large."""
        with one_sentence():
            captions = self.captions(scene.question)
            j = int(within(chosen, 0, len(captions) - 1, 0))
            return {
                "src": self._preview(*_shown(scene, view), j, STAGE),
                "caption": captions[j],
            }

    def film(self, scene: Scene, chosen: Any, form: str) -> str:
        """A file with one answer: a `gif` of at most 0.3 megapixels, or an `mp4` at full size."""
        with one_sentence():
            question = scene.question
            j = int(within(chosen, 0, question.k - 1, 0))
            folder = new_folder(self.cache)
            file = folder / f"{stem_of(question.path)}-{j + 1}.{form}"
            file.write_bytes(self._film(scene, j, form))
        return str(file)

    def numbers(self, scene: Scene) -> str:
        """A file with the trajectories of all answers."""
        from apps.motion.write import numbers

        with one_sentence():
            file = new_folder(self.cache) / f"{stem_of(scene.question.path)}.npz"
            file.write_bytes(numbers(self._forecast(scene.question)))
        return str(file)

    def archive(self, scene: Scene, progress: Progress) -> str:
        """A ZIP with animations, flow and trails of all answers, and their numbers."""
        from apps.motion import write

        question = scene.question
        stem, folder = stem_of(question.path), new_folder(self.cache)
        with one_sentence():
            forecast = self._forecast(question)
            films, parts = [], {}
            for i in range(len(forecast.probabilities)):
                progress(i / len(forecast.probabilities), desc=f"Writing no. {i + 1}")
                films.append(f"{stem}-{i + 1}.gif")
                parts[films[-1]] = self._film(scene, i, "gif")
                for view in (TRAILS, FLOW):
                    picture = images.encode_png(self._picture(question, view, i, PREVIEW))
                    parts[f"{view.lower()}-{i + 1}.png"] = picture
            parts[write.NUMBERS] = write.numbers(forecast)
            name = self._model().name
        for part, data in parts.items():
            (folder / part).write_bytes(data)
        outputs.write_samples(
            folder,
            source=Path(Path(question.path).name),
            seed=forecast.seed,
            model=Path(name).name,
            temperature=None,
            files=films,
            probabilities=forecast.probabilities.tolist(),
            asked={
                "strength": scene.strength,
                "painted": scene.strokes is not None,
                "arrow": question.arrow,
            },
        )
        files = [folder / part for part in (*parts, "samples.json")]
        out = pack(folder / f"{stem}.zip", files)
        for file in files:
            file.unlink()
        return str(out)

    def captions(self, question: Question) -> list[str]:
        """What stands under each answer; one that hardly moves is said to, lest it seem broken.

        An answer is nearly still if at most one cell in a hundred ever gets further than a
        hundredth of the photo's shorter side.
        """
        forecast, side = self._forecast(question), min(self._photo(question).shape[:2])
        moved = np.linalg.norm(forecast.displacements, axis=-1).max(1) > FAINT * side
        return [
            caption(i, float(share)) + ("" if cells.mean() > FEW else " · nearly still")
            for i, (share, cells) in enumerate(zip(forecast.probabilities, moved, strict=True), 1)
        ]

    def _own(self, photo: Any) -> Path:
        if not isinstance(photo, dict) or not photo.get("path"):
            raise sorry("There is no photo yet: drop one first.")
        return own(photo["path"], self.cache)

    def _photo(self, question: Question) -> np.ndarray:
        return self._pixels(str(own(question.path, self.cache)))  # it may have been swept

    def _read(self, path: str) -> np.ndarray:
        return images.read(path).pixels

    def _model(self) -> Predictor:
        return loaded(self._predictor)

    def _ask(self, question: Question) -> "Forecast":
        from apps.motion.predict import Hint

        pixels, hint = self._photo(question), None
        if question.arrow is not None:
            height, width = pixels.shape[:2]
            x0, y0, x1, y1 = (
                share * side - 0.5
                for share, side in zip(question.arrow, 2 * (width, height), strict=True)
            )
            hint = Hint((x0, y0), (x1, y1))
        return self._model()(pixels, k=question.k, seed=question.seed, hint=hint)

    def _mask(self, scene: Scene) -> np.ndarray | None:
        height, width = self._photo(scene.question).shape[:2]
        mask = mask_of(scene.strokes, (height, width))
        return None if mask is None else mask.astype(np.float32) / 255

    def _film(self, scene: Scene, i: int, form: str) -> bytes:
        from apps.motion.write import film_of

        return film_of(
            self._photo(scene.question),
            self._forecast(scene.question),
            i,
            form=form,
            strength=scene.strength,
            mask=self._mask(scene),
        )

    def _draw(self, scene: Scene, view: str, i: int, most: int) -> str:
        """A preview as a data URL."""
        question = scene.question
        if view != ANIMATION:
            height, width = self._photo(question).shape[:2]
            shrink = min(1.0, math.sqrt(4 * most / (height * width)))
            return shown(self._picture(question, view, i, round(shrink * max(height, width))))
        from apps.motion.predict import animate
        from apps.motion.write import FPS
        from flow.write import encode_mp4

        frames = animate(
            self._photo(question),
            self._forecast(question),
            i,
            strength=scene.strength,
            mask=self._mask(scene),
            most=most,
        )
        return f"data:video/mp4;base64,{base64.b64encode(encode_mp4(frames, fps=FPS)).decode()}"

    def _picture(self, question: Question, view: str, i: int, longest: int) -> np.ndarray:
        """Trails or flow of an answer on a photo that is no longer than that."""
        from flow.draw import flow_picture, trails

        pixels, forecast = self._photo(question), self._forecast(question)
        height, width = pixels.shape[:2]
        scale = min(1.0, longest / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        factor = np.array([size[0] / width, size[1] / height], np.float32)
        moves, grid = forecast.displacements[i] * factor, (forecast.grid + 0.5) * factor - 0.5
        if view == FLOW:
            return flow_picture(moves, grid, size)
        return trails(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), moves, grid)


def scene_of(question: Any, painted: Any, strength: Any) -> Scene:
    """What the page asks to be shown. Raises `gr.Error`, one sentence, where there is nothing."""
    if not isinstance(question, Question):
        raise sorry(NOTHING)
    with one_sentence():
        return Scene(question, within(strength, 0, STRONGEST, 1), strokes_of(painted))


@contextmanager
def one_sentence() -> Iterator[None]:
    """What a person can do something about becomes a sentence on the page, without a traceback."""
    try:
        yield
    except (images.ImageError, CanvasError) as error:
        raise sorry(str(error)) from None


def _shown(scene: Scene, view: Any) -> tuple[Scene, str]:
    """A scene and a view of it; trails and flow are those of the forecast, however animated."""
    if view in (TRAILS, FLOW):
        return Scene(scene.question, 1.0, None), view
    return scene, ANIMATION
