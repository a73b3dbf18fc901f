"""Maps of a latent space: where many pictures lie, as a plot."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def scatter(path: Path, points: np.ndarray, groups: Sequence[str]) -> None:
    """Points `(N, 2)`, a colour a group, into a PNG."""
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    FigureCanvasAgg(figure)  # neither a window nor the global state of pyplot
    panel = figure.subplots()
    names = np.array(groups)
    for place, name in enumerate(sorted(set(groups))):
        x, y = points[names == name].T
        panel.scatter(x, y, s=12, color=f"C{place % 10}", label=name, linewidths=0, alpha=0.8)
    panel.set(xticks=[], yticks=[], aspect="equal")
    if len(set(groups)) > 1:
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)
    figure.savefig(path, dpi=120, metadata={"Software": None})
