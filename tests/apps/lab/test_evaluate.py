"""The report: every recipe has its row, trained or not, beside what others published."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.lab import commands, published, train
from apps.lab import evaluate as evaluating
from apps.lab.digits import Digits
from apps.lab.evaluate import evaluate
from apps.lab.factor_measure import FactorPlan
from apps.lab.factor_tables import RECIPES as RECIPES_OF_SPRITES
from apps.lab.factors import TRAINED
from apps.lab.figures import curve
from apps.lab.measure import Plan
from apps.lab.recipe import RECIPES
from apps.lab.tables import LATENTS, LIKELIHOOD, QUADRANTS, likelihood_table, quadrant_table
from apps.lab.train import cached
from apps.report import Report
from cvae.metrics import Interval
from tests.apps.lab.toy import shrink, steps

PLAN = Plan(draws=2, many=4, bounded=20, tutorial=2, samples=20)
FACTORS = FactorPlan(sizes=(3, 2, 2, 2, 2), repeats=1, rows=300, pictures=20)
LIKELY, QUADS, CODES, CLASSES, SCORES, BOUNDS = range(6)


@pytest.fixture(scope="module")
def weights(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exported folders of every recipe, hardly trained."""
    patch = pytest.MonkeyPatch()
    shrink(patch, steps(1))
    patch.setattr(train, "ALL", RECIPES)
    cache = tmp_path_factory.mktemp("cache")
    yield cached(data, cache, device=torch.device("cpu"), training=True, progress=False)
    patch.undo()


def run(data: Path, out: Path, weights: Any, **options: Any) -> Report:
    parts: dict[str, Any] = {"factors": FACTORS, "device": "cpu", "progress": False, **options}
    return evaluate(data, out=out, weights=weights, **parts)


def test_every_recipe_is_measured_beside_what_is_published(
    data: Path, weights: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = run(data, tmp_path, weights, plan=PLAN, limit=40)
    assert capsys.readouterr().out.startswith(report.title, 3)
    assert not any("not trained" in table.markdown() for table in report.tables[:4])
    likely = report.tables[LIKELY]
    assert list(likely.rows) == list(LIKELIHOOD.values())
    for name, cells in likely.rows.items():
        few: Any = cells["few"]
        assert isinstance(few, Interval) and few.low <= few.mean <= few.high, name
        assert few.mean > 100 and cells["epochs"] == pytest.approx(20 / 220)
    for recipe, figure in published.NLL.items():
        assert likely.rows[LIKELIHOOD[recipe]]["published"] == figure.nats
    for name in QUADRANTS:
        for n in (1, 2, 3):
            assert isinstance(report.tables[QUADS].rows[name][f"given{n}"], Interval)
    for name in LATENTS.values():
        kinds = {"probe", "knn", "between", "prior", "fitted", "epochs"}
        assert set(report.tables[CODES].rows[name]) == kinds
    assert len(report.tables[CLASSES].rows) == 2
    for name in RECIPES_OF_SPRITES.values():
        scores, cells = (report.tables[table].rows[name] for table in (SCORES, BOUNDS))
        assert all(isinstance(cell, Interval) for cell in scores.values()) and len(scores) == 9
        assert isinstance(cells["bound"], Interval) and cells["epochs"] == 20 / TRAINED
    assert report.figures == [
        "latent-maps.png",
        "styles-by-class.png",
        "training.png",
        "sprite-scores.png",
        "sprite-traversals.png",
    ]
    for figure_file in report.figures:
        assert (tmp_path / figure_file).read_bytes().startswith(b"\x89PNG")
    for table in report.tables:  # a bar in a heading would be one more column
        lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert {line.count("|") for line in lines} == {len(table.columns) + 2}
    again = Report.load(tmp_path / "report.json")
    assert again.markdown() == report.markdown() and report.facts["digits"] == 40


def test_what_is_absent_is_not_trained(data: Path, tmp_path: Path) -> None:
    report = run(data, tmp_path, {}, plan=PLAN)
    for table in (report.tables[LIKELY], report.tables[CODES], report.tables[CLASSES]):
        assert set(table.remarks.values()) == {"not trained"}
        assert set(table.remarks) == set(table.rows)
    rows = report.tables[QUADS].rows
    assert {cells[f"given{n}"] for cells in rows.values() for n in (1, 2, 3)} == {"not trained"}
    assert rows["baseline"]["known1"] == "100.4"
    assert report.figures == [] and "89.78" in report.markdown()


def test_without_a_classifier_only_what_it_judges_is_missing(
    data: Path, weights: Any, tmp_path: Path
) -> None:
    some = {name: weights[name] for name in ("ae", "cvae")}
    report = run(data, tmp_path, some, plan=PLAN, split="val")
    assert set(report.tables[CODES].rows["autoencoder"]) == {"probe", "knn", "epochs"}
    assert report.tables[CODES].remarks == {"VAE": "not trained"}
    assert set(report.tables[CLASSES].rows["CVAE"]) == {"few", "epochs"}
    assert report.figures == ["latent-maps.png", "styles-by-class.png"]


def test_binarised_models_are_judged_on_binarised_digits_and_quadrants_on_grey(
    data: Path, weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Digits] = {}

    def likelihood(model: Any, digits: Digits, plan: Plan) -> dict[str, Any]:
        seen["likelihood"] = digits
        return {}

    def guesses(model: Any, digits: Digits, plan: Plan, *, given: int) -> float:
        seen["guesses"] = digits
        return 0.0

    monkeypatch.setattr(evaluating, "measure_likelihood", likelihood)
    monkeypatch.setattr(evaluating, "measure_guesses", guesses)
    some = {name: weights[name] for name in ("vae-static", "baseline-1")}
    run(data, tmp_path, some, plan=PLAN)
    assert len(seen["likelihood"].pixels.unique()) == 2 < len(seen["guesses"].pixels.unique())
    assert torch.equal(seen["likelihood"].pixels, seen["guesses"].binarised().pixels)


def test_unknown_recipes_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\['gan'\], expected some of"):
        run(data, tmp_path, {"gan": tmp_path})


def test_published_figures_stand_beside_the_bounds_of_as_many_draws() -> None:
    found: dict[str, Any] = {"few": 90.0, "many": 89.0, "kl": 25.0, "active": 20.0, "epochs": 1.0}
    text = likelihood_table({"vae-static": found}, PLAN).markdown()
    row = next(line for line in text.splitlines() if line.startswith("| VAE, static"))
    assert [cell.strip() for cell in row.split("|")[2:6]] == ["90.00", "89.00", "89.78", "200"]
    assert "pythae" in text and "static" in text


def test_the_best_of_the_quadrants_is_bold_and_published_is_not() -> None:
    results: dict[tuple[str, int], Any] = {(QUADRANTS[0], 1): 101.0, (QUADRANTS[1], 1): 70.0}
    text = quadrant_table(results, PLAN).markdown()
    assert "**70.0**" in text and "**101.0**" not in text and "**71.8**" not in text


def test_a_curve_is_what_the_run_has_logged(tmp_path: Path) -> None:
    assert curve(tmp_path) is None
    lines = "".join(f'{{"step": {n}, "loss": {100 - n}}}\n' for n in range(1, 21))
    (tmp_path / "stats.jsonl").write_text(lines)
    found: Any = curve(tmp_path)
    assert found.x == list(range(3, 21)) and found.y[0] == 97


def test_the_command_measures_what_the_cache_holds(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = Namespace(
        data=data,
        out=tmp_path / "out",
        cache=tmp_path,
        no_training=True,
        split="test",
        limit=None,
        model=None,
        device="cpu",
    )
    commands.evaluate(args)
    assert "not trained" in capsys.readouterr().out
    args.model = "faces"
    with pytest.raises(ValueError, match="got --model faces, expected none"):
        commands.evaluate(args)
