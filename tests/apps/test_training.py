"""What the commands of every domain share before a model is trained or measured."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from apps import training
from pretrained.store import WeightsError


def test_a_model_that_is_not_there_is_missed_before_its_rivals_are_trained(tmp_path: Path) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("this takes an hour")

    asked = argparse.Namespace(
        data=tmp_path,
        out=tmp_path,
        cache=tmp_path,
        model="no-such-model",
        split="test",
        device="cpu",
        limit=None,
        no_training=False,
    )
    with pytest.raises(WeightsError, match="no-such-model"):
        training.evaluate(asked, model="motion", evaluate=never, rivals=never, plan_of=never)
