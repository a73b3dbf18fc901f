"""What each term of the reconstruction buys, in the form of the original's table."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor

from apps.colorization.data import Augment, Photos
from apps.colorization.model import Size, build
from apps.colorization.objective import Objective, Weights
from apps.colorization.terms import RareColours
from apps.colorization.truth import Truth
from apps.report import Column, Table
from apps.training import resumed
from cvae.metrics import bootstrap
from cvae.model import CVAE
from cvae.training import Schedule

SIZE = Size(width=16)
SCHEDULE = Schedule(steps=1000, batch=32)
DRAWS = 16  # that the prior's mean is taken over
BATCH = 32

COLUMNS = (
    Column("plain", "posterior, MAE", "lower", 4),
    Column("rare", "posterior, rare colours weighted", "lower", 4),
    Column("prior_plain", "prior mean, MAE", "lower", 4),
    Column("prior_rare", "prior mean, rare colours weighted", "lower", 4),
)


def variants(weights: Weights) -> dict[str, Weights]:
    """The terms added one by one, everything else as in `weights`.

    Example:
        >>> list(variants(Weights()))
        ['L2', 'L2 + PCA', 'L2 + PCA + weights and gradient']
    """
    plain = replace(weights, rare=False, components=0.0, gradient=0.0)
    components = replace(plain, components=weights.components)
    return {"L2": plain, "L2 + PCA": components, "L2 + PCA + weights and gradient": weights}


def ablation(
    train: Photos,
    truths: dict[str, Truth],
    cache: Path,
    *,
    weights: Weights | None = None,
    size: Size = SIZE,
    schedule: Schedule = SCHEDULE,
    device: torch.device | None = None,
    resamples: int = 1000,
    progress: bool = True,
) -> list[Table]:
    """Train every variant for a short while (kept in `cache`); one table a set of `truths`."""
    passes = schedule.steps * schedule.batch
    note = (
        f"Width {size.width}, {passes:,} pictures each. MAE of ab/128: of what the posterior's "
        f"mean decodes to, and of the mean of {DRAWS} draws of the prior. Weighted: by the rarity "
        "of the true colour in the training set, mean 1."
    )
    tables = {name: Table(f"Loss terms, {name}", COLUMNS, notes=[note]) for name in truths}
    for index, (name, terms) in enumerate(variants(weights or Weights()).items()):
        torch.manual_seed(schedule.seed)  # of the first weights only
        objective = Objective(build(size), terms, Augment())
        objective.fit(train)
        config = {
            "size": asdict(size),
            "weights": asdict(terms),
            "schedule": asdict(schedule),
        }
        out = cache / f"ablation-{index}"
        trainer = resumed(
            objective,
            train.tensors,
            size=len(train),
            out=out,
            schedule=schedule,
            config=config,
            device=device,
            progress=progress,
        )
        model = objective.model
        model.load_state_dict(trainer.average, strict=True)
        for set_name, truth in truths.items():
            errors = reconstruction_errors(model.eval(), truth, objective.rare)
            tables[set_name].add(
                name,
                {
                    key: bootstrap(
                        value,
                        truth.groups,
                        resamples=resamples,
                        generator=torch.Generator().manual_seed(0),
                    )
                    for key, value in errors.items()
                },
            )
    return list(tables.values())


@torch.inference_mode()
def reconstruction_errors(
    model: CVAE, truth: Truth, rare: RareColours, *, seed: int = 0
) -> dict[str, Tensor]:
    """The columns of the table, `(N,)` each on the CPU."""
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(truth), BATCH):
        here = slice(start, start + BATCH)
        grey, chroma = truth.grey[here].to(device), truth.chroma[here].to(device)
        features = model.condition(grey)
        posterior = model.posterior(chroma, features)
        painted = model.decode(posterior.mean[None], features)[:, 0]
        guess = model.sample(grey, k=DRAWS, generator=generator).mean(1)
        weight = rare(chroma)
        error, prior_error = (painted - chroma).abs(), (guess - chroma).abs()
        part = {
            "plain": error,
            "rare": weight * error,
            "prior_plain": prior_error,
            "prior_rare": weight * prior_error,
        }
        parts.append({key: value.float().mean((1, 2, 3)).cpu() for key, value in part.items()})
    return {key: torch.cat([part[key] for part in parts]) for key in COLUMN_KEYS}


COLUMN_KEYS = tuple(column.key for column in COLUMNS)
