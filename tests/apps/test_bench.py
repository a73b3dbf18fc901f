"""What benchmarks measure with: both rates are of every player, and held memory is seen."""

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from apps.bench import PeakMemory, training_table
from cvae.training import Schedule, Trainer


class Game(nn.Module):
    """Two players; the critic asks its input for a gradient, as a penalty does."""

    def __init__(self) -> None:
        super().__init__()
        self.model, self.critic = nn.Linear(3, 3), nn.Linear(3, 1)
        self.played: list[str] = []

    def players(self) -> dict[str, list[nn.Parameter]]:
        return {"critic": [*self.critic.parameters()], "model": [*self.model.parameters()]}

    def forward(
        self, batch: tuple[Tensor], generator: torch.Generator, player: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self.played.append(player)
        (x,) = batch
        assert not x.requires_grad
        x.requires_grad_()
        return self.critic(self.model(x)).square().mean(), {}


class Wrapped(nn.Module):
    """The game on changed data, as a domain trains it."""

    def __init__(self, objective: Game) -> None:
        super().__init__()
        self.objective, self.model, self.players = objective, objective.model, objective.players
        self.calls = 0

    def forward(
        self, batch: tuple[Tensor], generator: torch.Generator, player: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls += 1
        (x,) = batch
        return self.objective((2 * x,), generator, player)


def test_both_rates_are_of_every_player() -> None:
    torch.manual_seed(0)
    game = Game()
    wrapped = Wrapped(game)
    trainer = Trainer(wrapped, Schedule(steps=100, batch=4), device=torch.device("cpu"))
    before = {name: value.clone() for name, value in game.model.state_dict().items()}
    text = training_table(trainer, (torch.ones(4, 3),), name="tiny", bare=game, steps=3)
    # one step to warm up and three that count, two players, alone and whole
    assert game.played == ["critic", "model"] * 8 and wrapped.calls == 8
    assert trainer.step == 4
    assert any(not torch.equal(value, before[k]) for k, value in game.model.state_dict().items())
    lines = text.splitlines()
    assert lines[0] == "| training, recipe tiny | images/s |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| forward and backward alone",
        "| whole step",
    ]
    assert all(float(line.split("|")[2]) > 0 for line in lines[2:])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_held_inside_is_seen() -> None:
    with PeakMemory() as memory:
        held = torch.ones(30 * 2**20)
        time.sleep(0.1)  # the watcher looks now and then
    assert memory.peak > 100 * 2**20 and held[0] == 1
