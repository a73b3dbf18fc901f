"""The core on data whose truth is known: digits, sprites and the tools of the latent space."""

from typing import TYPE_CHECKING

from apps.lazy import on_demand

if TYPE_CHECKING:
    from apps.lab.predict import Completion, LatentLab

__all__ = ["Completion", "LatentLab"]

__getattr__ = on_demand(__name__, "predict", __all__)
