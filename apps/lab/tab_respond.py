"""From one request of the tab *Latent lab* to what answers it; what comes in is not trusted."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from apps import images
from apps.canvas import CanvasError, mask_of, strokes_of, to_paint
from apps.lab.sheets import mosaic, rgb
from apps.lab.tab_parts import DIALS, REACH
from apps.page import LAST_SEED, loaded, new_folder, own, pack, sorry, stem_of, within

if TYPE_CHECKING:
    from apps.lab.predict import LatentLab

WALK = 9  # pictures of a dimension
WALKED = 2.5  # and how far from 0 it goes
PLANE = 11  # pictures a side of two dimensions
BOARD = 280  # pixels a side of what is drawn upon
LARGE = 448  # of a picture that is taken home, about

Models = Mapping[str, "LatentLab"]


class Place(NamedTuple):
    """A model by its title, and where one stands in its latent space."""

    title: str
    lab: "LatentLab"
    z: np.ndarray
    label: int | None


class Studio:
    """What the tab does with the models.

    Args:
        models: called at the first request, for models by title.
        cache: folder that the page may read uploads from and serves answers from.
    """

    def __init__(self, models: Callable[[], Models], cache: Path) -> None:
        self._models, self.cache = models, cache

    def titles(self) -> list[str]:
        """What there is to choose from."""
        return list(loaded(self._models))

    def drawn(self, title: Any, seed: Any, label: Any) -> Place:
        """A draw of the prior."""
        title, lab = self._lab(title)
        z = lab.draw(1, seed=int(within(seed, 0, LAST_SEED, 0)))[0]
        return Place(title, lab, z, _label(lab, label))

    def middle(self, title: Any, label: Any) -> Place:
        """The middle of the prior."""
        title, lab = self._lab(title)
        return Place(title, lab, np.zeros(lab.size, np.float32), _label(lab, label))

    def at(self, title: Any, dials: Any, label: Any) -> Place:
        """Where the dials stand."""
        title, lab = self._lab(title)
        return Place(title, lab, z_of(dials, lab.size), _label(lab, label))

    def uploaded(self, title: Any, photo: Any) -> Place:
        """Where an upload is encoded to."""
        if not isinstance(photo, Mapping) or not photo.get("path"):
            raise sorry("There is no picture yet: drop one first.")
        return self._encoded(title, str(own(photo["path"], self.cache)))

    def painted(self, title: Any, painted: Any) -> Place | None:
        """Where what was painted is encoded to; None where nothing was."""
        with one_sentence():
            strokes = mask_of(strokes_of(painted), (BOARD, BOARD))
        return None if strokes is None else self._encoded(title, strokes)

    def clicked(self, place: Place, traversed: Any) -> Place:
        """Where a cell of the traversal lies."""
        dims = place.lab.used[:DIALS]
        row, column = _cell(traversed, len(dims), WALK)
        z = place.z.copy()
        z[dims[row]] = np.linspace(-WALKED, WALKED, WALK)[column]
        return place._replace(z=z)

    def landed(self, place: Place, plane: Any) -> Place:
        """Where a cell of the plane lies."""
        row, column = _cell(plane, PLANE, PLANE)
        return place._replace(z=place.lab.plane(PLANE, z=place.z)[row, column])

    def chosen(self, place: Place, classes: Any) -> Place:
        """The same z in another class."""
        return place._replace(label=_cell(classes, 1, 10)[1] if place.lab.told else None)

    def file(self, place: Place) -> str:
        """The picture as a PNG, each of its pixels as a square of several."""
        name = f"{stem_of(place.title)}.png"
        return _save(new_folder(self.cache) / name, enlarge(rgb(decoded(place)), LARGE))

    def archive(self, place: Place) -> str:
        """Picture and sheets as the model makes them, and the z to have them again."""
        folder = new_folder(self.cache)
        files = {"picture.png": rgb(decoded(place)), **sheets(place)}
        for name, pixels in files.items():
            _save(folder / name, pixels)
        said = {"model": place.title, "label": place.label, "z": place.z.tolist()}
        (folder / "latent.json").write_text(json.dumps(said, indent=2) + "\n")
        parts = [folder / name for name in (*files, "latent.json")]
        out = pack(folder / f"{stem_of(place.title)}.zip", parts)
        for part in parts:
            part.unlink()
        return str(out)

    def _encoded(self, title: Any, picture: Any) -> Place:
        title, lab = self._lab(title)
        with one_sentence():
            label = int(lab.guess([picture])[0]) if lab.told else None
            return Place(title, lab, lab.encode([picture], label)[0], label)

    def _lab(self, title: Any) -> tuple[str, "LatentLab"]:
        """The model of that title, or the first."""
        models = loaded(self._models)
        known = title if isinstance(title, str) and title in models else next(iter(models))
        return known, loaded(partial(models.__getitem__, known))


def dials_of(place: Place) -> dict[str, Any]:
    """The value of the dials."""
    dims = place.lab.used[:DIALS]
    z = [round(float(x), 4) for x in place.z]
    return {"z": z, "dims": dims, "shares": [float(place.lab.shares[d]) for d in dims]}


def decoded(place: Place) -> np.ndarray:
    """The picture, `(S, S)` uint8."""
    return place.lab.decode(place.z, place.label)


def sheets(place: Place) -> dict[str, np.ndarray]:
    """What is around: by file, as pixels `(H, W, 3)`; each only where the model has it."""
    lab, z, label = place.lab, place.z, place.label
    walk = lab.traverse(z, lab.used[:DIALS], steps=WALK, reach=WALKED, labels=label)
    found = {"traversal.png": mosaic(walk)}
    if lab.size > 1:
        found["plane.png"] = mosaic(lab.manifold(PLANE, z=z, labels=label))
    if lab.told:
        found["classes.png"] = mosaic(lab.classes(z)[None])
    return found


def sheet_values(place: Place) -> list[dict[str, Any] | None]:
    """The values of the three sheets of the page."""
    found = sheets(place)
    names = ("traversal.png", "plane.png", "classes.png")
    side = place.lab.side
    return [
        {
            "src": url(found[name]),
            "rows": len(found[name]) // side,
            "columns": found[name].shape[1] // side,
            "at": None,
        }
        if name in found
        else None
        for name in names
    ]


@contextmanager
def one_sentence() -> Iterator[None]:
    """What a person can do something about becomes a sentence on the page, without a traceback."""
    try:
        yield
    except (images.ImageError, CanvasError) as error:
        raise sorry(str(error)) from None


def z_of(dials: Any, size: int) -> np.ndarray:
    """All of z as the dials say it, within twice their bounds; 0 where they do not.

    Example:
        >>> z_of({"z": [1, "2", None, 99]}, 5)
        array([1., 2., 0., 6., 0.], dtype=float32)
    """
    said = dials.get("z") if isinstance(dials, Mapping) else None
    numbers = list(said)[:size] if isinstance(said, list | tuple) else []
    z = np.zeros(size, np.float32)
    z[: len(numbers)] = [within(x, -2 * REACH, 2 * REACH, 0) for x in numbers]
    return z


def board() -> dict[str, Any]:
    """The value of a canvas on which nothing is drawn yet."""
    return to_paint(np.zeros((BOARD, BOARD, 3), np.uint8))


def url(pixels: np.ndarray) -> str:
    """A picture as the page shows it at once, without a file and without loss."""
    data = images.encode_png(pixels)
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def enlarge(pixels: np.ndarray, longest: int) -> np.ndarray:
    """A picture whole times as large, up to about so many pixels."""
    times = max(1, longest // max(pixels.shape[:2]))
    return pixels.repeat(times, 0).repeat(times, 1)


def _label(lab: "LatentLab", label: Any) -> int | None:
    return int(within(label, 0, 9, 0)) if lab.told else None


def _cell(sheet: Any, rows: int, columns: int) -> tuple[int, int]:
    """Row and column of the picture that was clicked, within the sheet."""
    at = sheet.get("at") if isinstance(sheet, Mapping) else None
    row, column = at if isinstance(at, list | tuple) and len(at) == 2 else (0, 0)
    return int(within(row, 0, rows - 1, 0)), int(within(column, 0, columns - 1, 0))


def _save(path: Path, picture: np.ndarray) -> str:
    path.write_bytes(images.encode_png(picture))
    return str(path)
