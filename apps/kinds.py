"""Designs by name: from a stored configuration back to networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A design: its sizes, and what builds its networks from one of them."""

    size: Callable[..., Any]
    build: Callable[[Any], Any]


def rebuild(config: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Any:
    """The networks of a stored configuration: `model`, one of `kinds`, and its `size`.

    Raises:
        ValueError: the kind is unknown.

    Example:
        >>> from torch import nn
        >>> kinds = {"linear": Kind(dict, lambda size: nn.Linear(**size))}
        >>> config = {"model": "linear", "size": {"in_features": 3, "out_features": 2}}
        >>> rebuild(config, kinds).weight.shape
        torch.Size([2, 3])
    """
    name = str(config.get("model"))
    if name not in kinds:
        raise ValueError(f"got model {name!r}, expected one of {', '.join(kinds)}")
    kind = kinds[name]
    return kind.build(kind.size(**config["size"]))
