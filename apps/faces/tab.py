"""The tab *Faces*: ask for people who never were, walk one of them, change a face of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from apps.faces import tab_make, tab_photo
from apps.faces.tab_respond import Studio

if TYPE_CHECKING:
    from apps.faces.predict import FaceMaker

MODEL = "faces"


def load(device: str) -> "FaceMaker":
    """The shipped model."""
    from apps.faces.predict import FaceMaker

    return FaceMaker.from_pretrained(MODEL, device=device)


def tab(predictor: "Callable[[], FaceMaker]") -> None:
    """Draw the tab into the surrounding `gr.Blocks`; `predictor` is called at the first look."""
    # Never seen: what is to be saved passes through it, and the hourly sweep clears it.
    file = gr.File(label="Download", visible="hidden", interactive=False)
    studio = Studio(predictor, Path(file.GRADIO_CACHE))
    with gr.Tabs(elem_classes="uses"):
        with gr.Tab("New faces"):
            tab_make.section(studio, file)
        with gr.Tab("Your photo"):
            tab_photo.section(studio, file)
