"""What is measured of models of digits; every figure is a cell of a table, by its column."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from apps.lab.digits import CLASSES, Digits
from apps.lab.objective import condition_of, likelihood_of
from apps.report import Cell
from cvae.metrics import Interval, bootstrap
from cvae.model import CVAE
from cvae.objective import active_units, importance_weighted_nll, kl_per_dimension
from cvae.readout import LinearReadout


@dataclass(frozen=True)
class Plan:
    """How much is computed."""

    draws: int = 200  # of every digit's bound, and
    many: int = 5000  # so many for the first
    bounded: int = 250  # of them
    tutorial: int = 10  # draws that Pyro's tutorial averages
    samples: int = 5000  # pictures that are shown to the classifier
    neighbours: int = 5
    sure: float = 0.9  # the classifier recognises what it gives this probability
    seed: int = 0

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        return torch.Generator(device).manual_seed(self.seed)

    def interval(self, values: Tensor) -> Interval:
        """Mean over digits, with its 95 % bootstrap interval."""
        return bootstrap(values.float(), generator=self.generator())


def batches(
    digits: Digits, device: torch.device, *, size: int = 100
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures in [0, 1] and labels, in order."""
    for start in range(0, len(digits), size):
        x, labels = digits.tensors(slice(start, start + size))
        yield x.to(device), labels.to(device)


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def nll(
    model: CVAE, digits: Digits, *, draws: int, generator: torch.Generator, given: int = 0
) -> Tensor:
    """Bound on -log p(x | c) by so many draws of the posterior, `(N,)` nats."""
    bounded = partial(importance_weighted_nll, likelihood=likelihood_of(given), samples=draws)
    found = []
    for x, labels in batches(digits, device_of(model)):
        features = model.condition(condition_of(x, labels, given))
        # a few draws at once: maps of convolutions then stay in the caches of a processor
        found.append(bounded(model, x, features, generator=generator, at_once=4).cpu())
    return torch.cat(found)


def measure_likelihood(model: CVAE, digits: Digits, plan: Plan) -> dict[str, Cell]:
    """Bounds by few draws and by many, KL(q || p) and how many dimensions are in use."""
    generator = plan.generator(device_of(model))
    few = nll(model, digits, draws=plan.draws, generator=generator)
    part = digits.first(plan.bounded)
    many = nll(model, part, draws=plan.many, generator=generator)
    codes = encode(model, digits)
    return {
        "few": plan.interval(few),
        "many": _sum(plan.interval(few), plan.interval(many - few[: len(part)])),
        "kl": codes.kl.mean().item(),
        "active": float(active_units(codes.z)),
    }


def _sum(a: Interval, b: Interval) -> Interval:
    """Of two means; wider than needed, as both may be at their ends at once."""
    return Interval(a.mean + b.mean, a.low + b.low, a.high + b.high)


@torch.no_grad()
def measure_guesses(baseline: nn.Module, digits: Digits, plan: Plan, *, given: int) -> Interval:
    """-log p of the hidden pixels, each on its own."""
    likelihood, found = likelihood_of(given), []
    for x, labels in batches(digits, device_of(baseline)):
        found.append(-likelihood(baseline(condition_of(x, labels, given)), x).cpu())
    return plan.interval(torch.cat(found))


def measure_quadrants(
    model: CVAE, digits: Digits, plan: Plan, *, given: int
) -> tuple[Interval, Interval]:
    """-log p of the hidden pixels: the mean of bounds by one draw each, as Pyro's tutorial has
    it, and the importance-weighted bound by `plan.draws`."""
    generator = plan.generator(device_of(model))
    singles = [
        nll(model, digits, draws=1, generator=generator, given=given) for _ in range(plan.tutorial)
    ]
    tight = nll(model, digits, draws=plan.draws, generator=generator, given=given)
    return plan.interval(torch.stack(singles).mean(0)), plan.interval(tight)


class Codes(NamedTuple):
    """What a model makes of N digits: posterior means `(N, D)`, KL(q || p) `(N,)` nats, labels
    `(N,)`."""

    z: Tensor
    kl: Tensor
    labels: Tensor


@torch.no_grad()
def encode(model: CVAE, digits: Digits) -> Codes:
    means, rates = [], []
    for x, labels in batches(digits, device_of(model)):
        features = model.condition(labels)
        q = model.posterior(x, features)
        means.append(q.mean.cpu())
        rates.append(kl_per_dimension(q, model.prior(features)).sum(1).cpu())
    return Codes(torch.cat(means), torch.cat(rates), digits.labels)


def measure_separability(learn: Codes, held: Codes, plan: Plan) -> dict[str, Cell]:
    """Share of held-out digits whose class a straight line finds, and the nearest neighbours."""
    lines = LinearReadout(learn.z, learn.labels)(held.z)
    near = neighbours(learn.z, learn.labels, held.z, k=plan.neighbours)
    return {
        "probe": plan.interval(lines == held.labels),
        "knn": plan.interval(near == held.labels),
    }


def neighbours(z: Tensor, labels: Tensor, asked: Tensor, *, k: int) -> Tensor:
    """The commonest class of the k nearest codes; of equals the first.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [5.0]])
        >>> neighbours(z, torch.tensor([4, 4, 7]), torch.tensor([[0.4], [6.0]]), k=1)
        tensor([4, 7])
    """
    found = []
    for part in asked.split(500):
        nearest = torch.cdist(part, z).topk(k, largest=False).indices
        votes = torch.zeros(len(part), CLASSES).scatter_add(
            1, labels[nearest], torch.ones(nearest.shape)
        )
        found.append(votes.argmax(1))
    return torch.cat(found)


def measure_gaps(
    model: CVAE, judge: nn.Module, learn: Codes, held: Codes, plan: Plan
) -> dict[str, Cell]:
    """Share of decoded points that a classifier recognises: halfway between digits of two
    classes, drawn from the prior, and drawn from a Gaussian of the codes' means and deviations.
    """
    generator = plan.generator()
    n, dims = plan.samples, held.z.shape[1]
    noise = torch.randn(n, dims, generator=generator)
    points = {
        "between": between(held, n, generator),
        "prior": noise,
        "fitted": learn.z.mean(0) + learn.z.std(0) * noise,
    }
    return {
        name: plan.interval(judged(judge, decode(model, z)).amax(1) > plan.sure)
        for name, z in points.items()
    }


def between(codes: Codes, n: int, generator: torch.Generator) -> Tensor:
    """Points halfway between two digits of different classes drawn by lot, at most `(n, D)`."""
    first, second = torch.randint(len(codes.z), (2, 2 * n), generator=generator)
    apart = codes.labels[first] != codes.labels[second]
    return (codes.z[first[apart]] + codes.z[second[apart]])[:n] / 2


@torch.no_grad()
def decode(model: CVAE, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """Codes `(N, D)` to pictures in [0, 1], `(N, 1, 28, 28)`, of the classes that are told."""
    labels = torch.zeros(len(z), dtype=torch.long) if labels is None else labels
    device, pictures = device_of(model), []
    for part, told in zip(z.split(500), labels.split(500), strict=True):
        features = model.condition(told.to(device))
        pictures.append(model.decode(part.to(device)[None], features)[:, 0].sigmoid().cpu())
    return torch.cat(pictures)


@torch.no_grad()
def judged(judge: nn.Module, x: Tensor) -> Tensor:
    """Probabilities of the classes `(N, 10)` of pictures."""
    device = device_of(judge)
    return torch.cat([judge(part.to(device)).softmax(1).cpu() for part in x.split(500)])


def measure_pictures(judge: nn.Module, x: Tensor, labels: Tensor, plan: Plan) -> dict[str, Cell]:
    """Share of pictures that the classifier recognises, and that it finds to be as asked."""
    seen = judged(judge, x)
    return {
        "recognised": plan.interval(seen.amax(1) > plan.sure),
        "asked": plan.interval(seen.argmax(1) == labels),
    }


def measure_classes(model: CVAE, judge: nn.Module, plan: Plan) -> dict[str, Cell]:
    """Of samples of every class in turn, drawn from the prior."""
    labels = torch.arange(plan.samples) % CLASSES
    z = draw(model, labels, plan.generator(device_of(model)))
    return measure_pictures(judge, decode(model, z, labels), labels, plan)


@torch.no_grad()
def draw(model: CVAE, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Codes of the prior, `(N, D)`, one for each label."""
    features = model.condition(labels.to(device_of(model)))
    return model.prior(features).sample(generator=generator).cpu()
