"""The tab *Latent lab*: sliders move z, and the picture follows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from apps.canvas import canvas
from apps.lab.sheets import rgb
from apps.lab.tab_parts import dials, picture, sheet
from apps.lab.tab_respond import (
    Place,
    Studio,
    board,
    decoded,
    dials_of,
    sheet_values,
    url,
)
from apps.page import new_seed
from apps.parts import LIVE, QUICK, save

if TYPE_CHECKING:
    from apps.lab.predict import LatentLab

# A queue of their own: small models, which need not wait until a photo is answered.
AT_ONCE: dict[str, Any] = {**LIVE, "concurrency_id": "lab", "api_visibility": "private"}
FIRST = 3  # class

INTRO = """
Everything that this model can draw is a point z of its latent space. Move z, and the picture
follows.
<span class="note">Sliders stand in the order of what they carry, which is the line under each; a
double click sets one to 0. Where the model is told the class, z is what remains: the style.</span>
"""
OWN = """
### One of your own
<span class="note">Draw it or upload a picture: it is encoded, and what is decoded of that appears.
</span>
"""
TRAVERSAL = """
### One dimension at a time
<span class="note">A row for each slider, from one end to the other. A click goes there.</span>
"""
PLANE = """
### Two dimensions at once
<span class="note">The two that carry most, spaced so that all pictures are as likely. A click
goes there.</span>
"""
CLASSES = """
### One style, ten classes
"""


def load(device: str) -> Mapping[str, "LatentLab"]:
    """The shipped models by title; torch is imported here and no earlier."""
    from apps.lab.shelf import Shelf

    return Shelf(device)


def tab(predictor: Callable[[], Mapping[str, "LatentLab"]]) -> None:
    """Draw the tab into the surrounding `gr.Blocks`; `predictor` is called at the first look."""
    # Never seen: what is to be saved passes through it, and the hourly sweep clears it.
    file = gr.File(label="Download", visible="hidden", interactive=False)
    page = _draw()
    studio = Studio(predictor, Path(file.GRADIO_CACHE))
    _connect(page, studio)
    _connect_sheets(page, studio)
    _connect_files(page, studio, file)


@dataclass(frozen=True)
class _Page:
    picture: gr.HTML
    seed: gr.Number
    again: gr.Button
    middle: gr.Button
    one: gr.Button
    all: gr.Button
    model: gr.Radio
    dials: gr.HTML
    label: gr.Radio
    canvas: gr.HTML
    upload: gr.UploadButton
    traversal: gr.HTML
    plane: gr.HTML
    told: gr.Column
    classes: gr.HTML

    def place(self) -> list[Any]:
        return [self.model, self.dials, self.label]

    def moved(self) -> list[Any]:
        return [self.dials, self.label, self.picture]

    def sheets(self) -> list[Any]:
        return [self.traversal, self.plane, self.classes]


def _draw() -> _Page:
    gr.Markdown(INTRO)
    model = gr.Radio([], label="Model", visible=False, container=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            shown = picture()
            with gr.Row(elem_classes="under"):
                again = gr.Button("New z", variant="primary", size="md", min_width=80)
                middle = gr.Button("z = 0", size="md", min_width=70)
                seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_classes="seed")
        with gr.Column(scale=5, min_width=300):
            moved = dials()
            label = gr.Radio(
                list(map(str, range(10))), value=str(FIRST), label="Class", visible=False
            )
            with gr.Row():
                one = gr.Button("Picture as PNG", size="md", min_width=110)
                every = gr.Button("All as ZIP", size="md", min_width=110)
        with gr.Column(scale=3, min_width=280):
            gr.Markdown(OWN)
            painted = canvas()
            upload = gr.UploadButton("Upload a picture", size="md", file_types=["image"])
    with gr.Column(visible=False) as told:
        gr.Markdown(CLASSES)
        classes = sheet("One z in every class, 0 to 9")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            gr.Markdown(TRAVERSAL)
            traversal = sheet("One dimension a row, from -2.5 to 2.5")
        with gr.Column(min_width=300):
            gr.Markdown(PLANE)
            plane = sheet("Two dimensions at once")
    return _Page(
        shown, seed, again, middle, one, every, model, moved, label, painted, upload, traversal,
        plane, told, classes,
    )  # fmt: skip


def _connect(page: _Page, studio: Studio) -> None:
    def begin(title: Any, seed: Any, label: Any) -> list[Any]:
        """Another model, or the first look: what it can be asked, and a draw of its prior."""
        place, titles = studio.drawn(title, seed, label), studio.titles()
        chosen = gr.Radio(titles, value=place.title, visible=len(titles) > 1)
        return [chosen, *_moved(place), gr.Column(visible=place.lab.told), board()]

    def draw(title: Any, seed: Any, label: Any) -> list[Any]:
        """A draw of the prior."""
        return _moved(studio.drawn(title, seed, label))

    def centre(title: Any, label: Any) -> list[Any]:
        """The middle of the prior."""
        return _moved(studio.middle(title, label))

    def show(title: Any, dials: Any, label: Any) -> str:
        """What z decodes to."""
        return url(rgb(decoded(studio.at(title, dials, label))))

    def encode(title: Any, photo: Any) -> list[Any]:
        """Where an upload lies."""
        return _moved(studio.uploaded(title, photo))

    def paint(title: Any, painted: Any) -> list[Any]:
        """Where what was painted lies."""
        place = studio.painted(title, painted)
        return [gr.skip()] * 3 if place is None else _moved(place)

    asked = [page.model, page.seed, page.label]
    started = [page.model, *page.moved(), page.told, page.canvas]
    gr.on([page.picture.load, page.model.input], begin, asked, started, **AT_ONCE)
    again = page.again.click(new_seed, outputs=page.seed, **QUICK)
    again.then(draw, asked, page.moved(), **AT_ONCE)
    page.seed.input(draw, asked, page.moved(), **AT_ONCE)
    page.middle.click(centre, [page.model, page.label], page.moved(), **AT_ONCE)
    gr.on([page.dials.input, page.label.input], show, page.place(), page.picture, **AT_ONCE)
    page.upload.upload(encode, [page.model, page.upload], page.moved(), **AT_ONCE)
    page.canvas.input(paint, [page.model, page.canvas], page.moved(), **AT_ONCE)


def _connect_sheets(page: _Page, studio: Studio) -> None:
    def around(title: Any, dials: Any, label: Any) -> list[Any]:
        """What is around z: along every dimension, in a plane, in other classes."""
        return sheet_values(studio.at(title, dials, label))

    def walk(title: Any, dials: Any, label: Any, clicked: Any) -> list[Any]:
        """To a picture of the traversal."""
        return _moved(studio.clicked(studio.at(title, dials, label), clicked))

    def land(title: Any, dials: Any, label: Any, clicked: Any) -> list[Any]:
        """To a picture of the plane."""
        return _moved(studio.landed(studio.at(title, dials, label), clicked))

    def choose(title: Any, dials: Any, label: Any, clicked: Any) -> list[Any]:
        """To another class."""
        return _moved(studio.chosen(studio.at(title, dials, label), clicked))

    gr.on([page.dials.submit, page.label.input], around, page.place(), page.sheets(), **AT_ONCE)
    for shown, go in zip(page.sheets(), (walk, land, choose), strict=True):
        went = shown.select(go, [*page.place(), shown], page.moved(), **AT_ONCE)
        went.then(around, page.place(), page.sheets(), **AT_ONCE)


def _connect_files(page: _Page, studio: Studio, file: gr.File) -> None:
    def latent(model: Any, z: Any, label: Any) -> str:
        """What z decodes to, as a PNG; z is {"z": [numbers]}, the label a class from 0 to 9."""
        return studio.file(studio.at(model, z, label))

    def latents(model: Any, z: Any, label: Any) -> str:
        """The picture and what is around it, as a ZIP."""
        return studio.archive(studio.at(model, z, label))

    save(page.one, latent, page.place(), file, api="latent")
    save(page.all, latents, page.place(), file, api="latents")


def _moved(place: Place) -> list[Any]:
    """Values of dials, class and picture."""
    told = place.lab.told
    label = gr.Radio(value=str(place.label), visible=True) if told else gr.Radio(visible=False)
    return [dials_of(place), label, url(rgb(decoded(place)))]
