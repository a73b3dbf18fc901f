"""A set of attributes becomes several different faces that have them."""

from typing import TYPE_CHECKING

from apps.lazy import on_demand

if TYPE_CHECKING:
    from apps.faces.predict import FaceMaker, MadeFaces

__all__ = ["FaceMaker", "MadeFaces"]

__getattr__ = on_demand(__name__, "predict", __all__)
