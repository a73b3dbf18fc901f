"""The judge reads 8-bit pictures in batches, and draws its lines where it is right most evenly."""

import pytest
import torch

from apps.faces import judge
from apps.faces.attributes import OFFERED
from apps.faces.classifier import Evaluator
from tests.apps.faces import planted


def test_batches_change_nothing_and_both_answers_are_the_networks() -> None:
    torch.manual_seed(0)
    network = Evaluator(attributes=3)
    pixels = planted.faces(planted.labels(judge.BATCH + 2))
    seen = judge.Judge(network, device=planted.CPU).see(pixels)
    assert not network.training
    with torch.no_grad():
        x = pixels[-2:].float() / 127.5 - 1
        assert torch.allclose(seen.logits[-2:], network(x), atol=1e-4)
        assert torch.allclose(seen.features[-2:], network.features(x), atol=1e-4)


def test_lines_are_balanced_on_what_is_known() -> None:
    logits = torch.tensor([[1.0, 1.0], [2.0, 5.0], [6.0, 2.0], [3.0, 3.0]])
    labels = torch.tensor([[-1.0, 1.0], [-1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    # of the second attribute no face is known to lack it
    assert judge.thresholds(logits, labels).tolist() == pytest.approx([4.0, 0.0])


def test_a_planted_judge_sees_what_was_planted() -> None:
    states = planted.labels(20)
    logits = planted.judge().see(planted.faces(states)).logits
    assert logits.shape == (20, len(OFFERED)) and torch.equal(logits.sign(), states)
