"""A still image becomes several forecasts of how it moves in the next second."""

from typing import TYPE_CHECKING

from apps.lazy import on_demand

if TYPE_CHECKING:
    from apps.motion.predict import Forecast, Forecaster, Hint

__all__ = ["Forecast", "Forecaster", "Hint"]

__getattr__ = on_demand(__name__, "predict", __all__)
