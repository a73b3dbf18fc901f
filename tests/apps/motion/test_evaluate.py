"""The whole evaluation on a small planted world: bright halves of pictures fall."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from apps.motion import evaluate as module
from apps.motion.baselines import Constant, plain_rows
from apps.motion.cache import save
from apps.motion.data import Windows
from apps.motion.evaluate import evaluate, strangers
from apps.motion.model import Size, build
from apps.motion.model_rows import Shown, Walker
from apps.motion.posterior import Reconstruction, importance_nll
from apps.motion.recipe import Recipe
from apps.motion.rivals import NAMES, RIVALS, Plan, plan_of, rivals
from apps.motion.rows import SHAPE, Pooled, Row, Scored
from apps.motion.scores import KS
from apps.motion.tables import FLOOR, OURS, SHOWN, Statistics, score_tables
from apps.motion.walker import WalkerSize, build_walker
from apps.report import Report, Table
from cvae.metrics import Interval
from cvae.training import Schedule
from pretrained import store

CPU = torch.device("cpu")
SIZE = Size(width=8, whole=3, spatial=2, components=2, rank=2)
PLAN = Plan(Recipe(SIZE, Schedule(steps=1, batch=4)), kinds=3, resamples=50)


def world(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames whose bright quarter falls by as much as it is red, and that motion."""
    random = np.random.default_rng(seed)
    frames = random.integers(30, 60, (n, 160, 208, 3)).astype(np.uint8)
    motion = np.zeros((n, *SHAPE), np.float16)
    for i in range(n):
        column, far = int(random.integers(0, 3)) * 6, float(random.uniform(4, 10))
        frames[i, :, column * 8 : (column + 6) * 8] = (int(far * 25), 230, 230)
        motion[i, 0, 1, :, column : column + 6] = far
    return frames, motion


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of windows: two a clip, a clip a scene."""
    folder = tmp_path_factory.mktemp("windows")
    for number, split in enumerate(("train",) * 4 + ("val",) * 2 + ("test",) * 4):
        frames, motion = world(2, number)
        save(
            folder / f"{number}.mp4.npz",
            key=np.array(""),
            clip=np.array(f"group/{number}.mp4"),
            scene=np.array(f"scene {number}"),
            split=np.array(split),
            unsteady=np.array(0),
            frames=frames,
            coefficients=motion,
            confidence=np.full((2, 20, 26), 255, np.uint8),
            start=np.array([0.0, 0.5]),
            static=np.ones(2, bool),
            inlier_ratio=np.ones(2, np.float32),
            motion=np.ones(2, np.float32),
            moving=np.full(2, 0.2, np.float32),
        )
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    config = {"domain": "motion", "model": "mixture", "size": asdict(SIZE)}
    store.save(folder, state=build(SIZE).state_dict(), config=config, card="# Untrained\n")
    return folder


@pytest.fixture(scope="module")
def anchor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walker")
    torch.manual_seed(0)
    size = WalkerSize(width=3)
    config = {"domain": "motion", "model": "walker", "size": asdict(size)}
    store.save(folder, state=build_walker(size).state_dict(), config=config, card="# Untrained\n")
    return folder


class Seer(Row):
    """Reads off the still what will fall; `nearly`: and is a little unsure how far."""

    def __init__(self, name: str, *, nearly: float = 0.1) -> None:
        super().__init__(name)
        self.nearly = nearly

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        cells = frames[..., 4::8, 4::8].float()  # (B, 3, 20, 26)
        far = torch.where(cells[:, 2] > 100, cells[:, 0] / 25, 0.0)
        drawn = torch.zeros(len(frames), k, *SHAPE)
        noise = torch.randn(len(frames), k, 1, 1, generator=generator)
        drawn[:, :, 0, 1] = far[:, None] * (1 + self.nearly * noise)
        return drawn

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        return torch.full((len(windows),), self.nearly)


def planted(monkeypatch: pytest.MonkeyPatch, ours: Scored, others: Sequence[Scored]) -> None:
    """Let the table be of these rows, beside those that need no training."""

    def rows(train: Windows, *args: object) -> dict[str, Scored | None]:
        found = [*plain_rows(train), *others, ours]
        return {row.name: row for row in found}

    monkeypatch.setattr(module, "_rows", rows)


def by_title(report: Report, part: str) -> Table:
    (table,) = (table for table in report.tables if part in table.title)
    return table


def run(data: Path, out: Path, **options: object) -> Report:
    plain = {"weights": None, "device": "cpu", "progress": False, "plan": PLAN}
    return evaluate(data, out=out, cache=out / "cache", **(plain | options))  # type: ignore[arg-type]


def test_the_row_that_is_best_is_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted(monkeypatch, Seer(OURS), [Seer("regressor", nearly=0.8)])
    report = run(data, tmp_path)
    against = by_title(report, "ours against every other")
    names = [row for row in by_title(report, "Distances").rows if row != OURS]
    assert list(against.rows) == names and len(names) == 6
    assert {cells["holds"] for cells in against.rows.values()} == {"yes"}
    unknown = by_title(report, "ours, as shown against")
    assert {cells["holds"] for cells in unknown.rows.values()} == {"not trained"}
    claims = by_title(report, "besides").rows
    found = {title: cells["holds"] for title, cells in claims.items()}
    assert found["energy score, px"] == found["AUC of moving cells"] == "yes"
    assert found["NLL, beside regressor"] == found["Parzen NLL, beside regressor"] == "yes"
    assert found["NLL, beside walker"] == found["min-ED@5 as shown, px"] == "not measured"
    assert found["energy score, beside shuffled stills"] == "yes"
    assert found["min-ED@5, beside shuffled stills"] == "yes"
    used = by_title(report, "still used")
    assert set(used.rows) == {OURS, "regressor", "kNN retrieval", "zero motion + kNN retrieval"}
    cell, auc = used.rows[OURS]["d_energy"], used.rows[OURS]["d_auc"]
    assert isinstance(cell, Interval) and cell.low > 0.3
    assert isinstance(auc, Interval) and auc.high < 0


def test_the_row_that_is_not_is_too(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours does not look and another does: nothing holds but what rest has not either."""
    wild = Constant(OURS, torch.full(SHAPE, 9.0))
    planted(monkeypatch, wild, [Seer("walker")])
    report = run(data, tmp_path)
    against = by_title(report, "ours against every other").rows
    assert {cells["holds"] for cells in against.values()} == {"**no**"}
    claims = by_title(report, "besides").rows
    for title in ("energy score, px", "AUC of moving cells", "Parzen NLL, beside walker"):
        assert claims[title]["holds"] == "**no**", title
    assert claims["min-ED@5, beside shuffled stills"]["holds"] == "not measured"  # it is blind


@pytest.fixture(scope="module")
def done(
    data: Path, weights: Path, anchor: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:  # hundreds of draws say nothing more here
        for row in (Shown, Walker):
            patch.setattr(module, row.__name__, partial(row, pool=110))
        return run(data, out, weights=weights, others={"walker": anchor}, limit=2), out


def test_the_table_is_complete(done: tuple[Report, Path]) -> None:
    report = done[0]
    distances, laws = by_title(report, "Distances"), by_title(report, "Distributions")
    plain = ["zero motion", "mean motion", "PCA-Gaussian", "kNN retrieval"]
    plain.append("zero motion + kNN retrieval")
    names = [*plain, *NAMES, "walker", OURS, SHOWN, FLOOR]
    assert list(distances.rows) == list(laws.rows) == names
    dense = {"PCA-Gaussian", *NAMES[:2], "walker", OURS}
    for table in (distances, laws):
        for name in names:
            for column in table.columns:
                cell = table.rows[name].get(column.key)
                if column.key == "nll" and name not in dense:
                    assert cell is None
                    continue
                assert isinstance(cell, Interval), (name, column.key)
                assert np.isfinite([cell.low, cell.mean, cell.high]).all()
    for name, row in distances.rows.items():
        means = [cell.mean for k in KS if isinstance(cell := row.get(f"ed{k}"), Interval)]
        if name not in (SHOWN, "walker"):  # they choose anew for every k
            assert means == sorted(means, reverse=True)


def test_what_is_not_trained_says_so() -> None:
    for table in score_tables({"walker": None}, Statistics(("a",))):
        assert table.remarks == {"walker": "not trained"} and table.rows["walker"] == {}


def test_everything_is_saved(done: tuple[Report, Path]) -> None:
    report, out = done
    read = Report.load(out / "report.json")
    assert read.markdown() == report.markdown() == (out / "report.md").read_text("utf-8")
    facts = json.loads((out / "report.json").read_text())["facts"]
    assert facts["windows"] == {"test": 2, "val": 2, "train": 8}
    assert set(facts["bandwidths"]) == set(by_title(report, "Distances").rows)
    assert report.figures == ["min-ed.png", "min-ed-moving.png"]
    for name in report.figures:
        with Image.open(out / name) as picture:
            assert picture.format == "PNG"


def test_unknown_models_are_refused(data: Path, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gan"):
        evaluate(data, out=tmp_path, cache=tmp_path, others={"gan": weights})


def test_the_windows_of_a_split_must_be_there(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got no windows of test"):
        run(tmp_path, tmp_path)


def test_nothing_is_trained_when_that_is_not_wanted(tmp_path: Path) -> None:
    assert rivals(tmp_path / "no data", tmp_path, device=CPU, training=False) == {}
    assert plan_of(tmp_path, training=False).recipe is None
    assert list(tmp_path.iterdir()) == []
    assert plan_of(tmp_path, training=True).recipe is not None
    assert RIVALS == ("walker",)


@pytest.mark.parametrize("scenes", ["aabbcc", "abcabca", "aaabbb", "abbbccaa"])
def test_strangers_are_of_other_scenes(scenes: str) -> None:
    other = strangers(list(scenes)).tolist()
    assert sorted(other) == list(range(len(scenes)))
    assert all(scenes[i] != scenes[j] for i, j in enumerate(other))


def test_scenes_are_resampled_as_wholes() -> None:
    """Ten windows of one scene are no more evidence than one."""
    values = torch.tensor([0.0, 1.0, 2.0])
    one = Statistics(("a", "b", "c"), 500).interval(values)
    many = Statistics(tuple("a" * 10 + "b" * 10 + "c" * 10), 500).interval(
        values.repeat_interleave(10)
    )
    assert one == many
    apart = Statistics(tuple(str(i) for i in range(30)), 500).interval(
        values.repeat_interleave(10)
    )
    assert one is not None and apart is not None
    assert apart.high - apart.low < 0.6 * (one.high - one.low)


def test_windows_without_a_score_are_left_out() -> None:
    statistics = Statistics(("a", "b", "c"), 100)
    values = torch.tensor([1.0, torch.nan, 3.0])
    found = statistics.interval(values)
    assert found is not None and (found.mean, found.low, found.high) == (2.0, 1.0, 3.0)
    gap = statistics.difference(values, torch.tensor([torch.nan, 0.0, 1.0]))
    assert gap is not None and (gap.mean, gap.low, gap.high) == (2.0, 2.0, 2.0)
    assert statistics.interval(torch.full((3,), torch.nan)) is None


def test_the_floor_sees_the_truth(make_windows: Callable[..., Windows]) -> None:
    model = build(SIZE)
    row = Reconstruction(FLOOR, model)
    torch.manual_seed(0)
    for parameter in model.recognition.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    for parameter in model.generation.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    frames = torch.zeros(2, 3, 160, 208, dtype=torch.uint8)
    motion = torch.zeros(2, *SHAPE)
    motion[1] = 9.0
    sets = row.sets(
        make_windows(motion, frames), (1, 3), generator=torch.Generator().manual_seed(0)
    )
    assert sets[3].shape == (2, 3, *SHAPE) and torch.equal(sets[1], sets[3][:, :1])
    assert (sets[3][0].mean(0) - sets[3][1].mean(0)).abs().max() > 1e-3


def test_the_bound_tightens_with_draws(make_windows: Callable[..., Windows]) -> None:
    """Over many draws log of the mean is above the mean of the log."""
    torch.manual_seed(0)
    model = build(SIZE).eval()
    windows = make_windows(torch.randn(4, *SHAPE))
    found = [
        importance_nll(model, windows, generator=torch.Generator().manual_seed(0), draws=n).mean()
        for n in (1, 8)
    ]
    assert found[1] < found[0]


class Deck(Pooled):
    """Draws n, n + 1, ... at its n-th still, and answers with the last of them."""

    gathered = 0

    def gather(self, frame: Tensor, *, generator: torch.Generator) -> Tensor:
        self.gathered += 1
        return (self.gathered + torch.arange(60.0))[:, None, None, None, None].expand(-1, *SHAPE)

    def choose(self, drawn: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return drawn[-k:]


def test_one_pool_serves_every_k(make_windows: Callable[..., Windows]) -> None:
    row, windows = Deck("deck"), make_windows(torch.zeros(2, *SHAPE))
    sets = row.sets(windows, (1, 5), generator=torch.Generator())
    assert row.gathered == 2
    assert sets[1][:, :, 0, 0, 0, 0].tolist() == [[60.0], [61.0]]
    assert sets[5][1, :, 0, 0, 0, 0].tolist() == [57.0, 58.0, 59.0, 60.0, 61.0]
    drawn = row.draw(windows.frames, 3, generator=torch.Generator())
    assert drawn.shape == (2, 3, *SHAPE) and row.gathered == 4
