"""What a toggle asks for: one attribute goes the other way, and what it excludes goes off."""

import torch

from apps.faces.attributes import OFFERED, STRONG_COLUMNS, partners
from apps.faces.held_out import toggled
from apps.faces.turn import SEEN, turn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels(n: int) -> torch.Tensor:
    return torch.randint(-1, 2, (n, len(OFFERED)), generator=generator(1)).float()


def test_a_share_has_one_attribute_turned_and_the_rest_stays() -> None:
    y = labels(4000)
    asked, which = turn(y, 0.25, generator())
    assert set(which.unique().tolist()) == {0.0, 1.0} and which.sum(1).max() == 1
    assert abs(which.sum(1).mean() - 0.25) < 0.02
    still = which.sum(1) == 0
    assert torch.equal(asked[still], y[still])
    told = which * (y != 0) > 0
    assert torch.equal(asked[told], -y[told])
    was_open = which * (y == 0) > 0
    assert abs(asked[was_open].mean()) < 0.15 and bool((asked[was_open] != 0).all())


def test_what_goes_on_is_asked_as_a_toggle_of_the_evaluation_asks_it() -> None:
    y = -labels(3000).sign()
    y[y == 0] = 1  # people give labels that exclude each other, too
    asked, which = turn(y, 1.0, generator())
    column = which.argmax(1)
    off, on = toggled(y, range(len(OFFERED)))
    went_on = asked.gather(1, column[:, None])[:, 0] > 0
    rows = torch.arange(len(y))
    expected = torch.where(went_on[:, None], on[rows, column], off[rows, column])
    assert torch.equal(asked, expected)
    changed = (asked != y) & ~which.bool()
    assert changed.any() and bool(partners()[column][changed].all())


def test_those_that_are_seen_best_are_turned_most() -> None:
    _, which = turn(labels(20_000), 1.0, generator())
    found = which.mean(0)
    rest = (1 - SEEN) / len(OFFERED)
    expected = torch.full_like(found, rest)
    expected[list(STRONG_COLUMNS)] += SEEN / len(STRONG_COLUMNS)
    assert (found - expected).abs().max() < 0.01


def test_the_same_seed_gives_the_same_requests() -> None:
    y = labels(50)
    first, again, other = (turn(y, 0.5, generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first[0], again[0]) and not torch.equal(first[0], other[0])
