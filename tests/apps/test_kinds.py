"""A stored configuration becomes the networks that it was made from."""

from dataclasses import dataclass

import pytest
from torch import nn

from apps.kinds import Kind, rebuild


@dataclass(frozen=True)
class Size:
    width: int = 3


def build(size: Size) -> nn.Module:
    return nn.Linear(size.width, 1)


KINDS = {"line": Kind(Size, build), "lines": Kind(dict, dict)}


def test_the_stored_size_is_the_size() -> None:
    assert rebuild({"model": "line", "size": {"width": 5}, "steps": 9}, KINDS).in_features == 5


@pytest.mark.parametrize("config", [{"model": "gan", "size": {}}, {"size": {}}])
def test_an_unknown_kind_is_one_clear_error(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"got model '(gan|None)', expected one of line, lines"):
        rebuild(config, KINDS)
