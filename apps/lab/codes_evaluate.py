"""The part of the report on the core that measures codes and laws of them."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from apps import runtime
from apps.lab.codes_law import CodeLaw, load_codec, load_law
from apps.lab.codes_measure import exact_nll, measure_codes
from apps.lab.codes_model import KINDS
from apps.lab.codes_recipe import CODECS, PIXELS
from apps.lab.codes_score import accuracy_score, classes_in_turn
from apps.lab.codes_tables import REAL, TOLD, exact_table, rate_table, score_table
from apps.lab.digits import CLASSES, Digits
from apps.lab.figures import write_sheet
from apps.lab.measure import Plan, decode, device_of, draw
from apps.lab.tables import Cells
from apps.report import Cell, Curve, Report, plot_lines
from cvae.metrics import Interval
from cvae.model import CVAE

ROWS = 8  # of a sheet of samples


class Data(NamedTuple):
    """Grey digits to learn from and to be asked."""

    train: Digits
    held: Digits


def add_codes(
    report: Report,
    weights: Mapping[str, str | Path],
    data: Data,
    *,
    bounds: Mapping[str, Cells | None],
    told: CVAE | None,
    plan: Plan,
    device: torch.device,
    out: Path,
    progress: bool = True,
) -> None:
    """Measure the recipes of `CODES` and add their tables, figures and facts to a report.

    Args:
        weights: folders by the names of recipes; what is absent is "not trained".
        bounds: what was measured of the likelihood of VAEs, by recipe.
        told: the trained CVAE that is told the class.
        out: the folder of the report.

    Raises:
        ValueError: `weights` holds a law of other codes.
    """
    rates: dict[str, Cells] = {}
    laws: dict[str, CodeLaw] = {}
    for name in tqdm(CODECS, unit="codec", disable=None if progress else True):
        if name in weights:
            rates[name], law = _codec(weights, name, data.held, plan, device)
            laws |= {name: law} if law is not None else {}
    report.tables += [
        rate_table(rates),
        exact_table(_exact(weights, data.held, plan, device), bounds, plan),
        score_table(_scores(laws, told, data, plan, progress), plan),
    ]
    report.figures += _figures(rates, laws, plan, out)


def _codec(
    weights: Mapping[str, str | Path], name: str, held: Digits, plan: Plan, device: torch.device
) -> tuple[Cells, CodeLaw | None]:
    codec, config = load_codec(weights[name], device)
    law = load_law(weights, codec, name, device)
    return measure_codes(codec, law, held, plan) | {"epochs": _epochs(config)}, law


def _exact(
    weights: Mapping[str, str | Path], held: Digits, plan: Plan, device: torch.device
) -> Cells | None:
    if PIXELS not in weights:
        return None
    model: Any
    model, config = runtime.load(weights[PIXELS], domain="lab", kinds=KINDS)
    nats = exact_nll(model.to(device), held.binarised())
    return {"nats": plan.interval(nats), "epochs": _epochs(config)}


def _epochs(config: Mapping[str, Any]) -> float:
    return config["steps"] * config["batch"] / config["digits"]


def _scores(
    laws: Mapping[str, CodeLaw], told: CVAE | None, data: Data, plan: Plan, progress: bool
) -> dict[str, Cell]:
    """Of every model that is told the class, and of real digits beside them if there is one."""
    if told is None and not laws:
        return {}
    lessons = _lessons(laws, told, data.train, plan)
    return {
        name: accuracy_score(x, labels, data.held, plan)
        for name, x, labels in tqdm(lessons, unit="score", disable=None if progress else True)
    }


def _lessons(
    laws: Mapping[str, CodeLaw], told: CVAE | None, train: Digits, plan: Plan
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Who drew pictures, the pictures in [0, 1], and their labels."""
    yield REAL, *train.first(plan.samples).tensors(slice(None))
    labels = classes_in_turn(plan.samples)
    if told is not None:
        z = draw(told, labels, plan.generator(device_of(told)))
        yield TOLD, decode(told, z, labels), labels
    for name, law in laws.items():
        generator = plan.generator(device_of(law.codec))
        yield name, law.draw(labels, generator=generator), labels


def _figures(
    rates: Mapping[str, Cells], laws: Mapping[str, CodeLaw], plan: Plan, out: Path
) -> list[str]:
    """Draw what there is to draw; the names of the files."""
    files = []
    curves = rate_curves(rates)
    if curves:
        x, y = "bits a pixel", "mean squared error"
        plot_lines(out / "rate-distortion.png", curves, x=x, y=y)
        files.append("rate-distortion.png")
    for name, law in laws.items():
        generator = plan.generator(device_of(law.codec))
        pictures = law.draw(classes_in_turn(ROWS * CLASSES), generator=generator)
        write_sheet(out / f"samples-{name}.png", pictures)
        files.append(f"samples-{name}.png")
    return files


def rate_curves(rates: Mapping[str, Cells]) -> dict[str, Curve]:
    """Errors by bits, for each number of levels: as the laws have it, and all codes alike."""
    curves = {}
    for levels, name in ((1, "one level"), (2, "two levels")):
        found: list[Any] = [
            cells for of, cells in rates.items() if len(CODECS[of].size.codes) == levels
        ]
        measured = [(cells["bits"].mean, cells["mse"]) for cells in found if "bits" in cells]
        uniform = [(cells["uniform"], cells["mse"]) for cells in found]
        for kind, points in ((name, measured), (f"{name}, all codes alike", uniform)):
            if points:
                curves[kind] = _curve(points)
    return curves


def _curve(points: list[tuple[float, Interval]]) -> Curve:
    bits, errors = zip(*sorted(points, key=itemgetter(0)), strict=True)
    low, high = [error.low for error in errors], [error.high for error in errors]
    return Curve(bits, [error.mean for error in errors], low, high)
