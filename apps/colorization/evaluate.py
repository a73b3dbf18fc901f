"""Every claim about colorization in one run: the rows, their scores, and who beats whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from apps.colorization import ablation as terms
from apps.colorization import regression
from apps.colorization.baselines import (
    Regression,
    RegressionAndGaussian,
    fit_residual,
    linear_rows,
)
from apps.colorization.data import Photos
from apps.colorization.latents import Latents, latent_table, measure
from apps.colorization.model import Size
from apps.colorization.predict import load
from apps.colorization.rows import ComponentMeans, Row, Samples, Shown, score_row
from apps.colorization.tables import (
    Rival,
    Scores,
    Statistics,
    draw_best_of,
    draw_ranks,
    holds_table,
    rank_counts,
    score_table,
    used_table,
)
from apps.colorization.truth import Truth, cached_photos, load_truth
from apps.report import Curve, Report, Table, plot_lines
from apps.runtime import check_models, pick_device
from cvae.model import CVAE
from cvae.training import Schedule

OURS, SHOWN, UNET = "ours", "ours, as shown", "U-Net + Gaussian"
RIVALS = {"divcolor": "divcolor", "cvae": "CVAE prior"}


@dataclass(frozen=True)
class Plan:
    """How much is computed; None leaves a training out. 1 is among the temperatures."""

    temperatures: tuple[float, ...] = (1.0, 0.7, 0.5, 0.3)
    resamples: int = 1000
    unet: Schedule | None = regression.SCHEDULE
    widths: tuple[int, ...] = regression.WIDTHS
    ablation: Schedule | None = terms.SCHEDULE
    ablation_size: Size = terms.SIZE


@dataclass(frozen=True)
class Setting:
    """What all sets of a run share."""

    models: dict[str, CVAE]  # by row: "ours", "divcolor", "cvae"; only those that are trained
    unet: regression.UNet | None
    plan: Plan
    device: torch.device
    out: Path
    progress: bool


def evaluate(
    data: Path,
    *,
    out: Path,
    cache: Path,
    weights: str | Path | None = "colorization",
    others: Mapping[str, str | Path] | None = None,
    split: str = "test",
    device: str = "auto",
    limit: int | None = None,
    progress: bool = True,
    plan: Plan | None = None,
) -> Report:
    """Score every row on a split of every set in `data`; print the report and save it in `out`.

    Args:
        cache: where decoded train photos and the baselines that need training are kept.
        weights: ours; None to leave it out.
        others: weights of the models compared with, by `divcolor` and `cvae`.
        limit: at most so many pictures a set, of `split` and of val.

    Raises:
        ValueError: a set lacks train or val photos, or `others` names an unknown model.
    """
    data, out, cache = Path(data), Path(out), Path(cache)
    check_models(others or {}, RIVALS)
    plan = plan or Plan()
    where = pick_device(device)
    paths = dict(others or {}) | ({OURS: weights} if weights is not None else {})
    models = {name: load(path).to(where).eval() for name, path in paths.items()}
    truths = load_truth(data, split, limit=limit, progress=progress)
    vals = truths if split == "val" else load_truth(data, "val", limit=limit, progress=progress)
    train = cached_photos(data, cache, progress=progress)
    unet = None
    if plan.unet:
        unet = regression.train_regression(
            train,
            cache / "unet",
            schedule=plan.unet,
            widths=plan.widths,
            device=where,
            progress=progress,
        )
    setting = Setting(models, unet, plan, where, out, progress)
    report = Report(f"Colorization, {split} split")
    report.facts = {"split": split, "weights": {k: str(v) for k, v in paths.items()}, "sets": {}}
    for name, truth in truths.items():
        if name not in vals:
            raise ValueError(f"got no val photos of {name}, expected some to choose by")
        _evaluate_set(name, truth, vals[name], train.select(name), setting, report)
        report.save(out)  # hours of work: what is known so far outlives a crash
    if plan.ablation:
        report.tables += terms.ablation(
            train,
            truths,
            cache,
            size=plan.ablation_size,
            schedule=plan.ablation,
            device=where,
            resamples=plan.resamples,
            progress=progress,
        )
    report.save(out)
    print(report.markdown())
    return report


def _evaluate_set(
    name: str, truth: Truth, val: Truth, train: Photos, setting: Setting, report: Report
) -> None:
    """Add the tables, facts and figures of one set."""
    if not len(train):
        raise ValueError(f"got no train photos of {name}, expected some for the baselines")
    statistics = Statistics(truth.groups, setting.plan.resamples)
    rows = _rows(train, val, setting)
    chosen = {row.name: _choose(row, val, setting) for row in rows if row.sampled}
    results, latents = _score(rows, truth, setting, name)
    table = score_table(f"{name}: {len(truth)} pictures", results, statistics)
    report.tables.append(table)
    if OURS in setting.models:
        rivals = [_rival(row, results, chosen) for row in rows if not row.name.startswith(OURS)]
        energy, best = _known(results, _label(OURS, 1.0)), _known(results, SHOWN)
        title = f"{name}: what must hold"
        report.tables.append(
            holds_table(title, energy["energy"], best["mae8"], rivals, statistics)
        )
    report.tables.append(_used(name, rows, truth, results, statistics, setting))
    if latents:
        report.tables.append(latent_table(f"{name}: the latent", latents))
    names = [_at_best(row, chosen) for row in rows]
    figures = _figures(name, table, results, latents, names, setting.out)
    report.figures += figures
    report.facts["sets"][name] = {
        "pictures": len(truth),
        "groups": len(set(truth.groups)),
        "train": len(train),
        "val": len(val),
        "temperatures": chosen,
        "ranks": {_label(r.name, 1.0): _ranks(r, results) for r in rows if r.sampled},
    }


def _rows(train: Photos, val: Truth, setting: Setting) -> list[Row]:
    rows = linear_rows(train, val)
    if setting.unet is not None:
        gaussian = fit_residual(setting.unet, train, device=setting.device)
        rows += [
            Regression("U-Net mean", setting.unet),
            RegressionAndGaussian(UNET, setting.unet, gaussian),
        ]
    for key, name in RIVALS.items():
        if key in setting.models:
            rows.append(Samples(name, setting.models[key]))
            if key == "divcolor":
                rows.append(ComponentMeans(f"{name}, component means", setting.models[key]))
    if OURS in setting.models:
        rows += [Samples(OURS, setting.models[OURS]), Shown(SHOWN, setting.models[OURS])]
    return rows


def _choose(row: Row, val: Truth, setting: Setting) -> dict[str, float]:
    """The temperatures of a row that are best on val, by score."""
    means = {
        t: {
            name: value.mean().item()
            for name, value in score_row(
                row, val, device=setting.device, temperature=t, brief=True
            ).items()
        }
        for t in setting.plan.temperatures
    }
    return {key: min(means, key=lambda t: means[t][key]) for key in ("energy", "mae8")}


def _score(
    rows: list[Row], truth: Truth, setting: Setting, name: str
) -> tuple[dict[str, Scores | None], dict[str, Latents]]:
    """Scores by label, in the order of the table, and the latents of the models."""
    latents = {
        row.name: measure(row.model, truth, device=setting.device)
        for row in rows
        if isinstance(row, Samples)
    }
    results: dict[str, Scores | None] = {}
    tasks = [
        (row, t) for row in rows for t in (setting.plan.temperatures if row.sampled else (None,))
    ]
    for row, t in tqdm(tasks, desc=name, unit="row", disable=None if setting.progress else True):
        scores = score_row(row, truth, device=setting.device, temperature=t or 1.0)
        if t == 1.0 and row.name in latents:
            scores["bits"] = latents[row.name].bits
        results[_label(row.name, t)] = scores
    present = {row.name for row in rows}
    for absent in (UNET, *RIVALS.values(), OURS):
        if absent not in present:
            results[absent] = None
    return results, latents


def _rival(
    row: Row, results: Mapping[str, Scores | None], chosen: Mapping[str, Mapping[str, float]]
) -> Rival:
    warm = chosen.get(row.name, {})
    energy, best = warm.get("energy"), warm.get("mae8")
    return Rival(
        row.name,
        _known(results, _label(row.name, energy))["energy"],
        energy,
        _known(results, _label(row.name, best))["mae8"],
        best,
    )


def _used(
    name: str,
    rows: list[Row],
    truth: Truth,
    results: Mapping[str, Scores | None],
    statistics: Statistics,
    setting: Setting,
) -> Table:
    """Sampled rows at T = 1 are scored again with every picture's grey handed to the next."""
    moved = replace(truth, grey=truth.grey.roll(1, 0))
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for row in rows:
        if row.sampled:
            matched = _known(results, _label(row.name, 1.0))["energy"]
            shuffled = score_row(row, moved, device=setting.device, brief=True)["energy"]
            pairs[row.name] = matched, shuffled
    return used_table(f"{name}: is the grey used?", pairs, statistics)


def _figures(
    name: str,
    table: Table,
    results: Mapping[str, Scores | None],
    latents: Mapping[str, Latents],
    names: list[str],
    out: Path,
) -> list[str]:
    files = [f"best-of-k-{name}.png"]
    draw_best_of(out / files[0], table, names)
    for row_name in (OURS, UNET, "linear-Gaussian"):
        scores = results.get(_label(row_name, 1.0))
        if scores is not None:
            files.append(f"ranks-{name}.png")
            title = f"{name}: {_label(row_name, 1.0)}"
            draw_ranks(out / files[-1], rank_counts(scores), title=title)
            break
    if latents:
        files.append(f"kl-{name}.png")
        curves = {}
        for row_name, found in latents.items():
            order = found.kl.sort(descending=True).values.tolist()
            curves[row_name] = Curve(range(1, len(order) + 1), order)
        plot_lines(out / files[-1], curves, x="dimension, by its KL", y="KL to N(0, I), nats")
    return files


def _label(name: str, temperature: float | None) -> str:
    return name if temperature is None else f"{name}, T = {temperature:g}"


def _at_best(row: Row, chosen: Mapping[str, Mapping[str, float]]) -> str:
    return _label(row.name, chosen.get(row.name, {}).get("mae8"))


def _known(results: Mapping[str, Scores | None], label: str) -> Scores:
    scores = results[label]
    if scores is None:
        raise ValueError(f"got no scores of {label}, expected it to be trained")
    return scores


def _ranks(row: Row, results: Mapping[str, Scores | None]) -> dict[str, list[int]]:
    return rank_counts(_known(results, _label(row.name, 1.0)))
