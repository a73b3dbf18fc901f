"""Runs of digits: what they keep, that they resume exactly, and the cache of all of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from apps import runtime
from apps.kinds import rebuild
from apps.lab import commands, train
from apps.lab.digits import Digits
from apps.lab.model import KINDS
from apps.lab.objective import Elbo
from apps.lab.recipe import RECIPES
from apps.lab.train import cached, train_on, train_recipe
from cvae import checkpoint
from tests.apps.lab.toy import asked, shrink, steps

CPU = torch.device("cpu")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, steps(2))
    monkeypatch.setattr(train, "ALL", RECIPES)


@pytest.mark.parametrize("name", ["vae-static", "vae-dynamic", "iwae-50", "quadrants-2"])
def test_a_resumed_run_takes_the_steps_of_an_unbroken_one(
    tiny: None, digits: Digits, tmp_path: Path, name: str
) -> None:
    recipe = replace(RECIPES[name], schedule=steps(4))
    if name == "vae-dynamic":
        recipe = replace(recipe, loss=Elbo(warmup=4))
    parts: dict[str, Any] = {"firsts": tmp_path, "progress": False}
    whole = train_on(recipe, digits, tmp_path / "whole", **parts)
    train_on(replace(recipe, schedule=steps(2)), digits, tmp_path / "parts", **parts)
    again = train_on(recipe, digits, tmp_path / "parts", resume=True, **parts)
    state: Any = again.objective.state_dict()
    assert state["step"] == 4  # the warm-up goes on where it was
    for key, value in whole.average.items():
        assert torch.equal(value, again.average[key]), key


def test_a_run_can_be_rebuilt_from_what_it_stores(
    tiny: None, digits: Digits, tmp_path: Path
) -> None:
    train_on(RECIPES["cvae"], digits, tmp_path, firsts=tmp_path, name="cvae", progress=False)
    saved = checkpoint.load(tmp_path)
    config = saved["config"]
    assert config["recipe"] == "cvae" and config["digits"] == len(digits)
    rebuild(config, KINDS).load_state_dict(saved["trainer"]["average"], strict=True)


@pytest.mark.parametrize("name", ["vae-dynamic", "cvae", "quadrants-1"])
def test_runs_write_what_they_do_with_z(
    tiny: None, digits: Digits, tmp_path: Path, name: str
) -> None:
    train_on(RECIPES[name], digits, tmp_path / "run", firsts=tmp_path, progress=False)
    lines = (tmp_path / "run" / "stats.jsonl").read_text().splitlines()
    found = json.loads(lines[-1])["diagnostics"]
    assert len(found["kl_per_dimension"]) == 2 and found["kl"] > 0


def test_static_pixels_are_what_is_trained_on(
    tiny: None, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def spy(objective: Any, fetch: Any, **options: Any) -> Any:
        seen.append(fetch(torch.arange(5))[0])

    monkeypatch.setattr(train, "train", spy)
    for name in ("vae-static", "vae-dynamic", "classifier"):
        train_on(RECIPES[name], digits, tmp_path, firsts=tmp_path)
    static, dynamic, grey = seen
    assert torch.equal(static, digits.binarised().tensors(slice(0, 5))[0])
    assert torch.equal(dynamic, grey) and torch.equal(grey, digits.tensors(slice(0, 5))[0])


def test_quadrants_start_from_a_trained_baseline_that_stays(
    tiny: None, data: Path, tmp_path: Path
) -> None:
    trainer = train_recipe(RECIPES["quadrants-1"], data, tmp_path, name="q", progress=False)
    learnt = checkpoint.load(tmp_path / "baseline-1")["trainer"]
    assert learnt["step"] == 2
    found = trainer.model.state_dict()
    torch.manual_seed(RECIPES["baseline-1"].schedule.seed)
    fresh: Any = RECIPES["baseline-1"].objective()
    for name, value in learnt["average"].items():
        assert torch.equal(found[f"condition.baseline.{name}"], value), name
    start = fresh.model.state_dict()
    assert not torch.equal(start["network.0.weight"], learnt["average"]["network.0.weight"])


def test_a_dry_run_writes_nothing(tiny: None, data: Path, tmp_path: Path) -> None:
    recipe = RECIPES["quadrants-1"]
    train_recipe(recipe, data, tmp_path / "run", dry_run=True, progress=False)
    assert not (tmp_path / "run").exists()


def test_nothing_is_trained_when_that_is_not_wanted(tmp_path: Path) -> None:
    assert cached(tmp_path / "no data", tmp_path, device=CPU, training=False) == {}
    assert list(tmp_path.iterdir()) == []


def test_all_are_trained_once(
    tiny: None, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cached(data, tmp_path, device=CPU, training=True, progress=False)
    assert list(found) == list(RECIPES)
    for path in found.values():
        runtime.load(path, domain="lab", kinds=KINDS)
    assert not (tmp_path / "quadrants-1" / "baseline-1").exists()  # one for both rows
    monkeypatch.setattr(train, "train_on", None)  # a second time would fail
    assert cached(data, tmp_path, device=CPU, training=False) == found
    monkeypatch.setitem(RECIPES, "ae", replace(RECIPES["ae"], schedule=steps(3)))
    assert "ae" not in cached(data, tmp_path, device=CPU, training=False)


def test_the_command_trains_a_recipe(tiny: None, data: Path, tmp_path: Path) -> None:
    args = asked("ae", data, tmp_path)
    commands.train(args)
    assert checkpoint.load(tmp_path)["trainer"]["step"] == 1
    args.recipe = "small"
    with pytest.raises(ValueError, match="'small', expected one of vae-static, iwae-50"):
        commands.train(args)
