"""Find faces in a photo, upright or tilted, with a small network of our own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.place import Frame, cut

STRIDE = 8  # pixels of the input per place of the map
SMALLEST, LARGEST = 24.0, 72.0  # sides of frames that one level of the pyramid is trained on
LEVELS = (320, 160, 80, 40)  # long sides that a photo is looked at in
THRESHOLD = 0.5  # score below which nothing counts as a face
GREY = 128  # what surrounds a photo

_MARGIN = 32  # pixels of grey around a level, so that a face may fill the photo
_ENLARGE = 3.0  # a tiny photo is not blown up by more
_TYPICAL = math.sqrt(SMALLEST * LARGEST)
_BELIEVED = 0.6  # a second look counts if it overlaps the first by as much
_LOOK = 96  # pixels a side of the second look
_FACE = 48  # side of the frame in it


class NoFace(ValueError):
    """No face where one was expected; the message is one sentence for the person who uploaded."""


@dataclass(frozen=True)
class Found:
    """A face and how sure the detector is, in [0, 1]."""

    frame: Frame
    score: float


class Detector(nn.Module):
    """Faces as points (CenterNet; Zhou et al., 2019): a map of centres, and a frame at each place.

    Large depthwise kernels see a whole face and its surroundings at few weights. Batch norm, as
    no statistic of the photo at hand may then change what a place of it looks like.

    Shapes: uint8 or float `(B, 3, H, W)` in [0, 255], sides multiples of 8 -> logits
    `(B, 1, H/8, W/8)` and values `(B, 5, H/8, W/8)`: the centre's offset in x and y, the log of
    the side, sin and cos of the roll, as `encode` has them.

    Example:
        >>> logits, values = Detector()(torch.zeros(1, 3, 64, 48))
        >>> logits.shape, values.shape
        (torch.Size([1, 1, 8, 6]), torch.Size([1, 5, 8, 6]))
    """

    def __init__(self, *, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, width // 4), _conv(width // 4, width // 2), _Mix(width // 2)
        )
        self.body = nn.Sequential(
            _conv(width // 2, width), *(_Mix(width) for _ in range(blocks)), nn.BatchNorm2d(width)
        )
        self.heat, self.values = nn.Conv2d(width, 1, 1), nn.Conv2d(width, 5, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.body(self.stem(pixels.float() / 127.5 - 1)))
        return self.heat(h).float() - 4, self.values(h).float()  # faces are rare: start so


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class _Mix(nn.Module):
    """Over space by depthwise 5 × 5, then over channels, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(width, width, 5, padding=2, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, 2 * width, 1),
            nn.ReLU(),
            nn.Conv2d(2 * width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def encode(frames: Sequence[Frame], height: int, width: int) -> tuple[np.ndarray, ...]:
    r"""What the network should say of a picture of `height` × `width` places with these faces.

    heat `(1, h, w)`: $\exp(-d^2 / 2\sigma^2)$ around each centre, 1 at its own place, σ a twelfth
    of the side; values `(5, h, w)` and mask `(1, h, w)`: the frame as seen from its place and the
    eight around it, as the highest peak may be one of them. Centres outside are left out.
    """
    heat = np.zeros((1, height, width), np.float32)
    values = np.zeros((5, height, width), np.float32)
    nearest = np.full((height, width), np.inf)
    rows, columns = np.mgrid[:height, :width]
    for frame in frames:
        x, y = frame.x / STRIDE, frame.y / STRIDE
        i, j = math.floor(y), math.floor(x)
        if not (0 <= i < height and 0 <= j < width):
            continue
        sigma = max(frame.side / STRIDE / 12, 0.4)
        squares = (rows - i) ** 2 + (columns - j) ** 2
        heat[0] = np.maximum(heat[0], np.exp(-squares / (2 * sigma**2)))
        away = np.hypot(rows + 0.5 - y, columns + 0.5 - x)
        own = (squares <= 2) & (away < nearest)
        nearest[own] = away[own]
        size = math.log(frame.side / _TYPICAL)
        fixed = (size, math.sin(frame.roll), math.cos(frame.roll))
        values[:, own] = np.stack(
            [x - columns[own], y - rows[own], *(np.full(own.sum(), v) for v in fixed)]
        )
    return heat, values, np.isfinite(nearest).astype(np.float32)[None]


def decode(heat: np.ndarray, values: np.ndarray, *, threshold: float = THRESHOLD) -> list[Found]:
    """The frames that a map speaks of, best first: the inverse of `encode` at each local peak.

    Shapes: heat `(1, h, w)` in [0, 1], values `(5, h, w)`.

    Example:
        >>> heat, values, _ = encode([Frame(20, 30, 40, 0.25)], 8, 8)
        >>> [found] = decode(heat, values)
        >>> round(found.frame.side, 3), round(found.frame.roll, 3), found.score
        (40.0, 0.25, 1.0)
    """
    peaks = cv2.dilate(heat[0], np.ones((3, 3), np.uint8)) == heat[0]
    found = []
    for i, j in zip(*np.nonzero(peaks & (heat[0] > threshold)), strict=True):
        dx, dy, size, sin, cos = values[:, i, j].tolist()
        side = _TYPICAL * math.exp(min(max(size, -3.0), 3.0))
        frame = Frame((j + dx) * STRIDE, (i + dy) * STRIDE, side, math.atan2(sin, cos))
        found.append(Found(frame, float(heat[0, i, j])))
    return sorted(found, key=_score, reverse=True)


def overlap(a: Frame, b: Frame) -> float:
    """Intersection over union of two frames, both taken as upright.

    Example:
        >>> overlap(Frame(5, 5, 10), Frame(10, 5, 10))
        0.3333333333333333
    """
    sides = (
        max(0.0, min(p + a.side / 2, q + b.side / 2) - max(p - a.side / 2, q - b.side / 2))
        for p, q in ((a.x, b.x), (a.y, b.y))
    )
    both = math.prod(sides)
    return both / (a.side**2 + b.side**2 - both)


def suppress(found: Sequence[Found], *, most: float = 0.4) -> list[Found]:
    """Best first, without those that overlap a better one by more than `most`."""
    kept: list[Found] = []
    for one in sorted(found, key=_score, reverse=True):
        if all(overlap(one.frame, other.frame) <= most for other in kept):
            kept.append(one)
    return kept


@torch.inference_mode()
def find_faces(
    model: Detector, pixels: np.ndarray, *, threshold: float = THRESHOLD, at_most: int = 20
) -> list[Found]:
    """Find the faces in a photo of any size, best first.

    The photo is looked at in sizes an octave apart, surrounded by grey; each face that is found is
    then cut out upright and looked at once more, which places it more exactly. Faces whose frame
    is below 1/14 of the long side are not found.

    Shapes: pixels uint8 `(H, W, 3)`. The model should be in evaluation mode.
    """
    found: list[Found] = []
    for level, scale in _pyramid(pixels):
        for one in _look(model, level[None], threshold)[0]:
            frame = one.frame.shift(-_MARGIN, -_MARGIN).scale(1 / scale)
            found.append(Found(frame, one.score))
    return suppress(_again(model, pixels, suppress(found)[:at_most]))


def find_face(model: Detector, pixels: np.ndarray, *, threshold: float = THRESHOLD) -> Found:
    """The face that the detector is surest of.

    Raises:
        NoFace: there is none.
    """
    found = find_faces(model, pixels, threshold=threshold)
    if not found:
        raise NoFace(
            "No face was found in this photo: take one that shows a face from the front, "
            "or drag a box around it."
        )
    return found[0]


def _score(found: Found) -> float:
    return found.score


def _look(model: Detector, pictures: np.ndarray, threshold: float) -> list[list[Found]]:
    """What the network sees in each of `(N, H, W, 3)`."""
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(device)
    logits, values = model(batch)
    maps = zip(logits.sigmoid().cpu().numpy(), values.cpu().numpy(), strict=True)
    return [decode(heat, value, threshold=threshold) for heat, value in maps]


def _pyramid(pixels: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """The photo in every size that makes sense for it, with grey around, and how it was scaled."""
    long = max(pixels.shape[:2])
    sizes = [size for size in LEVELS if size <= _ENLARGE * long] or [LEVELS[-1]]
    levels = []
    for size in sizes:
        scale = size / long
        h, w = (max(1, round(side * scale)) for side in pixels.shape[:2])
        pixels_at = cv2.resize(
            pixels, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        below, right = (_MARGIN + -side % STRIDE for side in (h, w))
        grey = cv2.copyMakeBorder(
            pixels_at, _MARGIN, below, _MARGIN, right, cv2.BORDER_CONSTANT, value=(GREY,) * 3
        )
        levels.append((grey, scale))
    return levels


def _again(model: Detector, pixels: np.ndarray, found: list[Found]) -> list[Found]:
    """A second look at each face, upright and at the middle of the trained sizes."""
    if not found:
        return []
    wide = [replace(f.frame, side=f.frame.side * _LOOK / _FACE) for f in found]
    seen = _look(model, np.stack([cut(pixels, frame, _LOOK) for frame in wide]), THRESHOLD / 2)
    middle = Frame(_LOOK / 2, _LOOK / 2, _FACE)
    better = []
    for one, outer, inner in zip(found, wide, seen, strict=True):
        near = [again for again in inner if overlap(again.frame, middle) > _BELIEVED]
        frame = near[0].frame.within(outer, _LOOK) if near else one.frame
        better.append(Found(frame, one.score))
    return better
