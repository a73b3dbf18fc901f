"""A run of a second for the tests of the loop; as a program, the same in two processes."""

import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cvae.networks import mlp
from cvae.parallel import process_group
from cvae.training import Schedule, Trainer, train

SIZE = 24


class Regression(nn.Module):
    """Least squares in float32 everywhere, with noise on the input where it is asked for."""

    def __init__(self, *, noise: float = 0.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.model = mlp([3, 8, 2])
        self.noise = noise

    def forward(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = batch
        x = x + self.noise * torch.randn(x.shape, generator=generator)
        with torch.autocast("cpu", enabled=False):
            loss = (self.model(x) - y).square().sum(1).mean()
        return loss, {"inputs": x.mean()}


class Game(nn.Module):
    """A generator that learns a mean from a critic that is linear, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(1, 3, bias=False)
        self.critic = nn.Linear(3, 1, bias=False)
        for part in (self.model, self.critic):
            nn.init.constant_(part.weight, 0.5)

    def players(self) -> dict[str, list[nn.Parameter]]:
        return {"critic": [*self.critic.parameters()], "model": [*self.model.parameters()]}

    def forward(
        self, batch: Any, generator: torch.Generator, player: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x, _ = batch
        with torch.autocast("cpu", enabled=False):
            fake = self.model(torch.ones(len(x), 1))
            edge = self.critic(x).mean() - self.critic(fake).mean()
            decay = self.critic.weight.square().sum()
        return (decay - edge, {"edge": edge}) if player == "critic" else (edge, {})


def data(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Three columns of numbers and two functions of them."""
    x = torch.randn(SIZE, 3, generator=torch.Generator().manual_seed(1))
    return x[rows], torch.stack([x[rows].prod(1), x[rows].sum(1).sin()], 1)


def schedule(steps: int, **changes: Any) -> Schedule:
    plan = {"batch": 8, "learning_rate": 0.01, "warmup": 2, "log_every": 1, "save_every": 4}
    return Schedule(steps=steps, **{**plan, **changes})


def run(out: Path, steps: int, *, noise: float = 0.1, **options: Any) -> Trainer:
    """Train on the toy data; `schedule` and `fetch` may be replaced."""
    plan = options.pop("schedule", schedule(steps))
    fetch = options.pop("fetch", data)
    return train(
        Regression(noise=noise),
        fetch,
        size=SIZE,
        schedule=plan,
        out=out,
        progress=False,
        **options,
    )


def one_of_two(rank: int, port: int, out: Path) -> None:
    """What `torchrun --nproc-per-node 2` starts, with the environment that it sets."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({k: str(v) for k, v in place.items()}, MASTER_ADDR="127.0.0.1")
    with process_group():
        run(out, 7, noise=0.0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.optim.AdamW(nn.Linear(1, 1).parameters())  # what is imported now is not imported twice
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    both = [
        fork.Process(target=one_of_two, args=(rank, port, Path(sys.argv[1]))) for rank in (0, 1)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    sys.exit(any(process.exitcode for process in both))
