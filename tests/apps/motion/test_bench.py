"""The benchmark runs and says what it measured; how fast is no test."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from apps.motion import bench
from apps.motion.model import Size, build
from apps.motion.recipe import RECIPES
from pretrained import store


def test_three_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = Size(width=8, whole=3, spatial=2, components=2, rank=2)
    torch.manual_seed(0)
    config = {"domain": "motion", "model": "mixture", "size": vars(size)}
    store.save(tmp_path, state=build(size).state_dict(), config=config, card="")
    small = RECIPES["small"]
    tiny = replace(small, size=size, schedule=replace(small.schedule, batch=2))
    monkeypatch.setitem(bench.RECIPES, "tiny", tiny)
    monkeypatch.setattr(bench, "MEGAPIXELS", (0.02,))
    monkeypatch.setattr(bench, "FPS", 10)
    text = bench.bench(device="cpu", model=tmp_path, recipe="tiny")
    tables = [table.splitlines() for table in text.split("\n\n")]
    assert [len(table) for table in tables] == [4, 3, 4]
    figures = [float(row.split("|")[2]) for table in tables for row in table[2:]]
    assert min(figures) >= 0 and figures[2] > 0 and tables[0][2].startswith("| 0.02 megapixels")
    assert "recipe tiny" in tables[2][0]


def test_scenery_is_a_picture() -> None:
    one = bench.scenery(60, 80)
    assert one.shape == (60, 80, 3) and one.std() > 10
    assert (one == bench.scenery(60, 80)).all()
