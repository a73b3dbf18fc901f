"""A run can be stopped anywhere and split over processes without changing where it goes."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cvae import checkpoint, training
from cvae.training import Schedule, Trainer, rows_of
from tests.cvae.toy import SIZE, Game, Regression, data, run, schedule

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """Every leaf of nested dicts and lists by its path."""
    if isinstance(state, dict):
        items: Any = state.items()
    elif isinstance(state, list | tuple):
        items = enumerate(state)
    else:
        return {name: state}
    return {k: v for key, part in items for k, v in flat(part, f"{name}/{key}").items()}


def assert_same(a: Any, b: Any) -> None:
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    for key, value in a.items():
        same = torch.equal(value, b[key]) if isinstance(value, Tensor) else value == b[key]
        assert same, key


def lines(out: Path) -> list[dict[str, Any]]:
    """The log without the speed, which no two runs share."""
    found = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    assert all(line.pop("per_second") > 0 for line in found)
    return found


def halted(out: Path, steps: int, plan: Schedule, **options: Any) -> None:
    """A run of `plan` that stops, as by a kill, when it asks for the batch of step `steps`."""
    calls = 0

    def fetch(rows: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        if calls > steps:
            raise KeyboardInterrupt
        return data(rows)

    with pytest.raises(KeyboardInterrupt):
        run(out, 0, schedule=plan, fetch=fetch, **options)


def test_a_resumed_run_takes_the_steps_of_an_unbroken_one(tmp_path: Path) -> None:
    plan = schedule(8)
    whole = run(tmp_path / "whole", 8, schedule=plan)
    halted(tmp_path / "parts", 6, plan)  # saved at 4, logged to 6
    assert checkpoint.load(tmp_path / "parts")["trainer"]["step"] == 4
    parts = run(tmp_path / "parts", 8, schedule=plan, resume=True)
    assert_same(whole.state(), parts.state())
    assert_same(checkpoint.load(tmp_path / "whole"), checkpoint.load(tmp_path / "parts"))
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")
    assert [line["step"] for line in lines(tmp_path / "parts")] == list(range(1, 9))


def test_a_log_line_cut_short_by_a_kill_does_not_stop_a_resume(tmp_path: Path) -> None:
    halted(tmp_path, 6, schedule(8))
    with (tmp_path / "stats.jsonl").open("a") as file:
        file.write('{"step": 7, "lo')
    run(tmp_path, 8, resume=True)
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 9))


def test_a_log_line_is_the_mean_over_its_steps(tmp_path: Path) -> None:
    run(tmp_path / "each", 5)
    run(tmp_path / "some", 5, schedule=schedule(5, log_every=2))
    each = [line["loss"] for line in lines(tmp_path / "each")]
    expected = [(2, (each[0] + each[1]) / 2), (4, (each[2] + each[3]) / 2), (5, each[4])]
    found = [(line["step"], line["loss"]) for line in lines(tmp_path / "some")]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=1e-5, rtol=0)


def test_one_seed_one_run_and_another_seed_another(tmp_path: Path) -> None:
    first = run(tmp_path / "a", 3)
    torch.manual_seed(99)  # hidden state must not matter
    again = run(tmp_path / "b", 3)
    other = run(tmp_path / "c", 3, schedule=schedule(3, seed=1))
    assert_same(first.state(), again.state())
    name = "model.0.weight"
    assert not torch.equal(first.objective.state_dict()[name], other.objective.state_dict()[name])
    a, b = (tmp_path / run / checkpoint.NAME for run in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_every_step_and_rank_has_its_own_noise() -> None:
    trainer = Trainer(Regression(), schedule(5), device=CPU)
    draws = set()
    for rank in range(3):
        trainer.rank = rank
        draws |= {torch.randn(1, generator=trainer.generator(n)).item() for n in range(20)}
    assert len(draws) == 60


def test_training_learns_and_the_average_follows(tmp_path: Path) -> None:
    trainer = run(tmp_path, 150, noise=0.0, schedule=schedule(150, ema=0.9, save_every=150))
    average, start = Regression(), Regression()
    average.model.load_state_dict(trainer.average)
    everything = data(torch.arange(SIZE))
    loss, before = (m(everything, torch.Generator())[0].item() for m in (average, start))
    assert loss < 0.5 * before


def test_the_average_is_the_exponential_one() -> None:
    trainer = Trainer(Regression(), schedule(3, ema=0.3), device=CPU)
    expected = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    for n in range(3):
        trainer.update(data(torch.arange(8)))
        keep = min(0.3, (1 + n) / (10 + n))
        for name, value in trainer.model.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * value
    for name, value in trainer.average.items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_broken_gradient_is_counted_and_changes_nothing(bad: float) -> None:
    trainer = Trainer(Regression(), schedule(9), device=CPU)
    good = data(torch.arange(8))
    trainer.update(good)
    before = flat(trainer.state())
    before = {k: v.clone() if isinstance(v, Tensor) else v for k, v in before.items()}
    trainer.update((good[0] * bad, good[1]))
    after = flat(trainer.state())
    assert (trainer.step, trainer.skipped) == (2, 1)
    moving = {"/step", "/skipped", "/optimizers//param_groups/0/lr"}
    assert_same(*({k: v for k, v in s.items() if k not in moving} for s in (before, after)))
    trainer.update(good)
    assert trainer.skipped == 1
    assert not torch.equal(trainer.state()["average"]["0.weight"], before["/average/0.weight"])


def test_a_poisoned_row_costs_only_its_own_steps(tmp_path: Path) -> None:
    def fetch(rows: Tensor) -> tuple[Tensor, Tensor]:
        x, y = data(rows)
        return torch.where((rows == 5)[:, None], torch.nan, x), y

    trainer = run(tmp_path, 6, fetch=fetch, schedule=schedule(6, log_every=3))  # two passes
    assert trainer.skipped == 2
    assert [line["skipped"] for line in lines(tmp_path)] == [1, 2]
    assert all(math.isfinite(line["loss"]) for line in lines(tmp_path))
    assert all(v.isfinite().all() for v in trainer.average.values())


def test_gradients_are_clipped() -> None:
    x, y = data(torch.arange(8))
    trainer = Trainer(Regression(), schedule(9, clip=0.5), device=CPU)
    stats = trainer.update((x, 1000 * y))
    grads = [p.grad for p in trainer.objective.parameters() if p.grad is not None]
    assert stats["grad_norm"] > 100
    assert torch.stack([g.square().sum() for g in grads]).sum().sqrt().item() <= 0.5001


def test_what_asks_for_no_gradient_stays() -> None:
    objective = Regression()
    objective.model[0].requires_grad_(False)
    before = {name: value.clone() for name, value in objective.model.state_dict().items()}
    plan = replace(schedule(4), weight_decay=0.5)
    trainer = Trainer(objective, plan, device=CPU)
    trainer.update(data(torch.arange(8)))
    for name, value in objective.model.state_dict().items():
        given = name.startswith("0.")
        assert torch.equal(value, before[name]) == given, name
        assert torch.equal(trainer.average[name], before[name]) == given, name


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "new", 50, dry_run=True).step == 2
    assert not (tmp_path / "new").exists()
    run(tmp_path / "old", 4)
    before = {path: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    run(tmp_path / "old", 50, dry_run=True)
    run(tmp_path / "old", 50, dry_run=True, resume=True)
    assert before == {path: path.read_bytes() for path in (tmp_path / "old").iterdir()}


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    run(tmp_path, 2)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    with pytest.raises(ValueError, match="--resume"):
        run(tmp_path, 2)
    assert (tmp_path / checkpoint.NAME).read_bytes() == before


@pytest.mark.parametrize("other", [{"seed": 1}, {"batch": 4}])
def test_a_run_of_another_order_is_not_continued(tmp_path: Path, other: dict[str, int]) -> None:
    plan = Schedule(steps=2, batch=8)
    run(tmp_path, 2, schedule=plan)
    before = (tmp_path / checkpoint.NAME).read_bytes()
    name, value = next(iter(other.items()))
    with pytest.raises(ValueError, match=f"{name} .* to continue with {name} {value}, expected"):
        run(tmp_path, 4, schedule=replace(plan, steps=4, **other), resume=True)
    assert (tmp_path / checkpoint.NAME).read_bytes() == before


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(checkpoint.CheckpointError, match="train there first"):
        run(tmp_path, 2, resume=True)


def test_too_few_rows_for_a_batch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"got {SIZE} examples"):
        run(tmp_path, 2, schedule=schedule(2, batch=SIZE + 1))


@pytest.mark.parametrize("size", [12, 14])
def test_a_pass_takes_every_row_once(size: int) -> None:
    passes = []
    for number in range(3):
        steps = range(number * 3, number * 3 + 3)
        rows = torch.cat([rows_of(n, size=size, batch=4, seed=0) for n in steps]).tolist()
        assert len(rows) == len(set(rows)) == 12 and set(rows) <= set(range(size))
        passes.append(rows)
    assert passes[0] != passes[1] != passes[2]  # each in another order
    if size == 14:  # what one pass leaves over is not always the same
        assert len({frozenset(rows) for rows in passes}) > 1


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    """The mean gradient over two halves of every batch is that of the batch."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.cvae.toy", str(tmp_path / "two")],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run(tmp_path / "one", 7, noise=0.0)
    one, two = (flat(checkpoint.load(tmp_path / name)) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, value in one.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(value, two[key], atol=1e-5, rtol=1e-4)
        else:
            assert value == two[key], key
    assert len(lines(tmp_path / "two")) == 7  # the first process alone writes


def test_in_a_game_each_player_moves_by_its_own_loss_alone() -> None:
    game, rate = Game(), 0.1
    plan = schedule(4, learning_rate=rate, warmup=0, weight_decay=0.0, clip=1e9)
    trainer = Trainer(game, plan, device=CPU)
    x = torch.tensor([[3.0, 0.5, -3.0]])
    stats = trainer.update((x, x))
    # the first step of Adam has the length of the rate and the sign of the gradient: the critic
    # rises with x - fake less its own decay, then the model follows the critic that has moved
    pull = x[0] - 0.5 - 2 * 0.5
    critic = 0.5 + rate * pull.sign()
    assert torch.allclose(game.critic.weight[0], critic, atol=1e-5)
    assert torch.allclose(game.model.weight[:, 0], 0.5 + rate * critic.sign(), atol=1e-5)
    assert {"critic_loss", "model_loss", "critic_grad_norm", "model_grad_norm"} <= stats.keys()


def test_critics_may_be_quicker_than_the_model() -> None:
    plan = schedule(1, learning_rate=0.1, warmup=0, weight_decay=0.0, clip=1e9, pursuit=3.0)
    game = Game()
    x = torch.tensor([[3.0, 0.5, -3.0]])
    Trainer(game, plan, device=CPU).update((x, x))
    for weight, rate in ((game.critic.weight, 0.3), (game.model.weight, 0.1)):
        moved = (weight.detach() - 0.5).abs()  # what Adam moves by first
        assert torch.allclose(moved, torch.full_like(moved, rate), atol=1e-5)


def test_a_game_resumes_as_if_unbroken() -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    whole, part = (
        Trainer(Game(), schedule(6), device=CPU),
        Trainer(Game(), schedule(6), device=CPU),
    )
    for _ in range(6):
        whole.update((x, x))
    for _ in range(3):
        part.update((x, x))
    again = Trainer(Game(), schedule(6), device=CPU)
    again.restore(part.state())
    for _ in range(3):
        again.update((x, x))
    assert_same(whole.state(), again.state())


@pytest.mark.parametrize("began", [0, 3])
def test_a_gpu_is_fed_the_batches_that_a_cpu_is(began: int) -> None:
    def batches(device: str) -> list[list[int]]:
        trainer: Any = SimpleNamespace(
            device=torch.device(device), step=began, rank=0, world=1, schedule=schedule(7, batch=4)
        )
        return [rows.tolist() for rows in training._batches(torch.clone, 10, trainer, 7)]

    assert batches("cuda") == batches("cpu")
    assert len(batches("cpu")) == 7 - began
