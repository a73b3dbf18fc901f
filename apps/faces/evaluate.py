"""Every claim about faces in one run: the rows, what a judge says of them, and what must hold."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from apps import runtime
from apps.faces.holds import holds_table
from apps.faces.judge import Judge
from apps.faces.measure import measure, measure_real, measure_shuffled
from apps.faces.measure_toggles import measure_louder, measure_pasted
from apps.faces.measured import Measured
from apps.faces.model import KINDS
from apps.faces.rivals import RIVALS
from apps.faces.rows import Row
from apps.faces.tables import (
    ANCHOR,
    LOUDER,
    OURS,
    PASTED,
    REAL,
    SHUFFLED,
    attribute_table,
    figures,
    layers_table,
    main_tables,
    toggle_table,
)
from apps.faces.truth import Plan, Truth, load_truth
from apps.report import Report
from cvae.model import CVAE

GENERATORS = ("dcgan",)  # what was not trained to encode


def evaluate(
    data: Path,
    *,
    out: Path,
    judge: str | Path | nn.Module,
    weights: str | Path | None = "faces",
    others: Mapping[str, str | Path] | None = None,
    split: str = "test",
    device: str = "auto",
    limit: int | None = None,
    progress: bool = True,
    plan: Plan | None = None,
) -> Report:
    """Measure every row on a split of all sets in `data`; print the report and save it in `out`.

    The sets are mixed in the proportion in which models saw them in train.

    Args:
        judge: weights of the recipe `evaluator`, or the network itself.
        weights: ours; None to leave it out.
        others: weights of the models compared with, by the names in `RIVALS`.
        limit: at most so many pictures a set, of `split` and of val.

    Raises:
        ValueError: faces are missing, or `others` names an unknown model.
    """
    others, plan, where = dict(others or {}), plan or Plan(), runtime.pick_device(device)
    runtime.check_models(others, RIVALS)
    rows = _rows(others, weights, where)
    network = judge if isinstance(judge, nn.Module) else _network(judge)
    reader = Judge(network, device=where)
    truth, counts = load_truth(data, reader, plan, split=split, limit=limit, progress=progress)
    results = _measure(rows, truth, reader, plan, progress)
    report = Report(f"Faces, {split} split", main_tables(results))
    report.tables += [
        holds_table(results),
        attribute_table(results, truth.test.labels),
        toggle_table(results),
    ]
    layers = layers_table(results)
    report.tables += [layers] if layers.rows else []
    report.facts = {
        "split": split,
        "faces": counts,
        "groups": len(set(truth.test.groups)),
        "plan": asdict(plan),
        "judge": None if isinstance(judge, nn.Module) else str(judge),
        "thresholds": truth.lines.tolist(),
        "weights": {name: str(path) for name, path in others.items()}
        | ({OURS: str(weights)} if weights is not None else {}),
    }
    report.figures = figures(results, Path(out))
    report.save(Path(out))
    print(report.markdown())
    return report


def _rows(
    others: Mapping[str, str | Path], weights: str | Path | None, device: torch.device
) -> dict[str, Row | None]:
    """By the names of the table, in its order; None: not trained."""
    rows: dict[str, Row | None] = {}
    for recipe, name in RIVALS.items():
        rows[name] = None
        if recipe in others:
            encodes = recipe not in GENERATORS
            rows[name] = Row(name, _model(others[recipe]), device=device, encodes=encodes)
    rows[OURS] = None if weights is None else Row(OURS, _model(weights), device=device)
    return rows


def _model(path: str | Path) -> CVAE:
    model = _network(path)
    if not isinstance(model, CVAE):
        raise ValueError(f"got {path} with a {type(model).__name__}, expected a model of faces")
    return model


def _network(path: str | Path) -> Any:
    return runtime.load(path, domain="faces", kinds=KINDS)[0]


def _measure(
    rows: Mapping[str, Row | None], truth: Truth, judge: Judge, plan: Plan, progress: bool
) -> dict[str, Measured | None]:
    quiet = None if progress else True
    found: dict[str, Measured | None] = {}
    for name, row in tqdm(rows.items(), unit="row", disable=quiet):
        found[name] = own = None if row is None else measure(row, truth, judge, plan)
        if name == ANCHOR and row and own and own.seen:
            found[LOUDER] = measure_louder(row, own.seen, truth, judge, plan)
    results: dict[str, Measured | None] = {
        REAL: measure_real(truth, plan),
        PASTED: measure_pasted(truth, judge, plan),
    }
    ours = found[OURS]
    if ours is not None and ours.seen is not None:
        results[SHUFFLED] = measure_shuffled(ours.seen, truth, plan)
    return results | found
