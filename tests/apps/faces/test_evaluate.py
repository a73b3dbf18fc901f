"""The whole evaluation on planted faces and tiny networks."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from apps.faces import commands, rivals
from apps.faces.attr2img import Attr2ImgSize
from apps.faces.attributes import NAMES, OFFERED, STRONG
from apps.faces.evaluate import evaluate
from apps.faces.holds import CLAIMS
from apps.faces.loudness import GAINS
from apps.faces.model import KINDS, Size
from apps.faces.tables import (
    EVIDENCE,
    LOUDER,
    OURS,
    PASTED,
    REAL,
    REALISM,
    REQUESTED,
    SHUFFLED,
    TABLES,
    TOGGLES,
)
from apps.faces.truth import Plan
from apps.report import Report, Table
from cvae.metrics import Interval
from pretrained import store
from pretrained.store import WeightsError
from tests.apps.faces import planted

PLAN = Plan(resamples=20, parts=4, pairs=3, copies=16, bounded=3, draws=3)
COUNTS = {"train": 48, "val": 20, "test": 24}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of one kind, of which the second has half of the first in train, and as many held
    out; some labels are not known."""
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("one", "two")):
        (folder / name / "images").mkdir(parents=True)
        rows, splits = [f"file,{','.join(NAMES)}"], ["file,split"]
        n = {
            split: count // (2 if name == "two" and split == "train" else 1)
            for split, count in COUNTS.items()
        }
        states = planted.labels(sum(n.values()), unknown=0.1, seed=seed)
        pixels = planted.faces(states, seed=seed)
        for i, split in enumerate(split for split, count in n.items() for _ in range(count)):
            file = f"{i}.png"
            picture = Image.fromarray(pixels[i].permute(1, 2, 0).numpy())
            picture.save(folder / name / "images" / file)
            known = dict(zip(OFFERED, states[i].int().tolist(), strict=True))
            cells = [{1: "1", -1: "0", 0: ""}[known.get(a, 0)] for a in NAMES]
            rows.append(f"{file},{','.join(cells)}")
            splits.append(f"{file},{split}")
        (folder / name / "attributes.csv").write_text("\n".join(rows) + "\n")
        (folder / name / "split.csv").write_text("\n".join(splits) + "\n")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    sizes: dict[str, Any] = {
        "faces": Size(width=8, latent=8),
        "attr2img": Attr2ImgSize(width=4, latent=8),
    }
    for kind, size in sizes.items():
        torch.manual_seed(0)
        found[kind] = tmp_path_factory.mktemp(kind)
        state = KINDS[kind].build(size).state_dict()
        config = {"domain": "faces", "model": kind, "size": asdict(size)}
        store.save(found[kind], state=state, config=config, card="# Untrained\n")
    return found


def run(data: Path, weights: dict[str, Path], out: Path) -> Report:
    others = {"attr2img": weights["attr2img"], "dcgan": weights["faces"]}
    return evaluate(
        data,
        out=out,
        judge=planted.CellReader(),
        weights=weights["faces"],
        others=others,
        device="cpu",
        limit=16,
        progress=False,
        plan=PLAN,
    )


@pytest.fixture(scope="module")
def done(
    data: Path, weights: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("out")
    return run(data, weights, out), out


def by_title(report: Report, title: str) -> Table:
    (table,) = (table for table in report.tables if table.title == title)
    return table


def test_every_cell_that_applies_is_measured(done: tuple[Report, Path]) -> None:
    models = {"attr2img", "DCGAN", OURS}
    apart = {
        REQUESTED: {REAL, SHUFFLED} | models,
        TOGGLES: models,
        REALISM: models,
        EVIDENCE: models - {"DCGAN"},
    }
    for title, columns in TABLES.items():
        table = by_title(done[0], title)
        for name in apart[columns]:
            for column in columns:
                cell = table.rows[name].get(column.key)
                if column.key in ("active", "deviation"):
                    assert isinstance(cell, float)
                    continue
                if column.key == "gain":
                    assert cell is None
                    continue
                assert isinstance(cell, Interval), (name, column.key)
                assert cell.low <= cell.high
        absent = {name for name, note in table.remarks.items() if note == "not trained"}
        assert absent == {"disCVAE", "VAE", "VAE_Dis", "VAE/GAN"}
    assert set(by_title(done[0], "Realism").rows[REAL]) == {
        *("frechet", "density", "coverage", "memorised")
    }
    assert "DCGAN" not in by_title(done[0], "Reconstruction and likelihood").rows


def test_toggles_are_beside_real_faces_pasted_and_the_anchor_said_louder(
    done: tuple[Report, Path],
) -> None:
    rows = by_title(done[0], "Toggles").rows
    assert rows[LOUDER].keys() == {column.key for column in TOGGLES}
    assert rows[LOUDER]["gain"] in GAINS
    assert rows[PASTED].keys() == {"flip", "drift", "cost", "identity"}
    by_attribute = by_title(done[0], "Toggles by attribute").rows
    assert by_attribute["Smiling"][f"flip {PASTED}"] is not None
    assert by_attribute["Male"][f"flip {PASTED}"] is None  # it lies in no region


def test_the_judge_finds_all_in_real_faces_and_nothing_in_untrained_ones(
    done: tuple[Report, Path],
) -> None:
    table = by_title(done[0], "Requested attributes")
    for name, low, high in ((REAL, 1.0, 1.0), (OURS, 0.3, 0.7), (SHUFFLED, 0.3, 0.7)):
        cell = table.rows[name]["auc"]
        assert isinstance(cell, Interval) and low <= cell.mean <= high, name


def test_the_mixture_is_that_of_train_and_at_most_the_limit(done: tuple[Report, Path]) -> None:
    faces = done[0].facts["faces"]
    assert faces["train"] == {"one": 48, "two": 24}
    assert faces["test"] == faces["val"] == {"one": 16, "two": 8}
    assert done[0].facts["groups"] == 24


def test_tables_by_attribute_and_claims_are_whole(done: tuple[Report, Path]) -> None:
    attributes = by_title(done[0], "AUC by attribute")
    assert list(attributes.rows)[:10] == list(STRONG) and set(attributes.rows) == set(OFFERED)
    for cells in attributes.rows.values():
        assert 0 < cells["on"] < cells["known"] <= 24  # type: ignore[operator]
    assert list(by_title(done[0], "Toggles by attribute").rows) == list(STRONG)
    assert len(by_title(done[0], "What must hold").rows) == len(CLAIMS)


def test_the_same_run_gives_the_same_bytes(
    done: tuple[Report, Path], data: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    report, out = done
    run(data, weights, tmp_path)
    files = {"report.json", "report.md", *report.figures}
    assert {path.name for path in out.iterdir()} == files and len(report.figures) == 3
    for name in files:
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name
    assert Report.load(out / "report.json").markdown() == report.markdown()


def test_what_cannot_be_judged_says_so(
    data: Path, weights: dict[str, Path], tmp_path: Path
) -> None:
    judge: nn.Module = planted.CellReader()
    with pytest.raises(ValueError, match="gan"):
        evaluate(data, out=tmp_path, judge=judge, others={"gan": weights["faces"]})
    with pytest.raises(ValueError, match="at least 16"):
        evaluate(
            data, out=tmp_path, judge=judge, weights=None, device="cpu", limit=4, progress=False
        )


def test_without_training_a_judge_must_be_there(data: Path, tmp_path: Path) -> None:
    args = argparse.Namespace(
        data=data, cache=tmp_path, out=tmp_path / "out", device="cpu", no_training=True, model=None
    )
    with pytest.raises(ValueError, match=rivals.JUDGE):
        commands.evaluate(args)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_missed_before_anything_is_trained(tmp_path: Path) -> None:
    args = argparse.Namespace(
        data=tmp_path, cache=tmp_path, out=tmp_path, device="cpu", no_training=False, model="none"
    )
    with pytest.raises(WeightsError, match="none"):
        commands.evaluate(args)
    assert list(tmp_path.iterdir()) == []
