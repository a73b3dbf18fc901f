"""What of two paintings of a face goes into the photo: what was asked for, and no complexion."""

import cv2
import numpy as np

from apps.faces.frame import SIZE
from apps.faces.place import smoothstep

# The middle of a face in the frame, between eyes and mouth, in shares of its side.
_CENTRE, _RADII = (0.5, 0.57), (0.20, 0.25)
_AROUND = 0.7  # radii over which what is held there fades out
# Changes in grey levels from which one begins, and from which one wholly
_HEARD = (8.0, 32.0)  # counts outside the middle of the face
_ANEW = (32.0, 76.0)  # takes the photo's own face off
_BLUR = 1.5  # pixels


def transfer(face: np.ndarray, old: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pictures whose difference, added to the photo, edits it.

    A face of the photo is never quite what is painted of it. Where little changes, the difference
    of the paintings is right: the photo keeps its detail. Where much does (a fringe over a
    forehead, glasses), what was there before would shine through: there the photo's own face is
    taken off, and the new one put on. And the middle of the face as a whole keeps its colour:
    what goes with a moustache or grey hair in the training faces, complexion above all, was not
    asked for. Nor were faint changes of what is around it.

    Shapes: the face as the model sees it, and it painted as it is and as it shall be, uint8
    `(64, 64, 3)` -> before and after, as `apps.faces.place.paste` takes them.

    Example:
        >>> face = np.full((64, 64, 3), 90, np.uint8)
        >>> before, after = transfer(face, face + 10, face + 10)
        >>> np.array_equal(before, after)
        True
    """
    x, y = (np.mgrid[:SIZE, :SIZE][::-1] + 0.5) / SIZE
    radius = np.hypot((x - _CENTRE[0]) / _RADII[0], (y - _CENTRE[1]) / _RADII[1])
    moved = new.astype(np.float32) - old
    middle = _rise(1 + _AROUND - radius, 0, _AROUND)
    moved -= np.median(moved[radius < 1], axis=0) * middle
    moved *= np.maximum(middle, _rise(_size(moved), *_HEARD))
    before = old + _rise(_size(moved), *_ANEW) * (face.astype(np.float32) - old)
    return _levels(before), _levels(old + moved)


def _size(change: np.ndarray) -> np.ndarray:
    """How large a change is around each pixel, in the colour that changes most: `(64, 64)`."""
    return cv2.GaussianBlur(np.abs(change).max(2), (0, 0), _BLUR)


def _rise(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return smoothstep(x, low, high)[..., None].astype(np.float32)


def _levels(x: np.ndarray) -> np.ndarray:
    return np.rint(x).clip(0, 255).astype(np.uint8)
