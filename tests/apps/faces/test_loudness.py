"""A toggle said louder is heard by who is hard of hearing; what it leaves alone stays."""

import torch

from apps.faces.held_out import toggled
from apps.faces.loudness import GAINS, loudest, said
from tests.apps.faces import planted
from tests.apps.faces.planted import A


def test_louder_is_the_same_change_around_the_same_middle() -> None:
    off, on = toggled(planted.labels(5))
    same, more = said(off, on, 1.0), said(off, on, 4.0)
    assert torch.equal(same[0], off) and torch.equal(same[1], on)
    assert torch.equal(more[1] - more[0], 4 * (on - off))
    assert torch.equal(more[1] + more[0], on + off)


def test_it_is_said_as_loud_as_the_most_hear_it_and_no_louder() -> None:
    asked, judge = planted.labels(10), planted.judge()
    # a whole toggle moves a logit from -2 to 2 times what is heard of it
    for hears, line, gain in ((1.0, 1.9, 1.0), (0.2, 0.7, 2.0), (0.2, 1.1, 3.0), (0.0, 0.5, 1.0)):
        lines = torch.full((A,), line, dtype=torch.float64)
        found = loudest(planted.row(hears), asked, judge, lines, seed=0)
        assert found == gain and found in GAINS
