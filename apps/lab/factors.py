"""Sprites to learn from, and sprites whose combination of factors has never been shown."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from apps.lab.digits import SPLITS
from apps.lab.sprites import COUNT, SIZES, Sprites, factors

# The last rotation shows what the first does: with it a held-out picture would also be in train.
TURNS = SIZES[2] - 1
PICTURES = COUNT // SIZES[2] * TURNS
HELD = PICTURES // 16  # combinations of factors in val, and as many in test
TRAINED = PICTURES - 2 * HELD


@dataclass(frozen=True)
class SpriteSplit:
    """Different pictures of the set by their numbers there, `(N,)`; drawn when asked for."""

    sprites: Sprites
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def tensors(self, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Pictures `(B, 1, 64, 64)`, 0 or 1, and their factors `(B, 5)`."""
        known = factors(self.numbers[rows])
        return self.sprites.render(known), known

    def first(self, n: int | None) -> "SpriteSplit":
        """At most n of them; they are in the order of a lot."""
        return SpriteSplit(self.sprites, self.numbers[:n])

    def binarised(self) -> "SpriteSplit":
        """They are black and white as they are."""
        return self


def load_sprites(split: str) -> SpriteSplit:
    """The combinations of factors of a split, in the order of a lot that is always the same.

    An eighth of all different pictures is held out, half of it as val and half as test; each of
    them has neighbours in train that differ from it by a pixel or a step of rotation.

    Raises:
        ValueError: no such split.

    Example:
        >>> len(load_sprites("train")), len(load_sprites("test"))
        (628992, 44928)
    """
    if split not in SPLITS:
        raise ValueError(f"got split {split!r}, expected one of {', '.join(SPLITS)}")
    order = torch.from_numpy(np.random.default_rng(0).permutation(PICTURES))
    starts = {"train": 0, "val": TRAINED, "test": TRAINED + HELD}
    size = TRAINED if split == "train" else HELD
    place = order[starts[split] : starts[split] + size]
    # numbers without the last rotation to numbers with it
    places = SIZES[3] * SIZES[4]
    figure, rest = place // (TURNS * places), place % (TURNS * places)
    return SpriteSplit(Sprites(), figure * SIZES[2] * places + rest)
