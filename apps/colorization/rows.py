"""The rows of the table: ways to colour, all asked in the same manner, all scored in one loop."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from apps.colorization import predict
from apps.colorization.data import CHROMA_SIZE
from apps.colorization.divcolor import component_answers
from apps.colorization.scores import KS, primary, score
from apps.colorization.truth import Truth
from cvae.model import CVAE

SHAPE = (2, CHROMA_SIZE, CHROMA_SIZE)
BATCH = 32


class Row(ABC):
    """A way to colour a grey picture.

    `sampled`: its noise can be scaled by a temperature. `nested`: its first answers do not depend
    on how many are asked for.
    """

    sampled = False
    nested = True

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        """Answers `(B, n, 2, 64, 64)` in ab/128 to lightness `(B, 1, 128, 128)`, n <= k.

        n < k where the method has no more to say. `generator` lives on the device of `grey`.
        """


class Trained(Row):
    """A row that a trained model answers."""

    def __init__(self, name: str, model: CVAE) -> None:
        super().__init__(name)
        self.model = model


class Samples(Trained):
    """Plain draws of a trained model."""

    sampled = True

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        # a batch of pictures shares its seed, so every batch needs its own
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        drawn = predict.draws(self.model, grey, k=k, seed=seed, temperature=temperature)
        return drawn.float()


class Shown(Trained):
    """The k distinct answers that the product shows by default, with its default seed."""

    nested = False

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return predict.answers(self.model, grey, k=k, seed=0)[0].float()


class ComponentMeans(Trained):
    """The decoded means of a mixture prior, the likeliest component first; as many as it has."""

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return component_answers(self.model, grey, k).float()


def score_row(
    row: Row,
    truth: Truth,
    *,
    device: torch.device,
    temperature: float = 1.0,
    brief: bool = False,
    seed: int = 0,
) -> dict[str, Tensor]:
    """All scores of a row, one number a picture, `(N,)` each on the CPU.

    A few pictures at a time, so that the answers to all of them never exist at once. `brief`: only
    the two scores that temperatures are chosen by.
    """
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[dict[str, Tensor]] = []
    starts = range(0, len(truth), BATCH)
    for start in starts:
        here = slice(start, start + BATCH)
        grey, chroma = truth.grey[here].to(device), truth.chroma[here].to(device)
        ks = (8,) if brief else KS
        sets = _ask(row, grey, ks, temperature=temperature, generator=generator)
        if brief:
            scores = primary(sets, chroma)
        else:
            scores = score(sets, chroma, truth.lightness[here].to(device))
        parts.append({name: value.cpu() for name, value in scores.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _ask(
    row: Row,
    grey: Tensor,
    ks: tuple[int, ...],
    *,
    temperature: float,
    generator: torch.Generator,
) -> dict[int, Tensor]:
    """Answers for every k; below eight, the first of the eight that are shown."""
    asked = {k: k for k in ks if k >= 8} if not row.nested else {max(ks): max(ks)}
    drawn = {k: row.draw(grey, k, generator=generator, temperature=temperature) for k in asked}
    return {k: drawn[min(n for n in drawn if n >= k)][:, :k] for k in ks}
