"""What models make of faces that exist: reconstructions, their rates, bounds on likelihood."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from apps.faces.frame import to_network, to_pixels
from apps.faces.layered import Layers
from apps.faces.rows import Row
from cvae.likelihoods import gaussian
from cvae.objective import importance_weighted_nll

BATCH = 64
AT_ONCE = 16  # draws of one face that are decoded together


@dataclass(frozen=True)
class Reconstruction:
    """N faces encoded and decoded again; errors in units of [-1, 1].

    pixels uint8 `(N, 3, 64, 64)`, decoded from the posterior's mean; `mae`, `mse` `(N,)` of
    that; `drawn` `(N,)`, the MSE of a draw of the posterior; `kl` `(N, D)` to N(0, I), nats;
    `means` `(N, D)` of the posteriors.
    """

    pixels: Tensor
    mae: Tensor
    mse: Tensor
    drawn: Tensor
    kl: Tensor
    means: Tensor


@torch.inference_mode()
def reconstruct(row: Row, pixels: Tensor, asked: Tensor, *, seed: int) -> Reconstruction:
    """Encode faces uint8 `(N, 3, 64, 64)` with requests `(N, A)`, and decode them."""
    generator = torch.Generator(row.device).manual_seed(seed)
    parts = []
    for faces, y in zip(pixels.split(BATCH), asked.split(BATCH), strict=True):
        x, features = to_network(faces.to(row.device)), row.model.condition(y.to(row.device))
        posterior: Any = row.model.posterior(x, features)
        z = posterior.sample((), generator=generator)
        painted, drawn = row.model.decode(torch.stack([posterior.mean, z]), features).unbind(1)
        error = painted - x
        found = {
            "pixels": to_pixels(painted),
            "mae": error.abs().mean((1, 2, 3)),
            "mse": error.square().mean((1, 2, 3)),
            "drawn": (drawn - x).square().mean((1, 2, 3)),
            # of the background what is in front has been drawn for
            "kl": posterior.kl_standard(*((z,) if isinstance(posterior, Layers) else ())),
            "means": posterior.mean,
        }
        parts.append({name: value.cpu() for name, value in found.items()})
    return Reconstruction(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


@torch.inference_mode()
def bits(
    row: Row, pixels: Tensor, asked: Tensor, *, variance: float, samples: int, seed: int
) -> Tensor:
    r"""Bound on $-\log_2 p(x|y)$ a dimension, `(N,)`, from `samples` draws of the posterior.

    The Gaussian's density is counted in levels of 8 bits, the units in which bits a dimension are
    printed elsewhere: $\mathrm{nats} / (D \ln 2) + \log_2 127.5$.
    """
    generator = torch.Generator(row.device).manual_seed(seed)
    few = BATCH // AT_ONCE
    parts = []
    for faces, y in zip(pixels.split(few), asked.split(few), strict=True):
        x = to_network(faces.to(row.device))
        nats = importance_weighted_nll(
            row.model,
            x,
            row.model.condition(y.to(row.device)),
            likelihood=partial(gaussian, variance=variance),
            samples=samples,
            generator=generator,
            at_once=AT_ONCE,
        )
        parts.append(nats.double().cpu() / x[0].numel() / math.log(2) + math.log2(127.5))
    return torch.cat(parts)
