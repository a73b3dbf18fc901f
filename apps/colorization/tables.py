"""From scores to the tables and figures of the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from apps.colorization.scores import KS, SHOWN
from apps.report import Column, Curve, Table, plot_histograms, plot_lines
from cvae.metrics import Interval, bootstrap, paired_bootstrap

Scores = Mapping[str, Tensor]

COLUMNS = (
    Column("energy", "energy score (8)", "lower", 2),
    *(Column(f"mae{k}", f"best-of-{k} MAE", "lower", 4) for k in KS),
    *(Column(f"psnr{k}", f"best-of-{k} ab-PSNR", "higher", 2) for k in KS),
    Column("rgb8", "best-of-8 RGB PSNR", "higher", 2),
    Column("de8", "best-of-8 ΔE2000", "lower", 2),
    Column("var", "variance", digits=4),
    Column("pair_mae", "pairwise MAE", digits=4),
    Column("pair_de", "pairwise ΔE", digits=2),
    Column("bits", "−log p(z|G), bits/dim", digits=3),
    Column("cf", "colourfulness, abs. difference", "lower", 2),
    Column("cf_mean", "colourfulness, bias", "zero", 2),
    Column("bleed", "edge bleed ΔE", "lower", 2),
    Column("pixel8", "per-pixel best-of-8 (gameable)", "lower", 4),
)
NOTES = (
    "Mean with its 95 % bootstrap interval over whole groups (persons in LFW, photos elsewhere). "
    "MAE, variance and energy score in ab/128 at 64×64 of the centre square; best-of-k takes "
    "whole answers, and a method with fewer than k gives all it has. ab-PSNR has a peak of 2 "
    "(ab/128 spans it), RGB PSNR copies the true lightness. Variance, pairwise MAE and pairwise "
    "ΔE (CIE 1976) are among 8 answers; ΔE2000 is at equal lightness.",
    "Colourfulness: Hasler–Süsstrunk, mean over pictures of the absolute difference, and its bias "
    "(difference of means). Edge bleed: ΔE (CIE 1976) to the truth of the best of 8 in the tenth "
    "of the pixels with the steepest lightness. Per-pixel best-of-8 picks another answer for "
    "every pixel and channel: noise wins it; it is here only because others print it.",
)
HOLDS = (
    Column("t_energy", "T", digits=1),
    Column("energy", "energy score", digits=2),
    Column("d_energy", "ours at T = 1 − it", digits=2),
    Column("t_best", "T", digits=1),
    Column("best", "best-of-8 MAE", digits=4),
    Column("d_best", "ours as shown − it", digits=4),
    Column("holds", "both below"),
)
USED = (
    Column("matched", "energy score", "lower", 2),
    Column("shuffled", "with the grey of another picture", digits=2),
    Column("difference", "difference", digits=2),
)


@dataclass(frozen=True)
class Statistics:
    """Intervals over the groups of one set, the same resamples for every row."""

    groups: tuple[str, ...]
    resamples: int

    def interval(self, values: Tensor) -> Interval:
        return bootstrap(
            values, self.groups, resamples=self.resamples, generator=self._generator()
        )

    def difference(self, a: Tensor, b: Tensor) -> Interval:
        return paired_bootstrap(
            a, b, self.groups, resamples=self.resamples, generator=self._generator()
        )

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class Rival:
    """An anchor at the temperatures that suit it best on val; None where it has none."""

    name: str
    energy: Tensor
    energy_temperature: float | None
    best: Tensor
    best_temperature: float | None


def score_table(title: str, results: Mapping[str, Scores | None], statistics: Statistics) -> Table:
    """One row a method and temperature; None: it is not trained."""
    table = Table(title, COLUMNS, notes=list(NOTES))
    for name, scores in results.items():
        if scores is None:
            table.add(name, {}, note="not trained")
            continue
        known = [column.key for column in COLUMNS if column.key in scores]
        table.add(name, {key: statistics.interval(scores[key]) for key in known})
    return table


def holds_table(
    title: str, energy: Tensor, best: Tensor, rivals: list[Rival], statistics: Statistics
) -> Table:
    """Ours against every anchor: energy score of our samples, best-of-8 of the eight shown."""
    notes = [
        "Each anchor at the temperature with the least score on val, either score by itself. "
        "Differences are paired, with their 95 % bootstrap intervals; below 0, ours is better."
    ]
    table = Table(title, HOLDS, notes=notes)
    ours = {"energy": statistics.interval(energy), "best": statistics.interval(best)}
    table.add("ours", {"t_energy": 1.0, **ours})
    for rival in rivals:
        d_energy = statistics.difference(energy, rival.energy)
        d_best = statistics.difference(best, rival.best)
        cells = {
            "t_energy": rival.energy_temperature,
            "energy": statistics.interval(rival.energy),
            "d_energy": d_energy,
            "t_best": rival.best_temperature,
            "best": statistics.interval(rival.best),
            "d_best": d_best,
            "holds": "yes" if d_energy.high < 0 and d_best.high < 0 else "**no**",
        }
        table.add(rival.name, cells)
    return table


def used_table(
    title: str, pairs: Mapping[str, tuple[Tensor, Tensor]], statistics: Statistics
) -> Table:
    """Energy score with the picture's own grey and with another's, by method."""
    table = Table(title, USED)
    for name, (matched, shuffled) in pairs.items():
        cells = {
            "matched": statistics.interval(matched),
            "shuffled": statistics.interval(shuffled),
            "difference": statistics.difference(shuffled, matched),
        }
        table.add(name, cells)
    return table


def rank_counts(scores: Scores) -> dict[str, list[int]]:
    """How often the truth had each rank among eight answers; flat if they are calibrated."""
    names = {"mean a": "rank_a", "mean b": "rank_b", "colourfulness": "rank_cf"}
    return {
        name: torch.bincount(scores[key].long(), minlength=SHOWN + 1).tolist()
        for name, key in names.items()
    }


def draw_ranks(path: Path, counts: Mapping[str, list[int]], *, title: str) -> None:
    """The rank histograms, with the level that calibration asks for."""
    total = sum(next(iter(counts.values())))
    plot_histograms(
        path, counts, x="rank of the truth among 8", title=title, expected=total / (SHOWN + 1)
    )


def draw_best_of(path: Path, table: Table, names: list[str]) -> None:
    """Best-of-k against k for some rows of a score table."""
    curves = {}
    for name in names:
        cells = [table.rows[name][f"mae{k}"] for k in KS]
        found = [cell for cell in cells if isinstance(cell, Interval)]
        low, high = [cell.low for cell in found], [cell.high for cell in found]
        curves[name] = Curve(KS, [cell.mean for cell in found], low, high)
    plot_lines(path, curves, x="k", y="MAE of ab/128", title=table.title, log_x=True)
