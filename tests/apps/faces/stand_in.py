"""A maker of faces that learnt nothing, and the tab around it."""

from typing import Any

import gradio as gr
import numpy as np
import torch

from apps import web
from apps.faces import FaceMaker, tab
from apps.faces.attributes import COLUMNS
from apps.faces.copula import Copula
from apps.faces.data import Faces
from apps.faces.detector import NoFace
from apps.faces.model import ReaderSize, Size, build, build_reader
from apps.faces.place import Frame

FRAME = Frame(60, 50, 64)


class Maker(FaceMaker):
    """Finds a face in the middle of any photo that is not black; counts what it makes."""

    calls = 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.calls += 1
        return super().__call__(*args, **more)

    def locate(self, pixels: np.ndarray, box: Any = None) -> Frame:
        if not pixels.any():
            raise NoFace("There is none.")
        return box or FRAME


def stand_in(world: Faces) -> Maker:
    """A small maker whose faces differ by what is asked for, though by chance."""
    torch.manual_seed(0)
    model = build(Size(width=8, latent=8))
    for block in model.generation.blocks:  # type: ignore[union-attr]
        torch.nn.init.normal_(block.film.project.weight, std=0.3)
        torch.nn.init.normal_(block.conv2.weight, std=0.1)
    made = Maker(
        model, Copula.fit((world.labels[:, COLUMNS] > 0).numpy()), device="cpu", name="faces"
    )
    made.__dict__["_reader"] = build_reader(ReaderSize(width=8)).eval()
    return made


def tab_alone(maker: Maker) -> gr.Blocks:
    """The tab alone, as the page draws and queues it."""
    with gr.Blocks(analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        tab.tab(lambda: maker)
    return blocks.queue(max_size=web.WAITING)
