"""What every domain's `bench` measures with: peak memory, and the rate of training steps."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from cvae.training import Trainer, autocast


def training_table(
    trainer: Trainer,
    batch: tuple[Tensor, ...],
    *,
    name: str,
    bare: nn.Module | None = None,
    steps: int = 10,
) -> str:
    """Examples/s of whole steps beside forward and backward alone, as a Markdown table.

    Args:
        batch: the same for every step, on the trainer's device.
        name: of the recipe, for the heading.
        bare: the objective alone, where the trainer's does more (changes pictures, say). A game
            is played by all its players in both.
    """
    objective = bare or trainer.objective

    def alone() -> None:
        for player, optimizer in trainer.optimizers.items():
            optimizer.zero_grad(set_to_none=True)
            own = tuple(part.detach() for part in batch)  # a penalty asks its input for a gradient
            with autocast(trainer.device):
                loss, _ = objective(own, trainer.generator(0), *((player,) if player else ()))
            loss.backward(inputs=[p for g in optimizer.param_groups for p in g["params"]])

    def whole() -> None:
        trainer.update(batch)

    size = trainer.schedule.batch
    rates = {"forward and backward alone": alone, "whole step": whole}
    lines = [f"| training, recipe {name} | images/s |", "|---|--:|"]
    for title, step in rates.items():
        lines.append(f"| {title} | {steps * size / _seconds(step, steps, trainer.device):.1f} |")
    return "\n".join(lines)


def _seconds(step: Callable[[], None], steps: int, device: torch.device) -> float:
    """How long `steps` steps take after a first that pays for what later ones find warm."""
    step()
    _wait(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class PeakMemory:
    """Watches this process: `peak` is the most bytes it held beyond what it held on entry."""

    def __enter__(self) -> Self:
        self.peak, self._start = 0, memory("VmRSS")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, memory("VmRSS") - self._start)


def memory(what: str) -> int:
    """Bytes that this process holds (`VmRSS`) or held at most (`VmHWM`); 0 where Linux is not.

    Not `getrusage`: its peak is inherited from the process that started this one.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(what)), 0)
