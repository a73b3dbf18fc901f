"""The whole evaluation on a handful of made-up photos."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps.colorization import ablation, rows, tables, truth
from apps.colorization.data import Photos, find_photos, load_photos
from apps.colorization.evaluate import Plan, evaluate
from apps.colorization.model import Size, build
from apps.colorization.objective import Weights
from apps.report import Report, Table
from cvae.metrics import Interval
from cvae.training import Schedule
from pretrained import store

SIZE = Size(width=8, palette=4, components=2, rank=2, detail=2)
TRAINING = Schedule(steps=2, batch=4, warmup=1)
PLAN = Plan(
    temperatures=(1.0, 0.5),
    resamples=50,
    unet=TRAINING,
    widths=(4, 8),
    ablation=TRAINING,
    ablation_size=SIZE,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets, faces by person and scenes by photo: 16 train, 4 val and 4 test each."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for name in ("faces", "scenes"):
        lines = ["file,split"]
        for i in range(24):
            split = "train" if i < 16 else "val" if i < 20 else "test"
            person = f"Ann_{i // 2}"
            file = f"{person}/{person}_{i:04d}.png" if name == "faces" else f"{i}.png"
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
            Image.fromarray(coarse).resize((72, 64), Image.Resampling.BICUBIC).save(path)
            lines.append(f"{file},{split}")
        (folder / name / "split.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    config = {"domain": "colorization", "model": "mixture", "size": asdict(SIZE)}
    store.save(folder, state=build(SIZE).state_dict(), config=config, card="# Untrained\n")
    return folder


@pytest.fixture(scope="module")
def done(
    data: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, Path, Path]:
    out, cache = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("cache")
    report = evaluate(
        data,
        out=out,
        cache=cache,
        weights=weights,
        others={"cvae": weights},
        device="cpu",
        limit=3,
        progress=False,
        plan=PLAN,
    )
    return report, out, cache


def by_title(report: Report, part: str) -> Table:
    (table,) = (table for table in report.tables if part in table.title)
    return table


def test_the_table_is_complete(done: tuple[Report, Path, Path]) -> None:
    table = by_title(done[0], "faces: 3 pictures")
    sampled = ["linear-Gaussian", "U-Net + Gaussian", "CVAE prior", "ours"]
    expected = ["grey", "mean image", "ridge mean", "random training chromas", "grey-kNN"]
    expected += [f"{name}, T = {t}" for name in sampled for t in ("1", "0.5")]
    assert set(table.rows) == {*expected, "U-Net mean", "ours, as shown", "divcolor"}
    assert table.remarks == {"divcolor": "not trained"}
    latent = {"CVAE prior, T = 1", "ours, T = 1"}
    for name in set(table.rows) - {"divcolor"}:
        for column in table.columns:
            cell = table.rows[name].get(column.key)
            if column.key == "bits" and name not in latent:
                assert cell is None
                continue
            assert isinstance(cell, Interval), (name, column.key)
            assert np.isfinite([cell.low, cell.mean, cell.high]).all()
            assert cell.low <= cell.mean + 1e-6 and cell.mean <= cell.high + 1e-6


def test_what_must_hold_names_every_rival(done: tuple[Report, Path, Path]) -> None:
    report = done[0]
    scores, table = by_title(report, "scenes: 3"), by_title(report, "scenes: what must hold")
    rivals = {name.partition(", T")[0] for name in scores.rows} - {
        "ours",
        "ours, as shown",
        "divcolor",
    }
    assert set(table.rows) == {"ours", *rivals}
    ours = scores.rows["ours, T = 1"]["energy"]
    assert table.rows["ours"]["energy"] == ours
    grey = table.rows["grey"]
    assert isinstance(ours, Interval)
    assert isinstance(grey["d_energy"], Interval) and isinstance(grey["energy"], Interval)
    assert grey["d_energy"].mean == pytest.approx(ours.mean - grey["energy"].mean)
    assert grey["t_energy"] is None
    assert table.rows["linear-Gaussian"]["t_energy"] in PLAN.temperatures


def test_everything_is_saved(done: tuple[Report, Path, Path]) -> None:
    report, out, _ = done
    read = Report.load(out / "report.json")
    assert read.markdown() == report.markdown() == (out / "report.md").read_text("utf-8")
    assert json.loads((out / "report.json").read_text())["facts"]["sets"]["faces"]["groups"] <= 3
    assert len(report.figures) == 6
    for name in report.figures:
        with Image.open(out / name) as picture:
            assert picture.format == "PNG"


def test_a_second_run_trains_nothing_and_says_the_same(
    done: tuple[Report, Path, Path], data: Path, tmp_path: Path
) -> None:
    report, _, cache = done
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    again = evaluate(
        data,
        out=tmp_path,
        cache=cache,
        weights=None,
        device="cpu",
        limit=3,
        progress=False,
        plan=PLAN,
    )
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before
    first, second = (by_title(r, "faces: 3").rows for r in (report, again))
    for name in ("grey-kNN", "linear-Gaussian, T = 1", "U-Net + Gaussian, T = 0.5"):
        assert first[name] == second[name]
    tables = [by_title(r, "Loss terms, scenes") for r in (report, again)]
    assert tables[0].rows == tables[1].rows
    assert by_title(again, "faces: 3").remarks["ours"] == "not trained"


def test_unknown_models_are_refused(data: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gan"):
        evaluate(data, out=tmp_path, cache=tmp_path, others={"gan": weights})


def test_the_ablation_adds_the_terms_one_by_one(done: tuple[Report, Path, Path]) -> None:
    first, second, third = ablation.variants(Weights()).values()
    assert (first.rare, first.components, first.gradient) == (False, 0, 0)
    assert second == replace(first, components=Weights().components)
    assert third == Weights()
    table = by_title(done[0], "Loss terms, faces")
    assert list(table.rows) == list(ablation.variants(Weights()))
    assert all(len(cells) == len(ablation.COLUMNS) for cells in table.rows.values())


def test_the_truth_is_exact_and_in_the_order_of_its_groups(data: Path) -> None:
    found = truth.load_truth(data, "test", progress=False)
    assert set(found) == {"faces", "scenes"}
    faces = found["faces"]
    assert faces.grey.shape == (4, 1, 128, 128) and faces.chroma.shape == (4, 2, 64, 64)
    assert len(set(faces.groups)) == 2 and len(set(found["scenes"].groups)) == 4
    coarse = load_photos(
        [p for p in find_photos(data, "test") if p.set == "faces"], progress=False
    )
    order = torch.cdist(faces.chroma.flatten(1), coarse.tensors(slice(None))[1].flatten(1)).argmin(
        1
    )
    grey, chroma = coarse.tensors(order)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    assert tuple(coarse.photos[i].group for i in order) == faces.groups
    error = (faces.chroma - chroma).abs().max().item()
    assert 1e-4 < error <= 0.5001 / 128  # what the 8 bits of the training data lose
    torch.testing.assert_close(faces.grey, grey, atol=0.0041, rtol=0)
    limited = truth.load_truth(data, "test", limit=2, progress=False)["faces"]
    assert torch.equal(limited.chroma, faces.chroma[:2])


def test_the_train_photos_are_decoded_once(data: Path, tmp_path: Path) -> None:
    first = truth.cached_photos(data, tmp_path, progress=False)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    second = truth.cached_photos(data, tmp_path, progress=False)
    assert file.stat().st_mtime_ns == written
    assert isinstance(second, Photos) and second.photos == first.photos
    assert torch.equal(second.chroma, first.chroma)
    assert torch.equal(second.lightness, first.lightness)


class Counted(rows.Row):
    """Answer i is the number i / 10 everywhere; not nested: plus how many were asked for."""

    def __init__(self, *, nested: bool, most: int = 99) -> None:
        super().__init__("counted")
        self.nested, self.most = nested, most

    def draw(
        self,
        grey: torch.Tensor,
        k: int,
        *,
        generator: torch.Generator,
        temperature: float = 1.0,
    ) -> torch.Tensor:
        x = torch.arange(min(k, self.most)) / 10 + (0 if self.nested else k)
        return x.view(1, -1, 1, 1, 1).expand(len(grey), -1, *rows.SHAPE)


@pytest.mark.parametrize(
    ("nested", "most", "expected"),
    [
        (True, 99, {1: 2.0, 2: 1.9, 4: 1.7, 8: 1.3, 16: 0.5}),
        (True, 2, {1: 2.0, 2: 1.9, 4: 1.9, 8: 1.9, 16: 1.9}),
        (False, 99, {1: 6.0, 2: 6.0, 4: 6.0, 8: 6.0, 16: 14.0}),
    ],
)
def test_which_answers_count_at_k(nested: bool, most: int, expected: dict[int, float]) -> None:
    chroma = torch.full((40, *rows.SHAPE), 2.0)
    grey, light = torch.zeros(40, 1, 128, 128), torch.zeros(40, 64, 64)
    pictures = truth.Truth(grey, chroma, light, tuple("x" * 40))
    row = Counted(nested=nested, most=most)
    scores = rows.score_row(row, pictures, device=torch.device("cpu"))
    for k, error in expected.items():
        torch.testing.assert_close(scores[f"mae{k}"], torch.full((40,), error))


def test_what_holds_needs_both_intervals_below_zero() -> None:
    n = 50
    statistics = tables.Statistics(tuple(str(i) for i in range(n)), 200)
    noise = torch.randn(n, generator=torch.Generator().manual_seed(0))
    ours = 5 + noise

    def rival(name: str, energy: float, best: float) -> tables.Rival:
        jitter = 0.1 * noise.flip(0)
        return tables.Rival(name, ours + energy + jitter, 0.5, ours + best + jitter, 0.3)

    rivals = [rival("worse", 0.2, 0.2), rival("equal", 0.2, 0.0), rival("better", -0.2, 0.2)]
    table = tables.holds_table("T", ours, ours, rivals, statistics)
    found = {name: cells.get("holds") for name, cells in table.rows.items()}
    assert found == {"ours": None, "worse": "yes", "equal": "**no**", "better": "**no**"}
    assert table.rows["worse"]["t_best"] == 0.3
