"""Handwritten digits (MNIST): one file, its splits, pixels as 0 and 1, and quadrants of a picture.

Pixels are binarised as in the literature: on with the probability of their grey value. Either
each is drawn once and for all (static) or afresh whenever the picture is shown (dynamic); figures
of models trained on the one and on the other do not compare.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

NAME = "mnist.npz"
SIDE = 28
CLASSES = 10
HIDDEN = -1.0  # what stands in a condition in place of a pixel that is not given
SPLITS = ("train", "val", "test")

_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
_KERAS = ("x_train", "y_train", "x_test", "y_test")  # the same in the file that Keras fetches


@dataclass(frozen=True)
class Digits:
    """N digits: pixels uint8 `(N, 1, 28, 28)`, 255 is ink; labels `(N,)` from 0 to 9; numbers
    `(N,)`, their places in the file, where test follows train."""

    pixels: Tensor
    labels: Tensor
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Pictures `(B, 1, 28, 28)` in [0, 1], and their labels."""
        return self.pixels[rows].float() / 255, self.labels[rows]

    def first(self, n: int | None) -> "Digits":
        """At most n of them; they are in the order of a lot."""
        return Digits(self.pixels[:n], self.labels[:n], self.numbers[:n])

    def binarised(self, *, seed: int = 0) -> "Digits":
        """Every pixel 0 or 255, drawn once from its grey value.

        What is drawn depends on the seed and on the picture's number in the file, not on the
        other pictures that are asked for.
        """
        grey, numbers = self.pixels.numpy(), self.numbers.numpy()
        size = (numbers.max() + 1, *grey.shape[1:])
        # from 0 to 254, so that the chance of being less is the grey value exactly
        lots = np.random.default_rng(seed).integers(255, size=size, dtype=np.uint8)
        drawn = 255 * (lots[numbers] < grey).astype(np.uint8)
        return replace(self, pixels=torch.from_numpy(drawn))


def binarise(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Pixels in [0, 1] to 0 or 1, drawn afresh.

    Example:
        >>> binarise(torch.tensor([0.0, 1.0]))
        tensor([0., 1.])
    """
    return torch.bernoulli(x, generator=generator)


def load_digits(data: Path, split: str) -> Digits:
    """The digits of a split, in the order of a lot that is always the same.

    The file is sorted by class; shuffled, a twelfth of what it calls train (5,000 of 60,000) is
    val.

    Args:
        data: the folder that holds `mnist.npz`, or the file: uint8 pictures `train_images` and
            `test_images` `(N, 28, 28)` with `train_labels` and `test_labels` `(N,)`; or as Keras
            names them, `x_train`, `y_train`, `x_test` and `y_test`.

    Raises:
        ValueError: no such split, no such file, or one that is no such thing.
    """
    if split not in SPLITS:
        raise ValueError(f"got split {split!r}, expected one of {', '.join(SPLITS)}")
    data = Path(data)
    arrays = _read(data / NAME if data.is_dir() else data)
    trained = len(arrays["train_labels"])
    if split == "test":
        numbers = trained + _lot(len(arrays["test_labels"]))
    else:
        held = trained // 12
        numbers = _lot(trained)
        numbers = numbers[trained - held :] if split == "val" else numbers[: trained - held]
    pixels = np.concatenate([arrays["train_images"], arrays["test_images"]])[numbers]
    labels = np.concatenate([arrays["train_labels"], arrays["test_labels"]])[numbers]
    return Digits(
        torch.from_numpy(pixels)[:, None],
        torch.from_numpy(labels.astype(np.int64)),
        torch.from_numpy(numbers),
    )


def _lot(n: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(n)


def _read(path: Path) -> dict[str, np.ndarray]:
    wanted = f"an .npz of {', '.join(_ARRAYS)}"
    if not path.is_file():
        raise ValueError(f"got {path}, where there is no file, expected {wanted}")
    try:
        with np.load(path, allow_pickle=False) as file:
            names = _KERAS if _KERAS[0] in file else _ARRAYS
            arrays = {name: file[own] for name, own in zip(_ARRAYS, names, strict=True)}
    except Exception as error:  # whatever a damaged archive makes NumPy say
        raise ValueError(
            f"got {path}, which cannot be read ({type(error).__name__}), expected {wanted}"
        ) from error
    for images, labels in (_ARRAYS[:2], _ARRAYS[2:]):
        _check(path, arrays[images], arrays[labels])
    return arrays


def _check(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    fit = images.dtype == np.uint8 and images.shape[1:] == (SIDE, SIDE)
    fit = fit and labels.dtype.kind in "ui" and labels.shape == images.shape[:1]
    if not fit or len(images) < 12:
        raise ValueError(
            f"got {path} with pictures {images.shape} of {images.dtype} and labels "
            f"{labels.shape} of {labels.dtype}, expected (N, {SIDE}, {SIDE}) of uint8 and (N,) "
            "of whole numbers, a dozen at least"
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(
            f"got {path} with labels from {labels.min()} to {labels.max()}, expected 0 to 9"
        )


def hidden(given: int) -> Tensor:
    """Where a picture is not given, `(28, 28)`: all but `given` of its quadrants.

    Given are the lower left one, the upper left one, the upper right one, in this order, as in
    Pyro's tutorial; none of them means that the whole picture is to be told.

    Example:
        >>> hidden(1)[[0, 0, 27, 27], [0, 27, 0, 27]]
        tensor([ True,  True, False,  True])
    """
    if not 0 <= given <= 3:
        raise ValueError(f"got {given} quadrants, expected 0 to 3 of the four")
    half = SIDE // 2
    lower, left = (slice(half, None), slice(half)), (slice(half), slice(half))
    right = (slice(half), slice(half, None))
    mask = torch.ones(SIDE, SIDE, dtype=torch.bool)
    for quadrant in (lower, left, right)[:given]:
        mask[quadrant] = False
    return mask


def hide(x: Tensor, given: int) -> Tensor:
    """Pictures with `HIDDEN` where they are not given, `(B, 1, 28, 28)` -> the same shape."""
    return x.masked_fill(hidden(given).to(x.device), HIDDEN)
