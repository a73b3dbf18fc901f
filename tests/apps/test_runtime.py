"""Devices are named or refused, and every draw has a seed of its own."""

import pytest

from apps import runtime


def test_device_names() -> None:
    assert runtime.pick_device("cpu").type == "cpu"
    assert runtime.pick_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="expected auto, cpu or cuda"):
        runtime.pick_device("tpu")


def test_no_two_draws_share_a_seed() -> None:
    keys = {runtime.key(seed, j) for seed in range(50) for j in range(50)}
    assert len(keys) == 2500 and all(0 <= key < 2**63 for key in keys)


def test_a_seed_of_any_size_has_keys() -> None:
    assert 0 <= runtime.key(2**70, 3) < 2**63
    assert 0 <= runtime.key(-1, 0) < 2**63
