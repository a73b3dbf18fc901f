"""The part of the report on codes: every recipe has its row, trained or not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from apps.lab import codes_evaluate, train
from apps.lab.codes_evaluate import Data, add_codes, rate_curves
from apps.lab.codes_recipe import CODECS, CODES, PIXELS
from apps.lab.codes_tables import EXACT, REAL, TOLD, codec_name
from apps.lab.digits import Digits, load_digits
from apps.lab.measure import Plan
from apps.lab.model import DenseSize, build_dense
from apps.lab.train import cached
from apps.report import Report
from cvae.metrics import Interval
from tests.apps.lab.codes_toy import shrink
from tests.apps.lab.toy import steps

PLAN = Plan(samples=20)
CPU = torch.device("cpu")
BOUND: Any = {"vae-static": {"few": Interval(90.0, 89.0, 91.0), "epochs": 5.0}, "conv": None}


@pytest.fixture(scope="module")
def weights(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Exported folders of every recipe, hardly trained."""
    patch = pytest.MonkeyPatch()
    shrink(patch, steps(1))
    patch.setattr(train, "ALL", CODES)
    cache = tmp_path_factory.mktemp("cache")
    yield cached(data, cache, device=CPU, training=True, progress=False)
    patch.undo()


@pytest.fixture(scope="module")
def told() -> Any:
    return build_dense(DenseSize(width=8, latent=2, told=True))


def run(data: Path, out: Path, weights: Any, told: Any, bounds: Any = BOUND) -> Report:
    report = Report("toy")
    parts = Data(load_digits(data, "train"), load_digits(data, "test").first(30))
    options: dict[str, Any] = {"plan": PLAN, "device": CPU, "out": out, "progress": False}
    add_codes(report, weights, parts, bounds=bounds, told=told, **options)
    report.save(out)
    return report


def test_every_recipe_is_measured(data: Path, weights: Any, told: Any, tmp_path: Path) -> None:
    report = run(data, tmp_path, weights, told)
    rates, exact, scores = report.tables
    assert list(rates.rows) == [codec_name(name) for name in CODECS] and not rates.remarks
    for name, cells in rates.rows.items():
        bits: Any = cells["bits"]
        assert bits.low <= bits.mean <= bits.high, name
        assert 0.5 * cells["uniform"] < bits.mean < 1.5 * cells["uniform"]  # type: ignore[operator]
        assert ("used_1" in cells) == name.startswith("two") and cells["epochs"] == 20 / 220
    nats: Any = exact.rows[EXACT]["nats"]
    assert nats.low < nats.mean < nats.high and nats.mean > 200
    assert exact.rows["VAE, static"]["bound"] == Interval(90.0, 89.0, 91.0)
    assert exact.remarks["convolutional VAE, dynamic"] == "not trained"
    assert list(scores.rows) == [REAL, TOLD, *rates.rows] and not scores.remarks
    assert all(isinstance(cells["score"], Interval) for cells in scores.rows.values())
    assert report.figures == ["rate-distortion.png", *(f"samples-{n}.png" for n in CODECS)]
    for figure in report.figures:
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    for table in report.tables:  # a bar in a heading would be one more column
        lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
        assert {line.count("|") for line in lines} == {len(table.columns) + 2}
    assert Report.load(tmp_path / "report.json").markdown() == report.markdown()


def test_what_is_absent_is_not_trained(data: Path, tmp_path: Path) -> None:
    report = run(data, tmp_path, {}, None, {})
    rates, exact, scores = report.tables
    assert set(rates.remarks) == set(rates.rows) and set(exact.remarks) == set(exact.rows)
    assert set(scores.remarks) == set(scores.rows) - {REAL}
    for table in report.tables:
        assert set(table.remarks.values()) == {"not trained"}
    assert report.figures == []


def test_of_a_codec_without_a_law_all_but_bits_and_samples_is_known(
    data: Path, weights: Any, tmp_path: Path
) -> None:
    some = {name: weights[name] for name in ("vq-16", "vq2-16", "vq2-16-law-0")}
    report = run(data, tmp_path, some, None)
    for name in ("vq-16", "vq2-16"):
        row = report.tables[0].rows[codec_name(name)]
        assert row["bits"] == "not trained" and isinstance(row["mse"], Interval)
        assert report.tables[2].remarks[codec_name(name)] == "not trained"
    assert report.figures == ["rate-distortion.png"]


def test_likelihood_is_of_the_static_pixels_and_errors_of_the_grey_ones(
    data: Path, weights: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Digits] = {}

    def exact(model: Any, digits: Digits) -> torch.Tensor:
        seen["exact"] = digits
        return torch.zeros(3)

    def codes(codec: Any, law: Any, digits: Digits, plan: Plan) -> dict[str, Any]:
        seen["codes"] = digits
        return {"mse": Interval(0.0, 0.0, 0.0), "uniform": 1.0}

    monkeypatch.setattr(codes_evaluate, "exact_nll", exact)
    monkeypatch.setattr(codes_evaluate, "measure_codes", codes)
    run(data, tmp_path, {name: weights[name] for name in ("vq-16", PIXELS)}, None)
    held = load_digits(data, "test").first(30)
    assert torch.equal(seen["codes"].pixels, held.pixels)
    assert torch.equal(seen["exact"].pixels, held.binarised().pixels)


def test_curves_go_from_few_bits_to_many() -> None:
    def cells(bits: float, error: float) -> Any:
        interval = Interval(error, error - 0.1, error + 0.1)
        return {"bits": Interval(bits, bits, bits), "uniform": 2 * bits, "mse": interval}

    rates = {"vq-16": cells(0.3, 0.5), "vq-64": cells(0.1, 0.7), "vq2-16": cells(0.4, 0.2)}
    del rates["vq2-16"]["bits"]
    curves = rate_curves(rates)
    assert list(curves) == [
        "one level",
        "one level, all codes alike",
        "two levels, all codes alike",
    ]
    one = curves["one level"]
    assert list(one.x) == [0.1, 0.3] and list(one.y) == [0.7, 0.5]
    assert one.low is not None and list(one.low) == pytest.approx([0.6, 0.4])
    assert list(curves["one level, all codes alike"].x) == [0.2, 0.6]
