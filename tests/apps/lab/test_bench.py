"""The benchmark of the core: one network for all, every step counted, peers only if there."""

import argparse
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.lab import bench, commands
from apps.lab.bench import ENTRIES, Clock, Entry, Load, Measured
from apps.lab.peers import Bare, Perhaps, System, Task

LINUX = Path("/proc/self/status").exists()
# 784-400-(50, 50) and 50-400-784, weights and biases
PARAMETERS = 784 * 400 + 400 + 2 * (400 * 50 + 50) + 50 * 400 + 400 + 400 * 784 + 784


def measured(n: int) -> Measured:
    held = n * 2**20
    return Measured(parameters=9, run=n, alone=10 * n, peak=100 * held, beyond=held)


def start(name: str, folder: Path, clock: Clock) -> System:
    """A system with four batches of three to train on, twice."""
    if not bench.installed(name):
        pytest.skip(f"{name} is not installed")
    torch.manual_seed(0)
    return ENTRIES[name].build(Task(bench.pictures(12), 3, 2, folder), clock)


@pytest.mark.parametrize("name", ENTRIES)
def test_all_train_one_network(name: str, tmp_path: Path) -> None:
    system = start(name, tmp_path, Clock())
    bare = start("bare", tmp_path, Clock())
    assert sum(p.numel() for p in system.parameters) == PARAMETERS
    assert sorted(p.shape for p in system.parameters) == sorted(p.shape for p in bare.parameters)


@pytest.mark.parametrize("how", ["run", "alone"])
@pytest.mark.parametrize("name", ENTRIES)
def test_every_step_ticks_and_moves_all_parameters(name: str, how: str, tmp_path: Path) -> None:
    clock = Clock()
    system = start(name, tmp_path, clock)
    before = [p.detach().clone() for p in system.parameters]
    getattr(system, how)()
    assert len(clock.ticks) == 8 and clock.ticks == sorted(clock.ticks)
    moved = [not torch.equal(p, was) for p, was in zip(system.parameters, before, strict=True)]
    assert all(moved)


def test_ours_is_the_bound_that_the_others_train_on(tmp_path: Path) -> None:
    """With no spread there is no noise: both losses, told apart only by who computes them."""
    ours = Perhaps(Task(bench.pictures(4), 4, 1, tmp_path), Clock())
    model: Any = ours.objective.model
    encoder, decoder = model.recognition.encoder, model.generation.decoder
    with torch.no_grad():
        encoder.spread.weight.zero_()
        encoder.spread.bias.fill_(-12.0)
        x = bench.pictures(4)
        loss, _ = ours.objective((x, torch.zeros(4)), torch.Generator())
        mean, logvar = encoder(x)
        p = torch.distributions.Bernoulli(logits=decoder(mean))
        q = torch.distributions.Normal(mean, (logvar / 2).exp())
        kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
        bound = p.log_prob(x.flatten(1)).sum(1) - kl.sum(1)
    torch.testing.assert_close(loss, -bound.mean(), rtol=1e-4, atol=0)


def test_the_loop_is_the_real_one_with_all_that_a_run_does(tmp_path: Path) -> None:
    start("perhaps", tmp_path, Clock()).run()
    assert (tmp_path / "checkpoint.pt").exists()
    assert '"diagnostics"' in (tmp_path / "stats.jsonl").read_text()


def test_pictures_are_ink_on_paper_and_the_same_for_all() -> None:
    made = bench.pictures(1100)  # more than are made at once
    assert made.shape == (1100, 1, 28, 28) and made.dtype == torch.float32
    assert set(made.unique().tolist()) == {0.0, 1.0}
    ink = made.mean((1, 2, 3))
    assert 0.1 < ink.mean() < 0.3 and ink[1024:].mean() > 0.1
    assert not torch.equal(made[0], made[1024])
    assert torch.equal(made, bench.pictures(1100))


def test_ready_batches_are_one_a_step(tmp_path: Path) -> None:
    task = Task(bench.pictures(12), 3, 5, tmp_path)
    ready = task.ready()
    assert len(ready) == task.steps == 20
    assert torch.equal(torch.cat(ready[:4]), task.pictures)
    assert torch.equal(ready[4], ready[0])


@pytest.mark.skipif(not LINUX, reason="memory is read from /proc")
def test_a_process_of_its_own_measures(tmp_path: Path) -> None:
    held = torch.ones(2**27)  # 512 MiB: what this process holds is none of that one's
    found = bench.apart("bare", Load(pictures=32, batch=8, passes=2))
    assert found.parameters == PARAMETERS
    assert found.run > 0 and found.alone > 0
    assert 0 < found.beyond < found.peak < bench.memory("VmHWM")
    assert held[0] == 1


def test_a_system_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(ValueError, match="got no figure of bare PyTorch, which failed"):
        bench.apart("bare", Load())


def test_systems_take_turns_and_who_is_missing_says_how_to_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {
        "bare": Entry("bare PyTorch", "torch", Bare),
        "torch": Entry("other", "tqdm", Bare),
        "none": Entry("nobody", "no-such-package-anywhere", Bare),
    }
    asked: list[tuple[str, Load]] = []

    def apart(name: str, load: Load) -> Measured:
        asked.append((name, load))
        return measured((3, 1, 2)[(len(asked) - 1) // 2])  # by round

    monkeypatch.setattr(bench, "ENTRIES", entries)
    monkeypatch.setattr(bench, "apart", apart)
    load = Load(pictures=12, batch=3, passes=2)
    text = bench.bench(load=load, rounds=3)
    assert capsys.readouterr().out == text + "\n"
    assert asked == [("bare", load), ("torch", load)] * 3
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:5]]
    figures = ["9", "2 (1–3)", "20 (10–30)", "200 (100–300)", "2 (1–3)"]
    assert rows[2] == ["bare PyTorch", *figures]
    assert rows[3] == [f"other {bench.installed('torch')}", *figures]
    assert rows[4] == ["nobody", "not installed: `pip install '.[peers]'`", "", "", "", ""]
    assert all(len(row) == 6 for row in rows)


def test_the_warm_up_is_not_counted() -> None:
    clock = Clock()
    clock.ticks = [0.0, 7.0, 9.0, 9.5, 10.0]
    assert clock.rate(skip=2, batch=4) == 8.0


def test_the_command_is_of_the_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(bench, "bench", lambda: calls.append(1))
    for device in ("auto", "cpu"):
        commands.bench(argparse.Namespace(device=device))
    with pytest.raises(ValueError, match="got --device cuda, expected cpu"):
        commands.bench(argparse.Namespace(device="cuda"))
    assert len(calls) == 2
