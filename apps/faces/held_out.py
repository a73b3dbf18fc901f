"""Which faces are held out, what is asked of a model in their place, and the same toggled."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS, consistent, partners, stated
from apps.faces.copula import Copula
from apps.faces.data import Face


def proportional(
    faces: Sequence[Face], train: Sequence[Face], *, limit: int | None = None
) -> list[Face]:
    """As many faces of each set as keep the proportion that the sets have in `train`.

    What a model learnt is a mixture, and is judged against the same mixture. Which faces stay,
    and their order, is a hash of their names: any first few are the mixture again.

    Args:
        limit: at most so many of a set.

    Raises:
        ValueError: no set of `faces` is one of `train`.
    """
    wanted = Counter(face.set for face in train)
    have = Counter(face.set for face in faces)
    shared = sorted(have.keys() & wanted.keys())
    if not shared:
        raise ValueError(f"got faces of {sorted(have)}, expected some of {sorted(wanted)}")
    scale = min(min(have[name], limit or have[name]) / wanted[name] for name in shared)
    kept = []
    for name in shared:
        own = sorted((face for face in faces if face.set == name), key=_lot)
        kept += own[: max(1, round(scale * wanted[name]))]
    return sorted(kept, key=_lot)


def in_lot_order(faces: Sequence[Face]) -> Tensor:
    """Row numbers of faces in the order of that hash, `(N,)`: any first few are like all."""
    order = sorted(range(len(faces)), key=lambda i: _lot(faces[i]))
    return torch.tensor(order, dtype=torch.long)


def _lot(face: Face) -> str:
    return hashlib.sha256(f"held out {face.set}/{face.path.name}".encode()).hexdigest()


def requests(labels: Tensor, copula: Copula, *, seed: int = 0) -> Tensor:
    """What is asked for in place of each face, `(N, A)` in {-1, 1}: its labels, all of them.

    What is not known is drawn given the rest, as `FaceMaker` does; row i from (seed + i) alone.

    Shapes: labels `(N, A)` in {-1, 0, 1} over `OFFERED`.
    """
    asked = labels.clone()
    for i in torch.nonzero((labels == 0).any(1)).flatten().tolist():
        drawn = copula.complete(labels[i], k=1, seed=seed + i)[0]
        known = {*stated(labels[i])}
        # labels stay as they are, also where people gave two that exclude each other
        asked[i] = torch.where(labels[i] != 0, labels[i], consistent(drawn, known))
    return asked


def toggled(asked: Tensor, columns: Sequence[int] = STRONG_COLUMNS) -> tuple[Tensor, Tensor]:
    """Every request with each of T attributes off, and on, all else the same, `(N, T, A)` both.

    On, what the attribute excludes is off, as `FaceMaker.progression` has it.
    """
    off = asked[:, None].repeat(1, len(columns), 1)
    on = off.clone()
    excludes = partners()
    for t, column in enumerate(columns):
        off[:, t, column] = -1
        on[:, t, excludes[column]] = -1
        on[:, t, column] = 1
    return off, on
