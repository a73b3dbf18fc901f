"""From one request of the tab *Faces* to what answers it; nothing that comes in is trusted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import gradio as gr
import numpy as np

from apps import images, outputs
from apps.canvas import CanvasError, mask_of, strokes_of
from apps.faces.attributes import RequestError, canonical, request, stated, title
from apps.faces.detector import NoFace
from apps.faces.edit import MaskError
from apps.faces.place import Frame
from apps.faces.tab_parts import STEPS, K
from apps.grid import grid, join
from apps.page import (
    LAST_SEED,
    NO_MODEL,
    loaded,
    new_folder,
    own,
    pack,
    preview,
    shown,
    shrink,
    sorry,
    stem_of,
    within,
)
from pretrained.store import WeightsError

if TYPE_CHECKING:
    from apps.faces.predict import FaceMaker, MadeFaces

LARGER = 4  # times as large as the model makes them are faces shown
FILLINGS = 4

NO_FACE = "No face was found in this photo: try one that shows a face from the front."
EMPTY = "Nothing is painted over yet: paint over the part that is to be filled."

Asked = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Portrait:
    """An upload that was looked at once: pixels, where its face is, and what it seems to have."""

    pixels: np.ndarray
    frame: Frame
    has: dict[str, float]


class Studio:
    """What the tab does with a model. The latest answers are kept: the same twice is looked up.

    Args:
        predictor: called at the first request; the model is its own to keep.
        cache: folder that the page may read uploads from and serves answers from.
    """

    def __init__(self, predictor: "Callable[[], FaceMaker]", cache: Path) -> None:
        self._predictor, self.cache = predictor, cache
        self._faces = lru_cache(maxsize=32)(self._make)
        self._steps = lru_cache(maxsize=32)(self._progress)
        self._portrait = lru_cache(maxsize=2)(self._look)  # up to 150 MB each

    def people(self, attributes: Any, seed: Any, temperature: Any) -> str:
        """The grid as a picture for the page."""
        with one_sentence():
            made = self._faces(states(attributes), *numbers(seed, temperature))
            return shown(_sheet(made.images))

    def walk(
        self, attributes: Any, attribute: Any, seed: Any, face: Any, temperature: Any
    ) -> list[np.ndarray]:
        """The steps of one face of the grid."""
        with one_sentence():
            name, j = canonical(str(attribute)[:60]), int(within(face, 0, K - 1, 0))
            return self._steps(states(attributes), name, j, *numbers(seed, temperature))

    def face(self, attributes: Any, seed: Any, face: Any, temperature: Any) -> str:
        """A file with one face of the grid, as large as the page shows it."""
        with one_sentence():
            seed, temperature = numbers(seed, temperature)
            j = int(within(face, 0, K - 1, 0))
            picture = self._faces(states(attributes), seed, temperature).images[j]
        return _save(new_folder(self.cache) / f"face-{j + 1}-seed-{seed}.png", enlarge(picture))

    def archive(self, attributes: Any, seed: Any, temperature: Any) -> str:
        """A ZIP with all faces as the model makes them, their grid, and how to have them again."""
        with one_sentence():
            asked, (seed, temperature) = states(attributes), numbers(seed, temperature)
            made = self._faces(asked, seed, temperature)
            name = self._maker().name
        folder, names = new_folder(self.cache), [f"{j}.png" for j in range(1, K + 1)]
        faces = [*made.images, grid(made.images)]
        for file, face in zip([*names, "grid.png"], faces, strict=True):
            _save(folder / file, face)
        outputs.write_samples(
            folder,
            source=None,
            seed=seed,
            model=Path(name).name,
            temperature=temperature,
            files=names,
            asked=dict(asked),
            details=[{"attributes": has} for has in made.requests],
        )
        parts = [folder / file for file in (*names, "grid.png", "samples.json")]
        out = pack(folder / f"faces-seed-{seed}.zip", parts)
        for part in parts:
            part.unlink()
        return str(out)

    def progression(
        self, attributes: Any, attribute: Any, seed: Any, face: Any, temperature: Any
    ) -> str:
        """A file with all steps side by side."""
        steps = self.walk(attributes, attribute, seed, face, temperature)
        name = canonical(str(attribute)[:60])
        strip = join([enlarge(step) for step in steps], axis=1)
        return _save(new_folder(self.cache) / f"{name}.png", strip)

    def portrait(self, photo: Any) -> Portrait:
        """The upload, read and looked at; once for all that follows."""
        return self._portrait(str(self._own(photo)))

    def change(self, photo: Any, attributes: Any) -> tuple[str, str]:
        """Files with the photo before and after, small enough for the page."""
        before, after = self._edit(photo, attributes)
        folder = new_folder(self.cache)
        return (
            _save(folder / "before.png", shrink(before)),
            _save(folder / "after.png", shrink(after)),
        )

    def changed(self, photo: Any, attributes: Any) -> str:
        """A file with the changed photo, at its own size."""
        _, after = self._edit(photo, attributes)
        return _save(new_folder(self.cache) / f"{stem_of(photo['path'])}-changed.png", after)

    def fill(self, photo: Any, painted: Any, seed: Any) -> list[Any]:
        """Values of gallery, before and after, first file, all files."""
        seen = self.portrait(photo)
        seed = int(within(seed, 0, LAST_SEED, 0))
        with one_sentence():
            hidden = mask_of(strokes_of(painted), seen.pixels.shape[:2])
            if hidden is None:
                raise MaskError(EMPTY)
            filled = self._maker().complete(seen.pixels, hidden, FILLINGS, seed, seen.frame)
        folder, stem = new_folder(self.cache), stem_of(photo["path"])
        files = [_save(folder / f"{stem}-{i}.png", picture) for i, picture in enumerate(filled, 1)]
        before, *after = [
            _save(folder / preview(i), shrink(picture))
            for i, picture in enumerate([seen.pixels, *filled])
        ]
        gallery = [(path, str(i)) for i, path in enumerate(after, 1)]
        return [gallery, (before, after[0]), files[0], files]

    def _own(self, photo: Any) -> Path:
        if not isinstance(photo, dict) or not photo.get("path"):
            raise sorry("There is no photo yet: drop one first.")
        return own(photo["path"], self.cache)

    def _edit(self, photo: Any, attributes: Any) -> tuple[np.ndarray, np.ndarray]:
        seen = self.portrait(photo)
        with one_sentence():
            asked = states(attributes)
            return seen.pixels, self._maker().edit(seen.pixels, dict(asked), seen.frame)

    def _maker(self) -> "FaceMaker":
        return loaded(self._predictor)

    def _make(self, asked: Asked, seed: int, temperature: float) -> "MadeFaces":
        return self._maker()(dict(asked), k=K, seed=seed, temperature=temperature)

    def _progress(
        self, asked: Asked, attribute: str, j: int, seed: int, temperature: float
    ) -> list[np.ndarray]:
        return self._maker().progression(
            attribute, STEPS, dict(asked), seed=seed, j=j, temperature=temperature
        )

    def _look(self, path: str) -> Portrait:
        with one_sentence():
            pixels = images.read(path).pixels
            maker = self._maker()
            frame = maker.locate(pixels)
            return Portrait(pixels, frame, maker.read(pixels, frame))


@contextmanager
def one_sentence() -> Iterator[None]:
    """What a person can do something about becomes a sentence on the page, without a traceback."""
    try:
        yield
    except NoFace:
        raise sorry(NO_FACE) from None
    except RequestError as error:
        raise sorry(str(error).replace("_", " ")) from None
    except (images.ImageError, MaskError, CanvasError) as error:
        raise sorry(str(error)) from None
    except WeightsError as error:  # of the networks beside the model, which are loaded late
        raise gr.Error(NO_MODEL) from error


def states(attributes: Any) -> Asked:
    """What the page says of attributes, in one order: known names only, on or off only.

    Raises:
        RequestError: anything else, and contradictions.

    Example:
        >>> states({"smiling": True, "Male": False, "Young": None})
        (('Male', False), ('Smiling', True))
    """
    if attributes is None:
        return ()
    whole = isinstance(attributes, Mapping)
    if not (whole and all(isinstance(state, bool | None) for state in attributes.values())):
        raise RequestError("Attributes are asked for by name, each as true, false or null.")
    short = {str(name)[:60]: state for name, state in attributes.items()}  # names end much sooner
    return tuple(stated(request(short)).items())


def numbers(seed: Any, temperature: Any) -> tuple[int, float]:
    """Both within their bounds, whatever came."""
    return int(within(seed, 0, LAST_SEED, 0)), within(temperature, 0.3, 1, 1)


def reading(has: Mapping[str, float], *, most: int = 6) -> str:
    """The attributes that a face surely seems to have, surest first, as one line of HTML.

    Example:
        >>> reading({"Smiling": 0.98, "Male": 0.3})
        '<span class="read">Smiling <b>98 %</b></span>'
    """
    top = sorted((p, name) for name, p in has.items() if p >= 0.5)[::-1][:most]
    pieces = (f'<span class="read">{title(name)} <b>{p:.0%}</b></span>' for p, name in top)
    return "".join(piece.replace("%</b>", " %</b>") for piece in pieces)


def enlarge(face: np.ndarray) -> np.ndarray:
    """A face at the size in which it is shown."""
    return cv2.resize(face, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_CUBIC)


def side_by_side(faces: Sequence[np.ndarray]) -> np.ndarray:
    """Faces at the size in which they are shown, without a gap."""
    return np.concatenate([enlarge(face) for face in faces], axis=1)


def _sheet(faces: Sequence[np.ndarray]) -> np.ndarray:
    rows = [side_by_side(faces[i : i + 4]) for i in range(0, len(faces), 4)]
    return np.concatenate(rows)


def _save(path: Path, picture: np.ndarray) -> str:
    path.write_bytes(images.encode_png(picture))
    return str(path)
