"""A grey photo becomes several plausible colour photos."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.colorization.predict import Colorization, Colorizer

__all__ = ["Colorization", "Colorizer"]


def __getattr__(name: str) -> Any:
    # the package is light until somebody asks for the model
    if name in __all__:
        from apps.colorization import predict

        return getattr(predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
