"""Faces as a CVAE: which networks, at which size."""

from dataclasses import dataclass

from apps.faces.networks import FaceDecoder, FaceEncoder, Requests
from cvae.model import CVAE
from cvae.networks import StandardPrior

SIDE = 64  # pixels


@dataclass(frozen=True)
class Size:
    """The one dial is `width`: channels at 32 pixels; the rest follows the design."""

    width: int = 32
    latent: int = 128
    attributes: int = 30


def build(size: Size) -> CVAE:
    """Networks for requests `(B, A)` in {-1, 0, 1} and faces `(B, 3, 64, 64)` in [-1, 1].

    Example:
        >>> import torch
        >>> model = build(Size(width=8, latent=16, attributes=5))
        >>> model.sample(torch.zeros(2, 5), k=3).shape
        torch.Size([2, 3, 3, 64, 64])
    """
    context = 4 * size.width
    parts = {"width": size.width, "latent": size.latent, "context": context}
    return CVAE(
        condition=Requests(attributes=size.attributes, context=context),
        recognition=FaceEncoder(**parts),
        prior=StandardPrior(size.latent),
        generation=FaceDecoder(**parts),
    )
