"""One plain training loop for every model of the house.

Nothing in it is drawn from hidden state: the batch of step n, and all noise in it, are functions
of (seed, n, rank). A run that is stopped and resumed therefore takes exactly the steps that an
unbroken one takes.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from cvae import checkpoint
from cvae.diagnostics import Diagnostics, diagnose
from cvae.log import Log
from cvae.model import CVAE
from cvae.parallel import average_gradients

Batch = Any
Fetch = Callable[[Tensor], Batch]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. The rate warms up, holds, and falls linearly to zero at the end.

    Holding before falling lets a longer run start from the checkpoint of a shorter one.
    """

    steps: int
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    momentum: float = 0.9  # β₁ of Adam; adversaries want less
    pursuit: float = 1.0  # rate of a game's critics over the model's (Heusel et al., 2017)
    warmup: int = 200
    decay: float = 0.3  # share of the steps over which the rate falls
    clip: float = 1.0  # gradient norm
    ema: float = 0.999
    seed: int = 0
    log_every: int = 50
    save_every: int = 500
    diagnose_every: int = 500  # 0: never

    def rate(self, step: int) -> float:
        """Learning rate of a step counted from 0.

        Example:
            >>> s = Schedule(steps=1000, warmup=100, decay=0.5, learning_rate=1.0)
            >>> [round(s.rate(n), 2) for n in (0, 99, 400, 750, 999)]
            [0.01, 1.0, 1.0, 0.5, 0.0]
        """
        up = min(1.0, (step + 1) / max(self.warmup, 1))
        down = min(1.0, (self.steps - step) / max(self.decay * self.steps, 1))
        return self.learning_rate * min(up, down)


class Trainer:
    """What a run consists of, so that it can be saved and resumed as one.

    An objective with `players()`, names to parameters, is a game: each step every player in turn
    gets a loss of its own, `(batch, generator, player) -> (loss, stats)`, and moves by it alone.
    All but the player "model" are critics, with a rate of their own.

    An objective of a `CVAE` with `observed(batch) -> (x, c)`, as that model takes them, has it
    diagnosed on the way; see `cvae.diagnostics`.

    Args:
        objective: `(batch, generator) -> (loss, stats)` as a module; its `.model` is averaged.
        schedule: see `Schedule`.
        device: where to train.
    """

    def __init__(self, objective: nn.Module, schedule: Schedule, *, device: torch.device) -> None:
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        self.objective = objective.to(device).to(memory_format=torch.channels_last)
        self.schedule, self.device = schedule, device
        self.model: nn.Module = objective.model  # type: ignore[assignment]
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizers = {
            player: torch.optim.AdamW(
                parameters,
                lr=0.0,
                weight_decay=schedule.weight_decay,
                betas=(schedule.momentum, 0.99),
                fused=True,  # one pass over memory in place of eight
            )
            for player, parameters in _players(objective).items()
        }
        self.step = self.skipped = 0
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1

    def update(self, batch: Batch) -> dict[str, Tensor | float]:
        """Take one step; a gradient that is not finite is counted and moves no parameter."""
        rate = self.schedule.rate(self.step)
        generator = self.generator(self.step)
        stats: dict[str, Tensor | float] = {}
        sound = True
        for player, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rate if player in ("", "model") else rate * self.schedule.pursuit
            game = (player,) if player else ()
            with autocast(self.device):
                loss, found = self.objective(batch, generator, *game)
            norm = self._gradient(loss, optimizer)
            sound = sound and bool(torch.isfinite(norm))
            if sound:
                optimizer.step()
            prefix = f"{player}_" if player else ""
            stats |= {f"{prefix}loss": loss, f"{prefix}grad_norm": norm, **found}
        if sound:
            self._average()
        else:
            self.skipped += 1
        self.step += 1
        return {**stats, "rate": rate}

    def _gradient(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        """The clipped gradient of a loss to what the optimizer moves; its norm before that."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)
        if self.world > 1:
            average_gradients(parameters)
        return nn.utils.clip_grad_norm_(parameters, self.schedule.clip)

    def diagnose(self, batch: Batch) -> Diagnostics | None:
        """What the model does with z on a batch; None of what is no `CVAE`, or not `observed`."""
        observed = getattr(self.objective, "observed", None)
        if observed is None or not isinstance(self.model, CVAE):
            return None
        x, c = observed(batch)
        if len(x) < 2:  # nothing to compare, and no reason to end a run
            return None
        with autocast(self.device):  # and the noise of the coming step, which it draws anew
            return diagnose(self.model, [(x, c)], generator=self.generator(self.step))

    def generator(self, step: int) -> torch.Generator:
        """The noise of a step."""
        key = (self.schedule.seed * 1_000_003 + step) * 1009 + self.rank
        return torch.Generator(self.device).manual_seed(key)

    @torch.no_grad()
    def _average(self) -> None:
        # a young average would be of the initial noise: it may only be as old as the run
        keep = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    def state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "average": self.average,
            "optimizers": {k: v.state_dict() for k, v in self.optimizers.items()},
            "step": self.step,
            "skipped": self.skipped,
            "schedule": asdict(self.schedule),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`; more steps than it was made for are fine, other sizes are not.

        Raises:
            ValueError: the order of its examples was another, by the seed or the batch.
        """
        for name in ("seed", "batch"):
            began, goes_on = state["schedule"][name], getattr(self.schedule, name)
            if began != goes_on:
                raise ValueError(
                    f"got a run of {name} {began} to continue with {name} {goes_on}, expected the "
                    "same: which examples a step takes hangs on it"
                )
        self.objective.load_state_dict(state["objective"], strict=True)
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][player])
        self.step, self.skipped = state["step"], state["skipped"]


def train(
    objective: nn.Module,
    fetch: Fetch,
    *,
    size: int,
    schedule: Schedule,
    out: Path,
    config: dict[str, Any] | None = None,
    device: torch.device | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train `objective` and leave a checkpoint and `stats.jsonl` in `out`.

    Args:
        objective: `(batch, generator) -> (loss, stats)`; its `.model` is what is being trained.
        fetch: row numbers `(B,)` -> a batch (tensors, or tuples of them).
        size: how many rows there are.
        config: kept in the checkpoint, so that the model can be built again from it.
        resume: continue the run in `out`; without it `out` must hold no run.
        dry_run: take two steps, write nothing.

    Raises:
        ValueError: `out` already holds a run, there are fewer rows than a batch takes, or the
            processes cannot share a batch evenly.
    """
    if (out / checkpoint.NAME).exists() and not (resume or dry_run):
        raise ValueError(f"got {out}, which holds a run: pass --resume to continue it, or another")
    if size < schedule.batch:
        raise ValueError(f"got {size} examples, expected at least one batch of {schedule.batch}")
    trainer = Trainer(objective, schedule, device=device or torch.device("cpu"))
    if schedule.batch % trainer.world:
        raise ValueError(
            f"got a batch of {schedule.batch} for {trainer.world} processes, expected a multiple: "
            "each takes the same share"
        )
    if resume:
        trainer.restore(checkpoint.load(out)["trainer"])
    steps = trainer.step + 2 if dry_run else schedule.steps
    writes = trainer.rank == 0 and not dry_run
    quiet = None if progress and trainer.rank == 0 else True
    bar = tqdm(total=steps, initial=trainer.step, disable=quiet)
    done = {"step": trainer.step, "skipped": trainer.skipped}
    log = Log(out / "stats.jsonl", **done, batch=schedule.batch) if writes else None
    objective.train()
    for batch in _batches(fetch, size, trainer, steps):
        batch = _to(batch, trainer.device)
        stats = trainer.update(batch)
        bar.update()
        last = trainer.step == steps
        if log:
            log.add(stats, skipped=trainer.skipped)
            if trainer.step % schedule.log_every == 0 or last:
                bar.set_postfix(log.write(trainer.step), refresh=False)
            every = schedule.diagnose_every
            if every and (trainer.step % every == 0 or last):
                _diagnose(trainer, batch, log)
        if writes and (trainer.step % schedule.save_every == 0 or last):
            checkpoint.save(out, {"trainer": trainer.state(), "config": config or {}})
    bar.close()
    return trainer


def _diagnose(trainer: Trainer, batch: Batch, log: Log) -> None:
    found = trainer.diagnose(batch)
    if found:
        log.append(trainer.step, {"diagnostics": found.stats()})
        if found.warning:
            tqdm.write(f"step {trainer.step}: {found.warning}", file=sys.stderr)


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 where the hardware multiplies in it; elsewhere it would only be slower."""
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _players(objective: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Who moves in a step, in order; what plays no game is one player without a name.

    Parameters that ask for no gradient are given, and stay.
    """
    players: Any = getattr(objective, "players", None)
    return players() if players else {"": [p for p in objective.parameters() if p.requires_grad]}


def rows_of(step: int, *, size: int, batch: int, seed: int) -> Tensor:
    """Row numbers of a step: each pass over the data is a fresh shuffle known from its number.

    Example:
        >>> rows = torch.cat([rows_of(n, size=6, batch=2, seed=0) for n in range(3)])
        >>> sorted(rows.tolist())
        [0, 1, 2, 3, 4, 5]
    """
    number, place = divmod(step, size // batch)
    return _order(size, seed * 1_000_003 + number)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=1)  # every step of a pass asks, and a shuffle of many rows takes its time
def _order(size: int, seed: int) -> Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def _batches(fetch: Fetch, size: int, trainer: Trainer, steps: int) -> Iterator[Batch]:
    """Batches from the current step on; where a GPU uses one, the next is fetched meanwhile."""

    def get(step: int) -> Batch:
        schedule = trainer.schedule
        rows = rows_of(step, size=size, batch=schedule.batch, seed=schedule.seed)
        return fetch(rows[trainer.rank :: trainer.world])

    left = range(trainer.step, steps)
    if trainer.device.type == "cpu":  # all its cores are at work: one thread more holds them up
        yield from map(get, left)
        return
    with ThreadPoolExecutor(1) as ahead:
        upcoming = ahead.submit(get, trainer.step)
        for step in left:
            batch = upcoming.result()
            if step + 1 < steps:
                upcoming = ahead.submit(get, step + 1)
            yield batch


def _to(batch: Batch, device: torch.device) -> Batch:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    return tuple(_to(part, device) for part in batch)
