"""A forecaster that learnt nothing, and the tab around it."""

import gradio as gr
import numpy as np

from apps import web
from apps.motion import tab
from apps.motion.predict import Forecast, Hint
from flow.grid import cell_centres

GRID = (15, 20)
SHARES = (0.4, 0.25, 0.2, 0.08, 0.04, 0.01, 0.01, 0.01)
STILL = 2  # the answer in which nothing moves


class Stand:
    """The middle of a photo goes k ways, as far as a tenth of it; or all the way of a hint."""

    name = "motion"

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Hint | None]] = []

    def __call__(
        self, image: np.ndarray, k: int = 5, seed: int = 0, hint: Hint | None = None
    ) -> Forecast:
        self.asked.append((k, seed, hint))
        height, width = image.shape[:2]
        angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(SHARES))[:k]
        if hint is not None:
            (x, y), (u, v) = hint.start, hint.end
            angles = np.arctan2(v - y, u - x) + np.linspace(0, 0.5, k)
        ways = 0.1 * min(height, width) * np.stack([np.cos(angles), np.sin(angles)], -1)
        ways[STILL : STILL + 1] = 0
        moves = np.zeros((k, 30, *GRID, 2), np.float32)
        time = np.arange(1, 31) / 30
        moves[:, :, 5:11, 7:14] = (time[:, None] * ways[:, None])[:, :, None, None]
        shares = np.array(SHARES[:k], np.float32)
        grid = cell_centres(GRID, (height, width))
        return Forecast(moves, grid, shares / shares.sum(), seed)


def tab_alone(forecaster: Stand) -> gr.Blocks:
    """The tab alone, as the page draws and queues it."""
    with gr.Blocks(analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        tab.tab(lambda: forecaster)
    return blocks.queue(max_size=web.WAITING)
