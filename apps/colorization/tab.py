"""The tab *Colorize*: drop a photo, choose among its colourings, take them home."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from apps import parts
from apps.colorization.respond import MODEL, Predictor, Request, respond
from apps.page import LAST_SEED, new_seed, own, within

MOST = 16  # answers at a time

DISTINCT, PLAIN = "Distinct answers", "Plain samples"

# On a phone the answers lie below the fold.
SHOW = """
() => document.querySelector('.viewer').scrollIntoView({behavior: 'smooth', block: 'nearest'})
"""

INTRO = """
Drop a black-and-white photo and get several believable colourings of it, at its own size,
most probable first.
<span class="note">Colours are guesses, and the percentages are the model's own opinion of them.
A colour photo is turned to grey first.</span>
"""


def load(device: str) -> Predictor:
    """The shipped model; torch is imported here and no earlier."""
    from apps.colorization.predict import Colorizer

    return Colorizer.from_pretrained(MODEL, device=device)


def tab(predictor: Callable[[], Predictor]) -> None:
    """Draw the tab into the surrounding `gr.Blocks`; `predictor` is called at the first photo."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(INTRO)
            asked = _question()
        with gr.Column(scale=8, min_width=320):
            shown = _answer()
    _connect(asked, shown, predictor)


@dataclass(frozen=True)
class _Question:
    photo: gr.Image
    examples: Any
    go: gr.Button
    again: gr.Button
    seed: gr.Number
    k: gr.Slider
    how: gr.Radio
    temperature: gr.Slider
    intensity: gr.Slider

    def everything(self) -> list[gr.components.Component]:
        return [self.photo, self.seed, self.k, self.how, self.temperature, self.intensity]


@dataclass(frozen=True)
class _Answer:
    slider: gr.ImageSlider
    gallery: gr.Gallery
    one: gr.DownloadButton
    all: gr.DownloadButton
    files: gr.Files

    def everything(self) -> list[gr.components.Component]:
        return [self.gallery, self.slider, self.one, self.all, self.files]


def _question() -> _Question:
    photo = parts.photo_drop(elem_classes="grey")
    with gr.Row():
        go = gr.Button("Colorize", variant="primary", size="lg", min_width=120, scale=3)
        again = gr.Button("Roll again", size="lg", min_width=100, scale=2)
    seed = gr.Number(0, label="Seed", precision=0, elem_classes="seed")
    row = parts.examples_of(photo, elem_classes="grey examples")
    with gr.Accordion("Advanced", open=False):
        k = gr.Slider(1, MOST, 8, step=1, label="Answers")
        how = gr.Radio(
            [DISTINCT, PLAIN],
            value=DISTINCT,
            label="Diversity",
            info="Distinct answers cover what is likely; plain samples are drawn as they come.",
        )
        temperature = gr.Slider(
            0.3, 1, 1, step=0.05, label="Temperature", info="Of plain samples: lower is calmer."
        )
        intensity = gr.Slider(
            0, 1.5, 1, step=0.05, label="Intensity", info="0 is grey, 1 as the model sees it."
        )
    return _Question(photo, row, go, again, seed, k, how, temperature, intensity)


def _answer() -> _Answer:
    slider = parts.before_and_after(height=440)
    gallery = parts.answers()
    with gr.Row():
        one = gr.DownloadButton("Download", interactive=False, size="md", min_width=120)
        every = gr.DownloadButton("All as ZIP", interactive=False, size="md", min_width=120)
    return _Answer(slider, gallery, one, every, parts.full_size())


def _connect(asked: _Question, shown: _Answer, predictor: Callable[[], Predictor]) -> None:
    cache = Path(shown.files.GRADIO_CACHE)

    def colorize(
        photo: dict[str, Any] | None,
        seed: Any,
        k: Any,
        diversity: Any,
        temperature: Any,
        intensity: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  Gradio knows it by this default
    ) -> list[Any]:
        """Colour a photo k times: previews, before and after, the first, all as ZIP, all files."""
        if not photo or not photo.get("path"):
            raise gr.Error("There is no photo yet: drop one first.", print_exception=False)
        request = Request(
            path=str(own(photo["path"], cache)),
            seed=int(within(seed, 0, LAST_SEED, 0)),
            k=int(within(k, 1, MOST, 8)),
            temperature=within(temperature, 0.3, 1, 1) if diversity == PLAIN else None,
            intensity=within(intensity, 0, 1.5, 1),
        )
        return [request.seed, *respond(request, predictor, cache, progress)]

    run: dict[str, Any] = {
        "fn": colorize,
        "inputs": asked.everything(),
        "outputs": [asked.seed, *shown.everything()],
        "show_progress_on": [shown.slider],
        **parts.HEAVY,
    }
    rolled = asked.again.click(new_seed, outputs=asked.seed, **parts.QUICK)
    for done in (
        asked.go.click(**run, api_name="colorize"),
        rolled.then(**run, api_visibility="private"),
        asked.examples.load_input_event.then(**run, api_visibility="private"),
    ):
        done.success(_ready, outputs=[shown.gallery, shown.one, shown.all], **parts.QUICK)
    gr.on(
        [asked.go.click, asked.again.click, asked.examples.dataset.click], js=SHOW, **parts.QUICK
    )
    asked.photo.input(_clear, outputs=shown.everything(), **parts.QUICK)
    parts.show_chosen(shown.gallery, shown.files, shown.slider, shown.one)


def _ready() -> list[Any]:
    """There is something to take home now, the first answer foremost."""
    first = gr.DownloadButton(parts.take(1), interactive=True)
    return [gr.Gallery(selected_index=0), first, gr.DownloadButton(interactive=True)]


def _clear() -> list[Any]:
    """Nothing in any component of `_Answer`: another photo is there, or none."""
    closed = gr.DownloadButton(value=None, interactive=False)
    return [None, None, closed, closed, None]
