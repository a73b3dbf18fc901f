"""A still image becomes several forecasts of how it moves in the next second."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.motion.predict import Forecast, Forecaster, Hint

__all__ = ["Forecast", "Forecaster", "Hint"]


def __getattr__(name: str) -> Any:
    # the package is light until somebody asks for the model
    if name in __all__:
        from apps.motion import predict

        return getattr(predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
