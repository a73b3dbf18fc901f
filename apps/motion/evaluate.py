"""Every claim about motion in one run: the rows, their scores, and what must hold."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from apps import runtime
from apps.motion.baselines import plain_rows
from apps.motion.data import Windows, load_windows
from apps.motion.holds import against_table, claims_table
from apps.motion.model import KINDS
from apps.motion.model_rows import Samples, Shown, Walker
from apps.motion.posterior import Reconstruction
from apps.motion.rivals import NAMES, RIVALS, WALKER, Plan, baselines
from apps.motion.rows import DIMS, Row, Scored, nll_of, score_row, squares_of
from apps.motion.scores import KS, choose_bandwidth, parzen_nll
from apps.motion.scores import SHOWN as SET
from apps.motion.tables import (
    FLOOR,
    OURS,
    SHOWN,
    Scores,
    Statistics,
    figures,
    score_tables,
    used_table,
)
from apps.report import Report
from cvae.model import CVAE


def evaluate(
    data: Path,
    *,
    out: Path,
    cache: Path,
    weights: str | Path | None = "motion",
    others: Mapping[str, str | Path] | None = None,
    split: str = "test",
    device: str = "auto",
    limit: int | None = None,
    progress: bool = True,
    plan: Plan | None = None,
) -> Report:
    """Score every row on a split of a cache of windows; print the report and save it in `out`.

    Args:
        data: the cache, as `perhaps data motion CLIPS -o CACHE` makes it.
        cache: where the baselines that need training are kept.
        weights: ours; None to leave it out.
        others: weights of the models compared with, by the names in `RIVALS`.
        limit: at most so many windows, of `split` and of val.

    Raises:
        ValueError: a split has no windows, or `others` names an unknown model.
    """
    out, plan, where = Path(out), plan or Plan(), runtime.pick_device(device)
    paths = dict(others or {})
    runtime.check_models(paths, RIVALS)
    paths |= {OURS: weights} if weights is not None else {}
    models = {name: _model(path).to(where) for name, path in paths.items()}
    truth, val = (load_windows(Path(data), name, limit=limit) for name in (split, "val"))
    train = load_windows(Path(data), "train")
    run = _Run(truth, val, where, progress)
    rows = _rows(train, models, Path(cache), plan, run)
    statistics = Statistics(truth.scenes, plan.resamples)
    report = Report(f"Motion, {split} split")
    report.facts = _facts(split, run, train, plan)
    report.facts["weights"] = {name: str(path) for name, path in paths.items()}
    results: dict[str, Scores | None] = {}
    for name, row in tqdm(rows.items(), unit="row", disable=None if progress else True):
        results[name] = None if row is None else _measure(row, run, report)
        report.tables = list(score_tables(results, statistics))
        report.save(out)  # an hour of work: what is known so far outlives a crash
    strange = _strange(rows, run)
    report.tables += [
        against_table(OURS, results, statistics),
        against_table(SHOWN, results, statistics),
        claims_table(results, strange, statistics),
        used_table(results, strange, statistics),
    ]
    report.figures = figures(report.tables[0], out)
    report.save(out)
    print(report.markdown())
    return report


def _model(path: str | Path) -> CVAE:
    return runtime.load(path, domain="motion", kinds=KINDS)[0]


@dataclass(frozen=True)
class _Run:
    """What all rows are measured on."""

    truth: Windows
    val: Windows
    device: torch.device
    progress: bool


def _facts(split: str, run: _Run, train: Windows, plan: Plan) -> dict[str, Any]:
    sets = {split: run.truth, "val": run.val, "train": train}
    return {
        "split": split,
        "windows": {name: len(windows) for name, windows in sets.items()},
        "scenes": {name: len(set(windows.scenes)) for name, windows in sets.items()},
        "baselines": None if plan.recipe is None else asdict(plan.recipe.schedule),
        "bandwidths": {},  # of the Parzen NLL in px, by row
    }


def _rows(
    train: Windows, models: Mapping[str, CVAE], cache: Path, plan: Plan, run: _Run
) -> dict[str, Scored | None]:
    """By the names of the table, in its order; None: not trained."""
    found: list[Scored] = list(plain_rows(train))
    found += baselines(train, cache, plan, device=run.device, progress=run.progress)
    if WALKER in models:
        found.append(Walker(WALKER, models[WALKER]))
    if OURS in models:
        model = models[OURS]
        found += [Samples(OURS, model), Shown(SHOWN, model), Reconstruction(FLOOR, model)]
    rows: dict[str, Scored | None] = {row.name: row for row in found}
    return rows | {name: None for name in (*NAMES, WALKER, OURS) if name not in rows}


def _measure(row: Scored, run: _Run, report: Report) -> Scores:
    """All scores of a row; its bandwidth goes into the facts of the report."""
    scores = score_row(row, run.truth, device=run.device)
    bandwidth = choose_bandwidth(squares_of(row, run.val, device=run.device), dims=DIMS)
    report.facts["bandwidths"][row.name] = bandwidth
    scores["parzen"] = parzen_nll(scores.pop("squares"), bandwidth, dims=DIMS)
    nll = nll_of(row, run.truth, device=run.device)
    return scores if nll is None else scores | {"nll": nll}


def _strange(rows: Mapping[str, Scored | None], run: _Run) -> dict[str, Scores]:
    """Scores of the rows that look at stills, each window with the still of another scene.

    What is shown is left out: it is chosen from the draws of ours. None, where there is only one
    scene.
    """
    if len(set(run.truth.scenes)) < 2:
        return {}
    stills = run.truth.frames[strangers(run.truth.scenes)]
    truth = replace(run.truth, frames=stills)
    quiet = None if run.progress else True
    chosen = [row for row in rows.values() if isinstance(row, Row) and not row.blind]
    return {
        row.name: score_row(row, truth, device=run.device, ks=(SET, max(KS)))
        for row in tqdm(chosen, unit="row", desc="other stills", disable=quiet)
        if row.name != SHOWN
    }


def strangers(scenes: Sequence[str]) -> Tensor:
    """For each window the number of one of another scene, `(N,)`, each used once.

    As long as no scene has more than half of them; then some of its own remain.

    Example:
        >>> strangers(["a", "b", "a", "c"])
        tensor([1, 0, 3, 2])
    """
    order = sorted(range(len(scenes)), key=scenes.__getitem__)
    most = max(Counter(scenes).values())
    other = torch.empty(len(scenes), dtype=torch.long)
    other[torch.tensor(order)] = torch.tensor(order).roll(-most)
    return other
