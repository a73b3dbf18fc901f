"""β-VAE and β-TC-VAE on sprites: measure what is trained of the sweep, table it and draw it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from apps.lab.factor_figures import best_of, plot_sweep, traversals
from apps.lab.factor_measure import FactorPlan, measure_factors, measure_scores
from apps.lab.factor_tables import RECIPES, bound_table, score_table
from apps.lab.factors import load_sprites
from apps.lab.figures import write_sheet
from apps.lab.tables import Cells
from apps.report import Report
from cvae.metrics import Interval


def compare_factors(
    report: Report,
    rows: Mapping[str, tuple[Any, float]],
    out: Path,
    *,
    split: str,
    plan: FactorPlan,
    progress: bool = True,
) -> None:
    """Add the tables and figures of sprites to a report.

    Args:
        rows: models and the epochs that they have seen, by recipe; those of digits are passed by.
        split: whose combinations of factors the bound is of.
    """
    trained = {name: rows[name] for name in RECIPES if name in rows}
    found: dict[str, Cells] = {}
    ceiling: dict[str, Interval] = {}
    if trained:
        held = load_sprites(split)
        ceiling = measure_scores(torch.Tensor.float, plan)
        for name in tqdm(trained, unit="model", disable=None if progress else True):
            model, epochs = trained[name]
            found[name] = measure_factors(model, held, plan) | {"epochs": epochs}
        plot_sweep(out / "sprite-scores.png", found)
        best = best_of(found)
        write_sheet(out / "sprite-traversals.png", traversals(trained[best][0], held))
        report.figures += ["sprite-scores.png", "sprite-traversals.png"]
        report.facts["traversals"] = best
    report.tables += [score_table(found, plan, ceiling), bound_table(found, plan)]
    report.facts["sprites"] = asdict(plan)
