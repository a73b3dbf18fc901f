"""Rows are asked in one manner: reproducible, in batches, with one z for both faces of a pair."""

import torch

from apps.faces import held_out, rows
from apps.faces.frame import to_network
from tests.apps.faces import planted


def test_faces_are_of_the_seed_and_batches_keep_their_requests() -> None:
    asked, row = planted.labels(rows.BATCH + 6), planted.row()
    faces = row.make(asked, seed=3)
    assert torch.equal(faces, row.make(asked, seed=3))
    assert not torch.equal(faces, row.make(asked, seed=4))
    assert faces.dtype == torch.uint8
    assert torch.equal(planted.judge().see(faces).logits.sign(), asked)
    # the second batch is no copy of the first
    free = to_network(faces)[:, 0, 40:48:8, ::8]
    assert len({tuple(z) for z in free.flatten(1).tolist()}) == len(asked)


def test_both_faces_of_a_pair_have_the_z_of_their_request() -> None:
    asked, row = planted.labels(3), planted.row()
    off, on = held_out.toggled(asked, (0, 5))
    first, second = row.toggle(asked, off, on, seed=0)
    assert first.shape == second.shape == (6, 3, 64, 64)
    free = (slice(None), slice(None), slice(40, 48))
    assert torch.equal(first[free], second[free])
    pairs = first[free].unflatten(0, (3, 2))
    assert torch.equal(pairs[:, 0], pairs[:, 1]) and not torch.equal(pairs[0], pairs[1])
    judge = planted.judge()
    for faces, requests in ((first, off), (second, on)):
        assert torch.equal(judge.see(faces).logits.sign(), requests.flatten(0, 1))
