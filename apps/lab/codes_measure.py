"""What is measured of codes: bits against errors, codes in use, exact likelihood."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from apps.lab.codes_law import CodeLaw, encode
from apps.lab.codes_model import Codec
from apps.lab.digits import Digits
from apps.lab.measure import Plan, batches, device_of
from apps.lab.model import PIXELS
from apps.report import Cell
from cvae.pixelcnn import PixelCNN
from cvae.quantize import perplexity


def uniform_bits(codec: Codec) -> float:
    r"""Bits a pixel of codes that are all as probable, $\frac1{784}\sum_l h_l w_l \log_2 K_l$.

    Example:
        >>> from apps.lab.codes_model import CodecSize
        >>> uniform_bits(Codec(CodecSize(codes=(16,), width=8, dim=2)))  # four bits, 7×7 places
        0.25
    """
    places = [side**2 for side in codec.sides]
    bits = [n * math.log2(size) for n, size in zip(places, codec.sizes, strict=True)]
    return sum(bits) / PIXELS


def bits_per_pixel(law: CodeLaw, codes: Sequence[Tensor], labels: Tensor) -> Tensor:
    r"""Bits a pixel that an ideal coder needs, $-\frac1{784}\log_2 p(e | c)$, `(N,)`."""
    device, found = device_of(law.codec), []
    for part in torch.arange(len(labels)).split(100):
        own = [level[part].to(device) for level in codes]
        found.append(law.log_prob(own, labels[part].to(device)).cpu())
    return torch.cat(found) / (-math.log(2) * PIXELS)


@torch.no_grad()
def squared_errors(codec: Codec, codes: Sequence[Tensor], digits: Digits) -> Tensor:
    """Mean squared error of each picture as its codes tell it, grey in [0, 1], `(N,)`."""
    device, found = device_of(codec), []
    parts = zip(*(level.split(100) for level in codes), strict=True)
    for (x, _), part in zip(batches(digits, device), parts, strict=True):
        told = codec.decode([level.to(device) for level in part]).clamp(0, 1)
        found.append((told - x).square().mean((1, 2, 3)).cpu())
    return torch.cat(found)


def usage(codes: Tensor, size: int) -> dict[str, float]:
    """Of a map of `size` codes: how many occur, and their perplexity.

    Example:
        >>> usage(torch.tensor([[[0, 0], [3, 3]]]), 8)
        {'used': 2.0, 'perplexity': 2.0}
    """
    counts = codes.flatten().bincount(minlength=size).float()
    return {"used": float((counts > 0).sum()), "perplexity": perplexity(counts).item()}


def measure_codes(
    codec: Codec, law: CodeLaw | None, digits: Digits, plan: Plan
) -> dict[str, Cell]:
    """Error and bits of grey digits, and use of every level; without a law no bits but uniform."""
    codes = encode(codec, digits)
    cells: dict[str, Cell] = {
        "mse": plan.interval(squared_errors(codec, codes, digits)),
        "uniform": uniform_bits(codec),
    }
    if law is not None:
        cells["bits"] = plan.interval(bits_per_pixel(law, codes, digits.labels))
    for n, (level, size) in enumerate(zip(codes, codec.sizes, strict=True)):
        cells |= {f"{name}_{n}": value for name, value in usage(level, size).items()}
    return cells


@torch.no_grad()
def exact_nll(model: PixelCNN, digits: Digits) -> Tensor:
    """-log p(x) of binarised digits, no bound, `(N,)` nats."""
    found: list[Any] = []
    for x, _ in batches(digits, device_of(model)):
        found.append(-model.log_prob(x[:, 0].round().long()).cpu())
    return torch.cat(found)
