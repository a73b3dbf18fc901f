"""The core on data whose truth is known: digits, sprites and the tools of the latent space."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.lab.predict import Completion, LatentLab

__all__ = ["Completion", "LatentLab"]


def __getattr__(name: str) -> Any:
    # the package is light until somebody asks for the model
    if name in __all__:
        from apps.lab import predict

        return getattr(predict, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
