"""What the latent tools show: pictures as one sheet without gaps, and maps of many of them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def rgb(picture: np.ndarray) -> np.ndarray:
    """Grey `(H, W)` uint8 -> `(H, W, 3)`."""
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)


def mosaic(grid: np.ndarray) -> np.ndarray:
    """Pictures edge to edge, `(rows, columns, H, W)` -> `(rows * H, columns * W, 3)` uint8.

    Example:
        >>> mosaic(np.zeros((2, 3, 28, 28), np.uint8)).shape
        (56, 84, 3)
    """
    rows, columns, height, width = grid.shape
    return rgb(grid.transpose(0, 2, 1, 3).reshape(rows * height, columns * width))


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
