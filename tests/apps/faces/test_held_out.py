"""Held-out faces in the mixture of train, requests that are whole, and toggles of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from apps.faces import held_out
from apps.faces.attributes import EXCLUSIVE, OFFERED, STRONG
from apps.faces.copula import Copula
from apps.faces.data import Face
from tests.apps.faces import planted

UNKNOWN = np.zeros(40, np.int8)


def some(name: str, n: int, split: str = "test") -> list[Face]:
    return [Face(Path(f"{name}/{i}.png"), name, split, str(i), UNKNOWN) for i in range(n)]


def counts(faces: list[Face]) -> dict[str, int]:
    return {name: sum(face.set == name for face in faces) for name in {f.set for f in faces}}


def test_the_sets_keep_the_proportion_of_train() -> None:
    train = some("a", 200, "train") + some("b", 100, "train")
    assert counts(held_out.proportional(some("a", 50) + some("b", 90), train)) == {
        "a": 50,
        "b": 25,
    }
    assert counts(held_out.proportional(some("a", 80) + some("b", 10), train)) == {
        "a": 20,
        "b": 10,
    }
    limited = held_out.proportional(some("a", 50) + some("b", 90), train, limit=8)
    assert counts(limited) == {"a": 8, "b": 4}
    # what train does not have is not judged
    assert counts(held_out.proportional(some("a", 50) + some("c", 90), train)) == {"a": 50}
    with pytest.raises(ValueError, match="'c'"):
        held_out.proportional(some("c", 5), train)


def test_which_faces_stay_depends_on_their_names_alone_and_mixes_the_sets() -> None:
    train = some("a", 100, "train") + some("b", 100, "train")
    faces = some("a", 30) + some("b", 60)
    kept = held_out.proportional(faces, train)
    assert kept == held_out.proportional(faces[::-1], train)
    assert {f.path.name for f in kept if f.set == "b"} != {f"{i}.png" for i in range(30)}
    assert 5 <= counts(kept[:20])["a"] <= 15
    assert [kept[i] for i in held_out.in_lot_order(kept).tolist()] == kept


@pytest.fixture(scope="module")
def copula() -> Copula:
    return Copula.fit((planted.labels(300) > 0).numpy())


def test_requests_state_everything_and_keep_every_label(copula: Copula) -> None:
    labels = planted.labels(12, unknown=0.4)
    labels[0] = planted.labels(1)[0]
    asked = held_out.requests(labels, copula)
    assert ((asked == 1) | (asked == -1)).all()
    assert torch.equal(asked[labels != 0], labels[labels != 0])
    assert torch.equal(asked, held_out.requests(labels, copula))
    assert not torch.equal(asked, held_out.requests(labels, copula, seed=100))
    # rows that know nothing are drawn each by itself, and have nothing that excludes another
    drawn = held_out.requests(torch.zeros(6, len(OFFERED)), copula)
    assert len({tuple(y) for y in drawn.tolist()}) == 6
    for line in EXCLUSIVE:
        assert (drawn[:, [OFFERED.index(name) for name in line]] > 0).sum(1).max() <= 1


def test_toggles_change_one_attribute_and_what_it_excludes() -> None:
    asked = planted.labels(5)
    off, on = held_out.toggled(asked)
    assert off.shape == on.shape == (5, len(STRONG), len(OFFERED))
    excludes = {
        name: {other for line in EXCLUSIVE if name in line for other in line} - {name}
        for name in STRONG
    }
    for t, name in enumerate(STRONG):
        for i in range(5):
            for a, other in enumerate(OFFERED):
                before, after = off[i, t, a].item(), on[i, t, a].item()
                if other == name:
                    assert (before, after) == (-1, 1)
                elif other in excludes[name]:
                    assert before == asked[i, a] and after == -1
                else:
                    assert before == after == asked[i, a]
