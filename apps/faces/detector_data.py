"""Scenes to learn finding faces in, made on the fly out of aligned faces and photos without any.

Scene number n is a function of (seed, n) alone, so a run that resumes sees what it would have.
"""

import csv
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from apps import images
from apps.faces.detector import GREY, LARGEST, SMALLEST, STRIDE, encode
from apps.faces.frame import LFW, Crop, celeba_crop
from apps.faces.place import Frame

SCENE = 128  # pixels a side

# Folders of photos where people are common: they would teach that faces are none. The numbers are
# ImageNet's: clothes, sports, instruments that are worn, played or held.
_PEOPLE = """
    large Faces Faces_easy pacs_person BACKGROUND_Google accordion buddha cellphone
    dollar_bill electric_guitar garfield headphone inline_skate mandolin saxophone snoopy
    soccer_ball umbrella wheelchair n02669723 n02730930 n02769748 n02802426 n02837789
    n02883205 n02892201 n02906734 n02988304 n03026506 n03085013 n03179701 n03250847 n03255030
    n03355925 n03388043 n03424325 n03447447 n03544143 n03584254 n03599486 n03617480 n03637318
    n03763968 n03770439 n03796401 n03804744 n03814639 n03838899 n03877472 n03888257 n03902125
    n04008634 n04023962 n04118538 n04133789 n04254777 n04259630 n04311004 n04328186 n04356056
    n04366367 n04371430 n04376876 n04532106 n04540053 n04560804 n07579787 n07614500 n07615774
    n09835506 n10565667
"""


@dataclass(frozen=True)
class Sources:
    """What scenes are made of: uint8 pictures `(h, w, 3)`, one frame for each face.

    `faces` fill their picture and are pasted softly; `whole` ones stand in their surroundings.
    """

    faces: Sequence[tuple[np.ndarray, Frame]]
    whole: Sequence[tuple[np.ndarray, Frame]]
    photos: Sequence[np.ndarray]

    def __post_init__(self) -> None:
        if not (self.photos and (self.faces or self.whole)):
            raise ValueError(
                f"got {len(self.faces)} faces, {len(self.whole)} whole pictures and "
                f"{len(self.photos)} photos, expected photos and at least one face"
            )


def load_sources(
    data: Path, split: str, *, seed: int = 0, faces: int = 8000, whole: int = 6000
) -> Sources:
    """Read one split of CelebA, LFW and the photos without people from the sets in `data`.

    Args:
        faces, whole: at most so many pictures of CelebA and of LFW, and photos as both together.
    """
    rng = np.random.default_rng((seed, 0))
    celeba = _read(_listed(data / "celeba", "images", split), faces, rng)
    lfw = _read(_listed(data / "lfw", "lfw-deepfunneled", split), whole, rng)
    photos = _listed(data / "photos", "images", split)
    people = set(_PEOPLE.split())
    safe = [path for path in photos if not people & set(path.relative_to(data).parts)]
    return Sources(
        faces=[(p, _frame(p, celeba_crop(*p.shape[:2]))) for p in celeba],
        whole=[(p, _frame(p, LFW)) for p in lfw],
        photos=_read(safe, faces + whole, rng),
    )


def _frame(pixels: np.ndarray, crop: Crop) -> Frame:
    return Frame.from_crop(crop, *pixels.shape[:2])


def _listed(folder: Path, base: str, split: str) -> list[Path]:
    with (folder / "split.csv").open(newline="") as lines:
        return [
            folder / base / row["file"] for row in csv.DictReader(lines) if row["split"] == split
        ]


def _read(paths: list[Path], at_most: int, rng: np.random.Generator) -> list[np.ndarray]:
    chosen = sorted(rng.permutation(len(paths))[:at_most].tolist())
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_pixels, (paths[i] for i in chosen)))


def _pixels(path: Path) -> np.ndarray:
    return images.read(path).pixels


class Scenes:
    """Batches of scenes by number, as `cvae.training.train` fetches them.

    Shapes: numbers `(B,)` -> pixels uint8 `(B, 3, 128, 128)` and what `encode` says of them: heat
    `(B, 1, 16, 16)`, values `(B, 5, 16, 16)`, mask `(B, 1, 16, 16)`.
    """

    def __init__(self, sources: Sources, *, seed: int = 0) -> None:
        self.sources, self.seed = sources, seed

    def __call__(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pictures, targets = [], []
        for number in numbers.tolist():
            pixels, frames = self.scene(number)
            pictures.append(pixels.transpose(2, 0, 1))
            targets.append(encode(frames, SCENE // STRIDE, SCENE // STRIDE))
        heat, values, mask = (
            torch.from_numpy(np.stack(part)) for part in zip(*targets, strict=True)
        )
        return torch.from_numpy(np.stack(pictures)), heat, values, mask

    def scene(self, number: int) -> tuple[np.ndarray, list[Frame]]:
        """Pixels uint8 `(128, 128, 3)` and the faces in them."""
        rng = np.random.default_rng((self.seed, 1, number))
        canvas = _background(self.sources.photos, rng)
        frames: list[Frame] = []
        if rng.random() < 0.15:  # parts of a face in the wrong places are no face
            _paste(canvas, *_scrambled(*self._face(rng), rng), _anywhere(rng), rng)
        else:
            for _ in range(rng.choice(3, p=(0.2, 0.65, 0.15))):
                place = _anywhere(rng)
                if all(math.hypot(place.x - f.x, place.y - f.y) > f.side for f in frames):
                    source, frame, soft = self._face(rng)
                    _paste(canvas, source, frame, soft, place, rng)
                    frames.append(place)
        canvas = _degrade(canvas, rng)
        if rng.random() < 0.3:
            frames = _bound(canvas, frames, rng)
        return canvas, frames

    def _face(self, rng: np.random.Generator) -> tuple[np.ndarray, Frame, bool]:
        faces, whole = self.sources.faces, self.sources.whole
        soft = bool(faces) and (not whole or rng.random() < 0.5)
        pictures = faces if soft else whole
        pixels, frame = pictures[int(rng.integers(len(pictures)))]
        if rng.random() < 0.5:
            pixels, frame = pixels[:, ::-1], frame.mirror(pixels.shape[1])
        return pixels, frame, soft


def _anywhere(rng: np.random.Generator) -> Frame:
    side = SMALLEST * (LARGEST / SMALLEST) ** rng.random()
    most = math.radians(30 if rng.random() < 0.5 else 8)
    x, y = rng.uniform(0.02, 0.98, 2) * SCENE
    return Frame(x, y, side, rng.uniform(-most, most))


def _background(photos: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    photo = photos[int(rng.integers(len(photos)))]
    h, w = photo.shape[:2]
    side = max(8, int(min(h, w) * rng.uniform(0.4, 1)))
    top, left = rng.integers(h - side + 1), rng.integers(w - side + 1)
    part = photo[top : top + side, left : left + side]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    how = cv2.INTER_AREA if side > SCENE else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(part), (SCENE, SCENE), interpolation=how)


def _scrambled(
    pixels: np.ndarray, frame: Frame, soft: bool, rng: np.random.Generator
) -> tuple[np.ndarray, Frame, bool]:
    """The face with its quarters dealt anew."""
    half = int(frame.side / 2)
    y, x = int(frame.y), int(frame.x)
    places = [(slice(y - half, y), slice(y, y + half)), (slice(x - half, x), slice(x, x + half))]
    quarters = [(rows, columns) for rows in places[0] for columns in places[1]]
    out = pixels.copy()
    if half > min(y, x):  # the frame begins outside the picture
        return out, frame, soft
    for here, there in zip(quarters, rng.permutation(4), strict=True):
        taken = pixels[quarters[there]]
        if taken.shape == out[here].shape:
            out[here] = taken
    return out, frame, soft


def _paste(
    canvas: np.ndarray,
    source: np.ndarray,
    frame: Frame,
    soft: bool,
    place: Frame,
    rng: np.random.Generator,
) -> None:
    """Lay a picture on the canvas so that its `frame` comes to `place`; soft ones fade out."""
    to_frame, to_canvas = (np.vstack((f.matrix(), (0, 0, 1))) for f in (frame, place))
    matrix = to_canvas @ np.linalg.inv(to_frame)
    factor = place.side / frame.side
    if factor < 1:  # first by area, as warping alone would alias
        height, width = source.shape[:2]
        h, w = (max(1, round(side * factor)) for side in (height, width))
        source = cv2.resize(source, (w, h), interpolation=cv2.INTER_AREA)
        x, y = width / w, height / h  # rounded sides: not quite the factor
        matrix = matrix @ [[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]
    matrix = matrix[:2]
    h, w = source.shape[:2]
    mask = _oval(h, w, rng) if soft and rng.random() < 0.7 else np.ones((h, w), np.float32)
    size = (SCENE, SCENE)
    weight = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    warped = cv2.warpAffine(
        np.ascontiguousarray(source), matrix, size, borderMode=cv2.BORDER_REPLICATE
    )
    canvas[:] = np.rint(canvas + weight * (warped.astype(np.float32) - canvas)).astype(np.uint8)


def _oval(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A rounded mask `(h, w)`, from ellipse to nearly a square, its edge more or less soft."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    wide, high, power = rng.uniform(0.65, 0.95), rng.uniform(0.8, 1), rng.uniform(2, 6)
    distance = ((abs(x) / wide) ** power + (abs(y) / high) ** power) ** (1 / power)
    return ((1 - distance) / rng.uniform(0.05, 0.4)).clip(0, 1).astype(np.float32)


def _bound(canvas: np.ndarray, frames: list[Frame], rng: np.random.Generator) -> list[Frame]:
    """End the photo somewhere around the first face, with grey beyond, as the pyramid has it."""
    focus = frames[0] if frames else _anywhere(rng)
    margins = focus.side * rng.uniform(0.42, 1.5, 4)
    left, top = (int(max(v, 0)) for v in (focus.x - margins[0], focus.y - margins[1]))
    right, bottom = (math.ceil(v) for v in (focus.x + margins[2], focus.y + margins[3]))
    for outside in np.s_[:top], np.s_[bottom:], np.s_[:, :left], np.s_[:, right:]:
        canvas[outside] = GREY
    return [f for f in frames if left <= f.x < right and top <= f.y < bottom]


def _degrade(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, colour, grey pictures, blur, noise and JPEG."""
    x: np.ndarray = pixels.astype(np.float32)
    if rng.random() < 0.2:
        x[:] = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    gains = rng.uniform(0.6, 1.3) * (rng.uniform(0.85, 1.15, 3) if rng.random() < 0.5 else 1)
    x = (x - 128) * gains + 128 + rng.uniform(-40, 40)
    if rng.random() < 0.3:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.3:
        x = x + rng.uniform(2, 14) * rng.standard_normal(x.shape, np.float32)
    out = np.rint(x.clip(0, 255)).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 90))
        out = cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    return out
