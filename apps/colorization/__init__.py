"""A grey photo becomes several plausible colour photos."""

from typing import TYPE_CHECKING

from apps.lazy import on_demand

if TYPE_CHECKING:
    from apps.colorization.predict import Colorization, Colorizer

__all__ = ["Colorization", "Colorizer"]

__getattr__ = on_demand(__name__, "predict", __all__)
