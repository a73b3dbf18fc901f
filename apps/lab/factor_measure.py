"""What is measured of models of sprites: scores over the known factors, and the bound."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from apps.lab.factors import SpriteSplit
from apps.lab.measure import device_of
from apps.lab.sprites import NAMES, SIZES, Sprites
from apps.report import Cell
from cvae.disentanglement import Scores, all_scores
from cvae.interventions import Represent
from cvae.likelihoods import bernoulli
from cvae.metrics import Interval, bootstrap
from cvae.model import CVAE
from cvae.objective import active_units, kl_per_dimension

BLOCK = 250  # pictures that a model sees at once: their maps stay in the caches of a processor


@dataclass(frozen=True)
class FactorPlan:
    """How much is computed."""

    sizes: tuple[int, ...] = SIZES  # values of each factor, evenly spread where not all
    repeats: int = 5  # draws of factors that every score is measured on, and
    rows: int = 15_000  # pictures of each that are read; two thirds of them with labels
    pictures: int = 5000  # held out, for the bound
    seed: int = 0

    def interval(self, values: Tensor) -> Interval:
        """Mean with its 95 % bootstrap interval."""
        generator = torch.Generator().manual_seed(self.seed)
        return bootstrap(values.float(), generator=generator)


def measure_factors(model: CVAE, held: SpriteSplit, plan: FactorPlan) -> dict[str, Cell]:
    """Scores over the whole set, and the bound on held-out pictures."""
    scores = measure_scores(represent(model, held.sprites, plan.sizes), plan)
    bound = measure_bound(model, held.first(plan.pictures), seed=plan.seed)
    kl = bound.kl.mean(0).sort(descending=True).values
    return {
        **scores,
        "bound": plan.interval(bound.nats),
        "kl": plan.interval(bound.kl.sum(1)),
        "active": float(active_units(bound.means)),
        "latents": " ".join(f"{nats:.2f}" for nats in kl.tolist()),
    }


def measure_scores(look: Represent, plan: FactorPlan) -> dict[str, Interval]:
    """Every score of `cvae.disentanglement`, its mean over repeated draws of factors."""
    shape = NAMES.index("shape")
    found = [
        all_scores(look, plan.sizes, categorical=(shape,), n=plan.rows, seed=plan.seed + n)
        for n in range(plan.repeats)
    ]
    return {
        name: plan.interval(torch.tensor(values))
        for name, values in zip(Scores._fields, zip(*found, strict=True), strict=True)
    }


@torch.no_grad()
def represent(model: CVAE, sprites: Sprites, sizes: tuple[int, ...]) -> Represent:
    """Factors `(N, 5)` -> posterior means `(N, D)`, looked up: each picture is seen only once.

    With fewer values of a factor than there are, they are spread evenly over its range.
    """
    every = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    every = every * torch.tensor(SIZES) // torch.tensor(sizes)
    device, means = device_of(model), []
    for part in every.split(BLOCK):
        x = sprites.render(part).to(device)
        means.append(model.posterior(x, model.condition(part.to(device))).mean.cpu())
    return partial(_look_up, torch.cat(means).unflatten(0, sizes))


def _look_up(table: Tensor, factors: Tensor) -> Tensor:
    return table[factors.unbind(1)]


class Bound(NamedTuple):
    """Of N pictures: -ELBO `(N,)` by one draw, KL(q || p) `(N, D)`, posterior means `(N, D)`."""

    nats: Tensor
    kl: Tensor
    means: Tensor


@torch.no_grad()
def measure_bound(model: CVAE, held: SpriteSplit, *, seed: int = 0) -> Bound:
    """The bound with β = 1, whatever the model was trained by; the divergence in closed form."""
    device, found = device_of(model), []
    generator = torch.Generator(device).manual_seed(seed)
    for start in range(0, len(held), BLOCK):
        x, known = (part.to(device) for part in held.tensors(slice(start, start + BLOCK)))
        features = model.condition(known)
        q = model.posterior(x, features)
        logits = model.decode(q.rsample((1,), generator=generator), features)[:, 0]
        kl = kl_per_dimension(q, model.prior(features))
        nats = kl.sum(1) - bernoulli(logits, x)
        found.append((nats.cpu(), kl.cpu(), q.mean.cpu()))
    return Bound(*(torch.cat(parts) for parts in zip(*found, strict=True)))
