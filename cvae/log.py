"""What a run writes of itself: `stats.jsonl`, a JSON object a line."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Log:
    """Means over a few steps, one line each, and whatever else is appended.

    Lines past the step at which a run goes on are dropped.

    Args:
        path: of the file; its folder is made.
        step, skipped: how far the run is, and how many updates it has left out.
        batch: examples a step.
    """

    def __init__(self, path: Path, *, step: int, skipped: int, batch: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() and step else []
        kept = [line for line in lines if _step_of(line) <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self.path, self.batch = path, batch
        self.sums: dict[str, Tensor] = {}
        self.count, self.skipped = 0, skipped
        self.step, self.time = step, time.perf_counter()

    def add(self, stats: Mapping[str, Any], *, skipped: int) -> None:
        """One step; it does not count if it was skipped, since it would hide the sound ones."""
        before, self.skipped = self.skipped, skipped
        if self.skipped > before:
            return
        self.count += 1
        for name, value in stats.items():
            self.sums[name] = self.sums.get(name, 0) + torch.as_tensor(value).detach()

    def write(self, step: int) -> dict[str, float]:
        """A line of the means since the last one; the loss, and examples per second."""
        now, steps = time.perf_counter(), step - self.step
        values = {name: round(float(total) / self.count, 6) for name, total in self.sums.items()}
        values["skipped"] = self.skipped
        rate = round(steps * self.batch / (now - self.time), 1)
        self.append(step, {**values, "per_second": rate})
        self.sums, self.count, self.step, self.time = {}, 0, step, now
        return {"loss": values.get("loss", math.nan), "per_second": rate}

    def append(self, step: int, values: Mapping[str, Any]) -> None:
        """A line of its own."""
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except ValueError:  # a kill may have cut the last line short
        return math.inf
