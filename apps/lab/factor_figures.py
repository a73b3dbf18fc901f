"""Pictures of what models of sprites have learnt: scores against β, and traversals."""

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from apps.lab.digits import CLASSES
from apps.lab.factor_tables import BOUND, OBJECTIVES, SCORES
from apps.lab.factors import SpriteSplit
from apps.lab.measure import decode, device_of
from apps.lab.recipe import WEIGHTS
from apps.lab.sprites import SIZES
from apps.lab.tables import Cells
from apps.report import Curve
from cvae.latent import traverse
from cvae.metrics import Interval
from cvae.model import CVAE

BEST = "mig"  # the score that says whose traversals are shown


def best_of(results: Mapping[str, Cells]) -> str:
    """The recipe whose traversals are shown, of at least one."""
    means = {name: _ends(found, BEST)[0] for name, found in results.items()}
    return max(means, key=means.__getitem__)


def _ends(found: Cells, column: str) -> tuple[float, float, float]:
    cell = found[column]
    assert isinstance(cell, Interval)
    return cell.mean, cell.low, cell.high


def curves(results: Mapping[str, Cells], column: str) -> dict[str, Curve]:
    """A figure of the table over β by objective; both begin at 1, where they are the bound."""
    found = {}
    for kind, name in OBJECTIVES.items():
        at = {beta: f"{kind}-{beta}" for beta in WEIGHTS[kind]} | {1: "beta-1"}
        points = [
            (beta, _ends(results[at[beta]], column)) for beta in sorted(at) if at[beta] in results
        ]
        if points:
            x, ends = zip(*points, strict=True)
            found[name] = Curve(x, *zip(*ends, strict=True))
    return found


def plot_sweep(path: Path, results: Mapping[str, Cells]) -> None:
    """Every score and the bound against β into a PNG."""
    figure = Figure(figsize=(15, 6), layout="constrained")
    FigureCanvasAgg(figure)  # neither a window nor the global state of pyplot
    shown = (*SCORES, BOUND[0])
    panels = figure.subplots(2, len(shown) // 2).flat
    for panel, column in zip(panels, shown, strict=True):
        for name, curve in curves(results, column.key).items():
            (line,) = panel.plot(curve.x, curve.y, marker=".", label=name)
            assert curve.low is not None and curve.high is not None
            panel.fill_between(curve.x, curve.low, curve.high, color=line.get_color(), alpha=0.15)
        ticks = sorted({beta for betas in WEIGHTS.values() for beta in betas})
        panel.set_xscale("log", base=2)
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.set(title=column.title, xlabel="β")
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


@torch.no_grad()
def traversals(model: CVAE, held: SpriteSplit, *, reach: float = 2.0) -> Tensor:
    """A heart in the middle, one latent at a time set from -reach to reach, ten pictures a row.

    Latents are sorted by what they carry of held-out pictures: `(10 D, 1, 64, 64)` in [0, 1].
    """
    device = device_of(model)
    middle = torch.tensor([size // 2 for size in SIZES])
    middle[0] = SIZES[0] - 1
    x, known = held.first(1000).tensors(slice(None))
    x, known = torch.cat([held.sprites.render(middle[None]), x]), torch.cat([middle[None], known])
    q = model.posterior(x.to(device), model.condition(known.to(device)))
    order = q.kl_standard()[1:].mean(0).argsort(descending=True)
    grid = traverse(q.mean[0].cpu(), order.tolist(), torch.linspace(-reach, reach, CLASSES))
    return decode(model, grid.flatten(0, 1))
