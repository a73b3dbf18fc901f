"""From scores to the tables and figures of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from apps.motion.scores import KS
from apps.report import Cell, Column, Curve, Table, plot_lines
from cvae.metrics import Interval, bootstrap, paired_bootstrap

Scores = Mapping[str, Tensor]

OURS, SHOWN, FLOOR = "ours", "ours, as shown", "posterior reconstruction"

DISTANCES = (
    *(Column(f"ed{k}", f"min-ED@{k}", "lower", 2) for k in KS),
    Column("mean_ed", "mean-ED", "lower", 2),
    *(Column(f"moving{k}", f"moving cells, @{k}", "lower", 2) for k in KS),
    Column("mean_moving", "moving cells, mean", "lower", 2),
    *(Column(f"end{k}", f"end point, @{k}", "lower", 2) for k in KS),
    *(Column(f"sure{k}", f"by confidence, @{k}", "lower", 2) for k in KS),
)
LAWS = (
    Column("energy", "energy score", "lower", 2),
    Column("joint_energy", "of wholes", "lower", 2),
    Column("parzen", "Parzen NLL", "lower", 0),
    Column("nll", "NLL", "lower", 0),
    Column("auc", "AUC of moving cells", "higher"),
    Column("direction", "direction error, °", "lower", 1),
    Column("direction_best", "best direction of 5, °", "lower", 1),
    Column("apd", "pairwise distance", "", 2),
)
USED = (
    Column("energy", "energy score", "lower", 2),
    Column("d_energy", "by another still", "higher", 2),
    Column("ed5", "min-ED@5", "lower", 2),
    Column("d_ed5", "by another still", "higher", 2),
    Column("auc", "AUC", "higher"),
    Column("d_auc", "by another still", "lower"),
)
NOTES = {
    "Distances": (
        "Mean Euclidean distance over cells and the 30 moments, px at short side 160, with 95 % "
        "bootstrap intervals over whole scenes. min-ED@k: of the best of k whole answers, each "
        "column's own best; a method with fewer than k gives all it has. Moving cells: those that "
        "get further than 3 px (windows without any are left out). By confidence: each cell "
        "weighs what its flow is to be trusted. The floor has seen the truth.",
    ),
    "Distributions": (
        "Energy scores (px) and pairwise distance of 5 answers, the first of cells by "
        "themselves, the second of motions as wholes. Parzen NLL (nats): a Gaussian kernel on "
        "each of 50 answers, its bandwidth for every row the one that is best on val. NLL (nats "
        "of 5200 coefficients in px): exact for Gaussian and Laplace, else the "
        "importance-weighted bound. AUC by the mean motion of 50 answers, direction on moving "
        "cells; both by confidence. One answer has its error as energy.",
    ),
}


@dataclass(frozen=True)
class Statistics:
    """Intervals over the scenes of a split, the same resamples for every row.

    Windows in which a score is not defined (NaN) are left out.
    """

    scenes: tuple[str, ...]
    resamples: int = 2000

    def interval(self, values: Tensor) -> Interval | None:
        """None where it is defined in no window."""
        known = values.isfinite()
        if not known.any():
            return None
        return bootstrap(
            values[known],
            self._scenes(known),
            resamples=self.resamples,
            generator=self._generator(),
        )

    def difference(self, a: Tensor, b: Tensor) -> Interval | None:
        """Of a - b, in the windows where both are defined."""
        known = a.isfinite() & b.isfinite()
        if not known.any():
            return None
        return paired_bootstrap(
            a[known],
            b[known],
            self._scenes(known),
            resamples=self.resamples,
            generator=self._generator(),
        )

    def _scenes(self, known: Tensor) -> list[str]:
        return [scene for scene, kept in zip(self.scenes, known.tolist(), strict=True) if kept]

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)


def score_tables(
    results: Mapping[str, Scores | None], statistics: Statistics
) -> tuple[Table, Table]:
    """One row a method, in two tables; None: it is not trained."""
    titles = {"Distances": DISTANCES, "Distributions": LAWS}
    distances, laws = (
        _score_table(title, columns, results, statistics) for title, columns in titles.items()
    )
    return distances, laws


def _score_table(
    title: str,
    columns: Sequence[Column],
    results: Mapping[str, Scores | None],
    statistics: Statistics,
) -> Table:
    table = Table(title, columns, notes=list(NOTES[title]))
    for name, scores in results.items():
        if scores is None:
            table.add(name, {}, note="not trained")
            continue
        cells: dict[str, Cell] = {
            column.key: statistics.interval(scores[column.key])
            for column in columns
            if column.key in scores
        }
        table.add(name, cells, reference=name == FLOOR)
    return table


def used_table(
    results: Mapping[str, Scores | None], strange: Mapping[str, Scores], statistics: Statistics
) -> Table:
    """Scores with each window's own still, and what the still of another scene adds to them."""
    note = (
        "Each window's still is that of a window of another scene. What is added, paired, with "
        "its interval over scenes: where the still is used, energy and distance rise, AUC falls."
    )
    table = Table("Is the still used?", USED, notes=[note])
    for name, other in strange.items():
        own = results[name]
        if own is not None:
            cells: dict[str, Cell] = {}
            for key in ("energy", "ed5", "auc"):
                cells[key] = statistics.interval(own[key])
                cells[f"d_{key}"] = statistics.difference(other[key], own[key])
            table.add(name, cells)
    return table


def figures(table: Table, out: Path) -> list[str]:
    """Draw min-ED against k, over all cells and over those that move; the names of the files."""
    files = {"min-ed.png": ("ed", "all cells"), "min-ed-moving.png": ("moving", "moving cells")}
    for file, (key, title) in files.items():
        curves = {}
        for name, cells in table.rows.items():
            found = {k: cells.get(f"{key}{k}") for k in KS}
            known = {k: cell for k, cell in found.items() if isinstance(cell, Interval)}
            if known:
                low, high = [c.low for c in known.values()], [c.high for c in known.values()]
                curves[name] = Curve([*known], [c.mean for c in known.values()], low, high)
        labels = {"x": "k", "y": "min-ED, px", "title": title}
        plot_lines(out / file, curves, **labels, log_x=True, bold=(OURS, SHOWN))
    return [*files]
