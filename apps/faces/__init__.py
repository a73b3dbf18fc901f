"""A set of attributes becomes several different faces that have them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.faces.predict import FaceMaker, MadeFaces

__all__ = ["FaceMaker", "MadeFaces"]


def __getattr__(name: str) -> Any:
    # the package is light until somebody asks for the model
    if name in __all__:
        from apps.faces import predict

        return getattr(predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
