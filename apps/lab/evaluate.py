"""The core beside published figures, on digits and sprites: one run that measures every recipe."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from apps import runtime
from apps.lab.codes_evaluate import Data, add_codes
from apps.lab.compare import compare_factors
from apps.lab.digits import Digits, load_digits
from apps.lab.factor_measure import FactorPlan
from apps.lab.figures import plot_curves, plot_maps, styles, write_sheet
from apps.lab.measure import (
    Codes,
    Plan,
    device_of,
    encode,
    measure_classes,
    measure_gaps,
    measure_guesses,
    measure_likelihood,
    measure_pictures,
    measure_quadrants,
    measure_separability,
    nll,
)
from apps.lab.model import KINDS
from apps.lab.recipe import RECIPES
from apps.lab.tables import (
    LATENTS,
    LIKELIHOOD,
    QUADRANTS,
    Cells,
    class_table,
    latent_table,
    likelihood_table,
    quadrant_table,
)
from apps.lab.train import ALL
from apps.report import Cell, Report

JUDGE, TOLD = "classifier", "cvae"  # recipes


class Row(NamedTuple):
    """A trained recipe: its networks, and how often it has seen an example."""

    model: Any
    epochs: float


Rows = Mapping[str, Row]


def evaluate(
    data: Path,
    *,
    out: Path,
    weights: Mapping[str, str | Path],
    split: str = "test",
    device: str = "auto",
    limit: int | None = None,
    progress: bool = True,
    plan: Plan | None = None,
    factors: FactorPlan | None = None,
) -> Report:
    """Measure every recipe in `weights` on a split of the digits in `data`; print and save it.

    Args:
        weights: folders by the names of recipes; what is absent is "not trained".
        limit: at most so many digits of `split`, and of train.
        plan, factors: how much is computed of digits, and of sprites.

    Raises:
        ValueError: no digits, or `weights` names an unknown recipe.
    """
    plan, out, where = plan or Plan(), Path(out), runtime.pick_device(device)
    runtime.check_models(weights, ALL)
    held, train = (load_digits(data, of).first(limit) for of in (split, "train"))
    drawn = held.binarised()
    rows = {name: _row(name, weights[name], where) for name in RECIPES if name in weights}
    codes = _codes(rows, train, drawn)
    report = Report(f"The core on digits, {split} split")
    bounds = _likelihood(rows, drawn, plan, progress)
    report.tables = [
        likelihood_table(bounds, plan),
        quadrant_table(_quadrants(rows, held, plan, progress), plan),
        latent_table(_latents(rows, codes, plan), plan),
        class_table(*_classes(rows, held, drawn, plan), plan),
    ]
    report.figures = _figures(rows, codes, weights, plan, out)
    report.facts = {
        "split": split,
        "digits": len(held),
        "plan": asdict(plan),
        "weights": {name: str(path) for name, path in weights.items()},
    }
    of_sprites = factors or FactorPlan()
    compare_factors(report, rows, out, split=split, plan=of_sprites, progress=progress)
    parts: dict[str, Any] = {"plan": plan, "device": where, "out": out, "progress": progress}
    told = rows[TOLD].model if TOLD in rows else None
    add_codes(report, weights, Data(train, held), bounds=bounds, told=told, **parts)
    report.save(out)
    print(report.markdown())
    return report


def _row(name: str, path: str | Path, device: torch.device) -> Row:
    model, config = runtime.load(path, domain="lab", kinds=KINDS)
    model = model.to(device).to(memory_format=torch.channels_last)
    return Row(model, config["steps"] * config["batch"] / config[RECIPES[name].data])


def _codes(rows: Rows, train: Digits, drawn: Digits) -> dict[str, tuple[Codes, Codes]]:
    """Of train and of held-out digits, by the recipes that are compared by their codes."""
    known = {name: rows[name].model for name in LATENTS if name in rows}
    learn = train.binarised()
    return {name: (encode(of, learn), encode(of, drawn)) for name, of in known.items()}


def _likelihood(rows: Rows, drawn: Digits, plan: Plan, progress: bool) -> dict[str, Cells | None]:
    found: dict[str, Cells | None] = {}
    for name in tqdm(LIKELIHOOD, unit="model", disable=None if progress else True):
        row = rows.get(name)
        found[name] = None
        if row is not None:
            found[name] = measure_likelihood(row.model, drawn, plan) | {"epochs": row.epochs}
    return found


def _quadrants(
    rows: Rows, held: Digits, plan: Plan, progress: bool
) -> dict[tuple[str, int], Cell]:
    found: dict[tuple[str, int], Cell] = {}
    guess, single, tight = QUADRANTS
    for n in tqdm((1, 2, 3), unit="task", disable=None if progress else True):
        if baseline := rows.get(f"baseline-{n}"):
            found[guess, n] = measure_guesses(baseline.model, held, plan, given=n)
        if row := rows.get(f"quadrants-{n}"):
            found[single, n], found[tight, n] = measure_quadrants(row.model, held, plan, given=n)
    return found


def _latents(
    rows: Rows, codes: Mapping[str, tuple[Codes, Codes]], plan: Plan
) -> dict[str, Cells | None]:
    judge = rows.get(JUDGE)
    found: dict[str, Cells | None] = {}
    for name, (learn, held) in codes.items():
        cells = measure_separability(learn, held, plan) | {"epochs": rows[name].epochs}
        if judge is not None:
            cells |= measure_gaps(rows[name].model, judge.model, learn, held, plan)
        found[name] = cells
    return found


def _classes(
    rows: Rows, held: Digits, drawn: Digits, plan: Plan
) -> tuple[Cells | None, Cells | None]:
    """Of real digits, and of the model that is told the class."""
    judge, told = rows.get(JUDGE), rows.get(TOLD)
    real = None
    if judge is not None:
        real = measure_pictures(judge.model, *held.tensors(slice(None)), plan)
    if told is None:
        return real, None
    generator = plan.generator(device_of(told.model))
    bound = nll(told.model, drawn, draws=plan.draws, generator=generator)
    cells: dict[str, Cell] = {"few": plan.interval(bound), "epochs": told.epochs}
    if judge is not None:
        cells |= measure_classes(told.model, judge.model, plan)
    return real, cells


def _figures(
    rows: Rows,
    codes: Mapping[str, tuple[Codes, Codes]],
    weights: Mapping[str, str | Path],
    plan: Plan,
    out: Path,
) -> list[str]:
    """Draw what there is to draw; the names of the files."""
    files = []
    if codes:
        plot_maps(out / "latent-maps.png", {LATENTS[n]: held for n, (_, held) in codes.items()})
        files.append("latent-maps.png")
    if TOLD in rows:
        write_sheet(out / "styles-by-class.png", styles(rows[TOLD].model, plan))
        files.append("styles-by-class.png")
    runs = {LIKELIHOOD[n]: Path(weights[n]).parent for n in LIKELIHOOD if n in weights}
    if plot_curves(out / "training.png", runs):
        files.append("training.png")
    return files
