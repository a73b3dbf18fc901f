"""The tab *Motion*: drop a photo, see what may happen in its next second, take it home."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from apps import parts
from apps.canvas import canvas
from apps.motion.tab_parts import answers, stage
from apps.motion.tab_respond import MOST, STRONGEST, USUAL, VIEWS, Predictor, Studio
from apps.motion.tab_wires import Asked, Page, Shown, connect

if TYPE_CHECKING:
    from apps.motion.predict import Forecaster

MODEL = "motion"

INTRO = """
Drop a photo and see several ways in which its next second may go, most probable first.
<span class="note">Motion is a guess, and the percentages are the model's own opinion of it. An
answer in which next to nothing moves is an answer, too.</span>
"""
TOOLS = """
<span class="note">If you like: drag an arrow the way something goes, and only what agrees is
likely; paint over what may move, and all else stays.</span>
"""


def load(device: str) -> "Forecaster":
    """The shipped model; torch is imported here and no earlier."""
    from apps.motion.predict import Forecaster

    return Forecaster.from_pretrained(MODEL, device=device)


def tab(predictor: Callable[[], Predictor]) -> None:
    """Draw the tab into the surrounding `gr.Blocks`; `predictor` is called at the first photo."""
    # Never seen: what is to be saved passes through it, and the hourly sweep clears it.
    file = gr.File(label="Download", visible="hidden", interactive=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(INTRO)
            asked = _question()
        with gr.Column(scale=8, min_width=320):
            shown = _answer()
    connect(Page(asked, shown, file, Studio(predictor, Path(file.GRADIO_CACHE))))


def _question() -> Asked:
    photo = parts.photo_drop()
    painted = canvas(arrow=True, visible="hidden")
    tools = gr.Markdown(TOOLS, visible=False)
    with gr.Row():
        go = gr.Button("Forecast", variant="primary", size="lg", min_width=120, scale=3)
        again = gr.Button("Roll again", size="lg", min_width=100, scale=2)
    seed = gr.Number(0, label="Seed", precision=0, elem_classes="seed")
    row = parts.examples_of(photo)
    with gr.Accordion("Advanced", open=False):
        k = gr.Slider(1, MOST, USUAL, step=1, label="Answers")
    return Asked(photo, painted, tools, go, again, seed, row, k)


def _answer() -> Shown:
    view = gr.Radio(list(VIEWS), value=VIEWS[0], show_label=False, container=False)
    large = stage()
    small = answers()
    chosen = gr.Number(0, label="Chosen answer", visible="hidden")
    strength = gr.Slider(
        0, STRONGEST, 1, step=0.05, label="Strength", info="Of the animation: 0 is still."
    )
    with gr.Row(elem_classes="under"):
        four = [
            gr.Button(name, interactive=False, size="md", min_width=110)
            for name in ("This one as GIF", "As MP4", "Numbers (NPZ)", "All as ZIP")
        ]
    return Shown(gr.State(), view, large, small, chosen, strength, *four)
