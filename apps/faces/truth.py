"""Real faces, and all that is known of them before any model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from apps.faces.attributes import COLUMNS
from apps.faces.copula import Copula
from apps.faces.data import Face, Faces, find_faces, halves, load_faces
from apps.faces.held_out import in_lot_order, proportional, requests
from apps.faces.judge import Judge, Seen, thresholds
from apps.faces.realism import Known, apart
from apps.faces.resamples import left_out, resampled

LEAST = 16


@dataclass(frozen=True)
class Plan:
    """How much is computed; every number of faces is at most those there are."""

    resamples: int = 1000  # of the bootstrap
    parts: int = 10  # of the jackknife of distances between sets
    pairs: int = 300  # requests in which each strong attribute is toggled
    copies: int = 1000  # faces that are looked for among those of training
    bounded: int = 200  # faces whose likelihood is bounded, by so many draws:
    draws: int = 50
    seed: int = 0


@dataclass(frozen=True)
class Pictures:
    """N faces with what is asked for in their place and what is judged.

    pixels uint8 `(N, 3, 64, 64)`; labels `(N, A)` over `OFFERED` in {-1, 0, 1}, and `asked`, the
    same with what is not known drawn; groups: whose they are.
    """

    pixels: Tensor
    labels: Tensor
    asked: Tensor
    groups: tuple[str, ...]

    @classmethod
    def of(cls, faces: Faces, copula: Copula) -> "Pictures":
        labels = faces.labels[:, COLUMNS].float()
        return cls(faces.pixels, labels, requests(labels, copula), _whose(faces.faces))

    def first(self, n: int) -> "Pictures":
        return Pictures(self.pixels[:n], self.labels[:n], self.asked[:n], self.groups[:n])

    def __len__(self) -> int:
        return len(self.groups)


@dataclass(frozen=True)
class Truth:
    """What rows are measured against.

    `test` and `seen`: held-out faces and the judge on them; `apart` `(N, N)` twice: distances
    between them, in its features and in pixels; `val`; `lines` `(A,)`: the judge's thresholds,
    balanced on val; `scale` `(A,)`: how its logits spread over real faces; `reference`: its
    features of as many faces of the critics' half of train, which it has not learnt from;
    `known`: all of train; `nearness` `(C, 2)`: of held-out faces to that; `donors`: pixels and
    labels of that half, to paste from.
    """

    test: Pictures
    seen: Seen
    apart: tuple[Tensor, Tensor]
    val: Pictures
    lines: Tensor
    scale: Tensor
    reference: Tensor
    known: Known
    nearness: Tensor
    keep: Tensor
    donors: tuple[Tensor, Tensor]

    def weights(self, plan: Plan, n: int | None = None) -> Tensor:
        """Resamples of the first n held-out faces, `(R + 1, n)`."""
        groups = self.test.groups[:n]
        return resampled(groups, resamples=plan.resamples, seed=plan.seed)


def load_truth(
    data: Path,
    judge: Judge,
    plan: Plan,
    *,
    split: str = "test",
    limit: int | None = None,
    progress: bool = True,
) -> tuple[Truth, dict[str, dict[str, int]]]:
    """Read train, val and the held-out split of every set in `data`; and how many of each set.

    Args:
        limit: at most so many pictures a set, of `split` and of val.

    Raises:
        ValueError: a split has no faces, or the held-out one too few.
    """
    train = load_faces(find_faces(data, "train"), progress=progress)
    labels = train.labels[:, COLUMNS]
    whole = (labels != 0).all(1)  # the copula wants whole rows
    copula = Copula.fit((labels[whole] > 0).numpy())
    found = {
        name: load_faces(
            proportional(find_faces(data, name), train.faces, limit=limit), progress=progress
        )
        for name in dict.fromkeys((split, "val"))
    }
    if len(found[split]) < LEAST:
        raise ValueError(
            f"got {len(found[split])} {split} faces, expected at least {LEAST} to compare sets of"
        )
    test, val = (Pictures.of(found[name], copula) for name in (split, "val"))
    seen, seen_val, seen_train = (judge.see(p) for p in (test.pixels, val.pixels, train.pixels))
    unseen = halves(train.faces)[1]
    unlearnt = [train.faces[i] for i in unseen.tolist()]
    order = in_lot_order(unlearnt)
    known = Known.of(seen_train, train.pixels)
    truth = Truth(
        test=test,
        seen=seen,
        apart=(apart(seen.features), apart(test.pixels)),
        val=val,
        lines=thresholds(seen_val.logits, val.labels),
        scale=seen.logits.double().std(0),
        reference=seen_train.features[unseen[order]][: len(test)],
        known=known,
        nearness=known.nearness(test.pixels[: plan.copies], judge),
        keep=left_out(test.groups, plan.parts),
        donors=(train.pixels[unseen], labels[unseen].float()),
    )
    counts = {"train": _counts(train)} | {name: _counts(faces) for name, faces in found.items()}
    return truth, counts


def _whose(faces: Sequence[Face]) -> tuple[str, ...]:
    return tuple(f"{face.set}/{face.group}" for face in faces)


def _counts(faces: Faces) -> dict[str, int]:
    names = [face.set for face in faces.faces]
    return {name: names.count(name) for name in sorted(set(names))}
