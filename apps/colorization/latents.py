"""What the latent of a trained model holds: how much is told, and how well the prior knows it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from apps.colorization.truth import Truth
from apps.report import Column, Table
from cvae.model import CVAE

BATCH = 64
ACTIVE = 0.01  # variance of the posterior mean above which a dimension counts as used

COLUMNS = (
    Column("dimensions", "dimensions", digits=0),
    Column("active", "active units", digits=0),
    Column("kl", "KL(q ‖ N(0, I)), nats", digits=1),
    Column("gap", "KL(q ‖ p(z|G)), nats", digits=1),
    Column("bits", "−log p(z|G), bits/dim", digits=3),
)


@dataclass(frozen=True)
class Latents:
    """`bits` `(N,)`: −log p(z|G) of a posterior draw, bits a dimension; `gap` `(N,)`: KL of the
    posterior to the prior by that draw, nats; `kl` `(D,)`: mean KL to N(0, I) a dimension, nats;
    `activity` `(D,)`: variance over pictures of the posterior mean (Burda et al., 2016)."""

    bits: Tensor
    gap: Tensor
    kl: Tensor
    activity: Tensor


@torch.inference_mode()
def measure(model: CVAE, truth: Truth, *, device: torch.device, seed: int = 0) -> Latents:
    """Read every picture with the recognition network and ask the prior for it."""
    generator = torch.Generator(device).manual_seed(seed)
    bits, gap, kl, means = [], [], [], []
    for start in range(0, len(truth), BATCH):
        here = slice(start, start + BATCH)
        features = model.condition(truth.grey[here].to(device))
        posterior: Any = model.posterior(truth.chroma[here].to(device), features)
        z = posterior.sample((), generator=generator)
        log_prior = model.prior(features).log_prob(z)
        bits.append(-log_prior / z.shape[-1] / math.log(2))
        gap.append(posterior.log_prob(z) - log_prior)
        kl.append(posterior.kl_standard())
        means.append(posterior.mean)
    activity = torch.cat(means).var(0, correction=0)
    parts = torch.cat(bits), torch.cat(gap), torch.cat(kl).mean(0), activity
    return Latents(*(part.float().cpu() for part in parts))


def latent_table(title: str, latents: Mapping[str, Latents]) -> Table:
    """One row a model."""
    notes = [
        f"Active: the posterior mean varies by more than {ACTIVE:g} over pictures. Bits a "
        "dimension compare priors over the same latent; between models, read the KL to the prior."
    ]
    table = Table(title, COLUMNS, notes=notes)
    for name, found in latents.items():
        cells = {
            "dimensions": float(len(found.kl)),
            "active": float((found.activity > ACTIVE).sum()),
            "kl": found.kl.sum().item(),
            "gap": found.gap.mean().item(),
            "bits": found.bits.mean().item(),
        }
        table.add(name, cells)
    return table
