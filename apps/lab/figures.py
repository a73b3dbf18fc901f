"""Pictures of the report: two latent maps side by side, styles by class, and how runs went."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from apps import images
from apps.grid import grid
from apps.lab.digits import CLASSES
from apps.lab.measure import Codes, Plan, decode, device_of, draw
from apps.report import Curve, plot_lines
from cvae.model import CVAE


def principal(z: Tensor) -> Tensor:
    """Codes `(N, D)` on their two principal axes, `(N, 2)`; D at least 2.

    Example:
        >>> principal(torch.tensor([[0.0, 3.0], [0.0, -3.0], [1.0, 0.0], [-1.0, 0.0]])).abs()
        tensor([[3., 0.],
                [3., 0.],
                [0., 1.],
                [0., 1.]])
    """
    centred = z - z.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -2:].flip(1)
    return centred @ axes


def plot_maps(path: Path, maps: Mapping[str, Codes], *, most: int = 3000) -> None:
    """Codes by class, a panel a model, into a PNG; each panel has a scale of its own."""
    figure = Figure(figsize=(5 * len(maps), 4.8), layout="constrained")
    FigureCanvasAgg(figure)  # neither a window nor the global state of pyplot
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    for panel, (name, codes) in zip(panels, maps.items(), strict=True):
        points, labels = principal(codes.z[:most]), codes.labels[:most]
        for digit in range(CLASSES):
            x, y = points[labels == digit].T
            panel.scatter(x, y, s=4, color=f"C{digit}", label=str(digit))
        panel.set(title=name, xticks=[], yticks=[])
    panels[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def styles(model: CVAE, plan: Plan, *, rows: int = 8) -> Tensor:
    """One z of the prior a row, decoded for each class in turn, `(rows * 10, 1, 28, 28)`."""
    generator = plan.generator(device_of(model))
    z = draw(model, torch.zeros(rows, dtype=torch.long), generator)
    labels = torch.arange(CLASSES).repeat(rows)
    return decode(model, z.repeat_interleave(CLASSES, 0), labels)


def write_sheet(path: Path, x: Tensor) -> None:
    """Pictures in [0, 1], ten a row, into a PNG."""
    tiles = (255 * x).round().byte().expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_png(grid(list(tiles), columns=CLASSES)))


def curve(run: Path) -> Curve | None:
    """The loss of a run by its steps, the first tenth apart; None: it has left no log."""
    path = run / "stats.jsonl"
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [line for line in lines if "loss" in line][len(lines) // 10 :]
    return Curve([line["step"] for line in kept], [line["loss"] for line in kept])


def plot_curves(path: Path, runs: Mapping[str, Path]) -> bool:
    """Draw what the runs have logged into a PNG; False: nothing."""
    found = {name: curve(run) for name, run in runs.items()}
    curves = {name: of for name, of in found.items() if of is not None and of.x}
    if curves:
        plot_lines(path, curves, x="step", y="−bound, nats a digit of train")
    return bool(curves)
