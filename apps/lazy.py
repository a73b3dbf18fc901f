"""Packages that are light until somebody asks for their model."""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any


def on_demand(package: str, module: str, names: Collection[str]) -> Callable[[str], Any]:
    """A package's `__getattr__` that takes `names` from its `module` when they are asked for.

    Example:
        >>> find = on_demand("apps", "lazy", ["on_demand"])
        >>> find("on_demand") is on_demand
        True
        >>> find("of_order")
        Traceback (most recent call last):
        AttributeError: module 'apps' has no attribute 'of_order'
    """

    def find(name: str) -> Any:
        if name in names:
            return getattr(import_module(f"{package}.{module}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
