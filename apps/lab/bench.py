"""Training speed and memory of the plain VAE beside its peers: measured here, asserted nowhere.

Every measurement has a process of its own, so that peak memory is its own too, and the systems
take turns: what else the machine does meets them all.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.bench import memory
from apps.lab.model import SHAPE
from apps.lab.peers import LATENT, PIXELS, WIDTH, Bare, Perhaps, Pyro, Pythae, System, Task
from apps.lab.recipe import PLAIN

INSTALL = "pip install '.[peers]'"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Entry:
    """A system in the table; `package`: without it there is nothing to measure."""

    title: str
    package: str
    build: type[System]


ENTRIES = {
    "bare": Entry("bare PyTorch", "torch", Bare),
    "perhaps": Entry("perhaps", "torch", Perhaps),
    "pythae": Entry("pythae", "pythae", Pythae),
    "pyro": Entry("Pyro", "pyro-ppl", Pyro),
}


@dataclass(frozen=True)
class Load:
    """How much each is given: pictures, of which a batch a step, and passes over all of them.

    The first pass is a warm-up. Of MNIST's 60,000 pictures as many as make whole batches.
    """

    pictures: int = 234 * 256
    batch: int = 256
    passes: int = 3


@dataclass(frozen=True)
class Measured:
    """How many parameters are trained; images/s of a run and of steps on batches that are ready;
    bytes at the peak of the run, and how many of them neither imports nor pictures explain."""

    parameters: int
    run: float
    alone: float
    peak: int
    beyond: int


class Clock:
    """Ticks once a step.

    Example:
        >>> clock = Clock()
        >>> clock.ticks = [0.0, 5.0, 5.5, 6.0]
        >>> clock.rate(skip=1, batch=10)
        20.0
    """

    def __init__(self) -> None:
        self.ticks: list[float] = []

    def __call__(self) -> None:
        self.ticks.append(time.perf_counter())

    def rate(self, *, skip: int, batch: int) -> float:
        """Images/s from the tick after the first `skip` to the last."""
        steps = len(self.ticks) - 1 - skip
        return steps * batch / (self.ticks[-1] - self.ticks[skip])


def bench(*, load: Load | None = None, rounds: int = 5) -> str:
    """Print and return a Markdown table: who trains how many images a second, in what memory."""
    load = load or Load()
    found: dict[str, list[Measured]] = {name: [] for name in ENTRIES if installed(name)}
    for _ in range(rounds):
        for name, measured in found.items():
            measured.append(apart(name, load))
    text = f"{table(found)}\n\n{_note(load, rounds)}"
    print(text)
    return text


def installed(name: str) -> str:
    """The version of a system's package, or nothing."""
    try:
        return version(ENTRIES[name].package)
    except PackageNotFoundError:
        return ""


def apart(name: str, load: Load) -> Measured:
    """`measure` in a process of its own, with as many threads as this one.

    Raises:
        ValueError: the system failed.
    """
    asked = json.dumps({"name": name, "threads": torch.get_num_threads(), **asdict(load)})
    command = [sys.executable, "-m", "apps.lab.bench", asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ValueError(f"got no figure of {ENTRIES[name].title}, which failed: {last}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, load: Load) -> Measured:
    """Train a system in this process, twice: as a run, and on batches that are ready."""
    build = ENTRIES[name].build
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        build(Task(pictures(4), 2, 1, here / "first"), Clock()).run()  # imports what it needs
        task = Task(pictures(load.pictures), load.batch, load.passes, here / "run")
        before = memory("VmRSS")
        rate = partial(Clock.rate, skip=load.pictures // load.batch, batch=load.batch)
        ran, stepped = Clock(), Clock()
        build(task, ran).run()
        peak = memory("VmHWM")
        system = build(task, stepped)
        system.alone()
    return Measured(
        parameters=sum(p.numel() for p in system.parameters),
        run=rate(ran),
        alone=rate(stepped),
        peak=peak,
        beyond=peak - before,
    )


def pictures(n: int) -> Tensor:
    """n blots of ink, about as black as digits, 0 and 1 in float32 `(n, 1, 28, 28)`."""
    generator = torch.Generator().manual_seed(0)
    made = torch.empty(n, *SHAPE)
    for part in made.split(1024):  # a peak while they are made would hide that of training
        coarse = torch.rand(len(part), 1, 7, 7, generator=generator)
        part.copy_(F.interpolate(coarse, SHAPE[1:], mode="bilinear") > 0.7)
    return made


def table(found: dict[str, list[Measured]]) -> str:
    """Medians with their ranges, a row a system; who is not in `found` says how to get it."""
    lines = [
        "| | parameters | a run, images/s | steps alone, images/s | peak memory, MiB "
        "| of it for training, MiB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, entry in ENTRIES.items():
        if name in found:
            title = f"{entry.title} {installed(name) if entry.package != 'torch' else ''}"
            lines.append(f"| {title.strip()} | {_row(found[name])} |")
        else:
            lines.append(f"| {entry.title} | not installed: `{INSTALL}` | | | | |")
    return "\n".join(lines)


def _row(rows: list[Measured]) -> str:
    return " | ".join(
        [
            f"{rows[0].parameters:,}",
            _spread([row.run for row in rows]),
            _spread([row.alone for row in rows]),
            _spread([row.peak / 2**20 for row in rows]),
            _spread([row.beyond / 2**20 for row in rows]),
        ]
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def _note(load: Load, rounds: int) -> str:
    return f"""\
Medians (least–most) of {rounds} rounds in which the systems take turns, each in a process of its
own; PyTorch {torch.__version__}, processor, threads: {torch.get_num_threads()}, float32.
The network of Pyro's VAE example for all: {PIXELS}-{WIDTH}-{LATENT}-{WIDTH}-{PIXELS}, softplus.
Batches of {load.batch} out of {load.pictures:,} binary pictures in memory, shown {load.passes}
times, the first of which is not counted.

"A run" is the loop of each, with how it fetches, logs and saves. Bare PyTorch: rows of a tensor,
forward, backward, Adam. perhaps: `cvae.training.train` with the schedule of the lab: AdamW, moving
average, clipping, a log line every {PLAIN.log_every} steps, a checkpoint every {PLAIN.save_every},
diagnostics every {PLAIN.diagnose_every}. pythae: `BaseTrainer.train` on its `BaseDataset`, Adam.
Pyro: `SVI.step` with `Trace_ELBO` and its Adam on a shuffling `DataLoader`, as in its example.
"Steps alone" are on batches that are ready: `Trainer.update` (average and clipping, no
diagnostics), `BaseTrainer.train_step`, `SVI.step`. Peak memory is that of a run's whole process;
for training is what it held beyond imports and pictures."""


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    name, threads = asked.pop("name"), asked.pop("threads")
    torch.set_num_threads(threads)
    print(json.dumps(asdict(measure(name, Load(**asked)))))
