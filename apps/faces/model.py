"""Faces as a CVAE: which networks, at which size."""

from dataclasses import dataclass

from torch import nn

from apps.faces.attr2img import Attr2ImgSize, build_attr2img
from apps.faces.attributes import OFFERED
from apps.faces.classifier import Evaluator, Reader
from apps.faces.detector import Detector
from apps.faces.layered import LayeredSize, build_layered
from apps.faces.networks import FaceDecoder, FaceEncoder, Requests
from apps.kinds import Kind
from cvae.model import CVAE
from cvae.networks import StandardPrior


@dataclass(frozen=True)
class Size:
    """The one dial is `width`: channels at 32 pixels; the rest follows the design."""

    width: int = 32
    latent: int = 64
    attributes: int = len(OFFERED)


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


@dataclass(frozen=True)
class ReaderSize:
    """Of the network that reads uploads."""

    width: int = 32
    attributes: int = len(OFFERED)


@dataclass(frozen=True)
class EvaluatorSize:
    """Of the network that judges: it has no dial, so that figures stay comparable."""

    attributes: int = len(OFFERED)


@dataclass(frozen=True)
class DetectorSize:
    """Of the network that finds faces in photos."""

    width: int = 64
    blocks: int = 4


def build_reader(size: ReaderSize) -> nn.Module:
    return Reader(width=size.width, attributes=size.attributes)


def build_evaluator(size: EvaluatorSize) -> nn.Module:
    return Evaluator(attributes=size.attributes)


def build_detector(size: DetectorSize) -> nn.Module:
    return Detector(width=size.width, blocks=size.blocks)


KINDS = {
    "faces": Kind(Size, build),
    "attr2img": Kind(Attr2ImgSize, build_attr2img),
    "layered": Kind(LayeredSize, build_layered),
    "reader": Kind(ReaderSize, build_reader),
    "evaluator": Kind(EvaluatorSize, build_evaluator),
    "detector": Kind(DetectorSize, build_detector),
}
