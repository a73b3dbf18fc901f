"""*Your photo*: what its face seems to have, the face with something else, a part filled in."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps import parts
from apps.canvas import canvas, to_paint
from apps.faces.tab_parts import toggles
from apps.faces.tab_respond import Studio, reading
from apps.page import new_seed
from apps.parts import LIVE, save

NOTE = """
Drop a photo of a face: see what it seems to have, change that, or have a part filled in.
<span class="note">Only the face is redrawn; the rest of the photo stays as it is. What is read is
what photos with such labels look like: no fact about a person, and nobody is recognised. Ask
before you change someone else's face.</span>
"""
HINT = "A click on a name adds it to the face, one on − takes it away."
HEIGHT = 380  # of before and after, pixels
FILL = """
<span class="note">Paint over what is to be filled: sunglasses, a scratch, a hand.</span>
"""


@dataclass(frozen=True)
class _Photo:
    photo: gr.Image
    seems: gr.HTML
    asked: gr.HTML
    slider: gr.ImageSlider
    whole: gr.Button
    canvas: gr.HTML
    fill: gr.Button
    again: gr.Button
    seed: gr.Number
    gallery: gr.Gallery
    filled: gr.ImageSlider
    one: gr.DownloadButton
    files: gr.Files

    def fillings(self) -> list[Any]:
        return [self.gallery, self.filled, self.one, self.files]


def section(studio: Studio, file: gr.File) -> None:
    """Draw it into the surrounding layout."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            gr.Markdown(NOTE)
            photo = parts.photo_drop()
            seems = gr.HTML(elem_classes="seems")
        with gr.Column(scale=8, min_width=320), gr.Tabs(elem_classes="uses"):
            with gr.Tab("Change"):
                change = _change()
            with gr.Tab("Fill in"):
                fill = _fill()
    _connect(_Photo(photo, seems, *change, *fill), studio, file)


def _change() -> tuple[Any, ...]:
    slider = parts.before_and_after(height=HEIGHT)
    whole = gr.Button("Download at full size", interactive=False, size="md")
    asked = toggles(hint=HINT)
    return asked, slider, whole


def _fill() -> tuple[Any, ...]:
    gr.Markdown(FILL)
    painted = canvas()
    with gr.Row(elem_classes="under"):
        fill = gr.Button("Fill in", variant="primary", size="md", min_width=110)
        again = gr.Button("Roll again", size="md", min_width=110)
        seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_classes="seed")
    filled = parts.before_and_after(height=HEIGHT, visible=False)
    gallery = parts.answers(visible=False)
    one = gr.DownloadButton("Download", visible=False, size="md")
    return painted, fill, again, seed, gallery, filled, one, parts.full_size()


def _connect(part: _Photo, studio: Studio, file: gr.File) -> None:
    def arrive(photo: Any, attributes: Any) -> list[Any]:
        """What the face seems to have, before and after, and the photo to paint over."""
        if not photo:
            return [gr.skip()] * 4
        seen = studio.portrait(photo)
        seems = f'<span class="note">Seems to have</span> {reading(seen.has)}'
        ready = gr.Button(interactive=True)
        return [seems, studio.change(photo, attributes), to_paint(seen.pixels), ready]

    def change(photo: Any, attributes: Any) -> tuple[str, str]:
        """The photo before and after, small enough for the page."""
        return studio.change(photo, attributes)

    def edit(photo: Any, attributes: Any) -> str:
        """The photo with its face changed; attributes by name, as true (with) or false."""
        return studio.changed(photo, attributes)

    def complete(photo: Any, painted: Any, seed: Any) -> list[Any]:
        """Four ways to fill what the mask hides: previews, before and after, a file, all files."""
        return studio.fill(photo, painted, seed)

    shows = [part.seems, part.slider, part.canvas, part.whole]
    private: dict[str, Any] = {"api_visibility": "private"}
    cleared = part.photo.input(_clear, outputs=[*shows, *part.fillings()], **parts.QUICK)
    cleared.then(
        arrive,
        [part.photo, part.asked],
        shows,
        **parts.HEAVY,
        **private,
        show_progress_on=part.slider,
    )
    part.asked.input(change, [part.photo, part.asked], part.slider, **LIVE, **private)
    save(part.whole, edit, [part.photo, part.asked], file, api="edit")
    fill: dict[str, Any] = {
        "fn": complete,
        "inputs": [part.photo, part.canvas, part.seed],
        "outputs": part.fillings(),
        "show_progress_on": [part.canvas],
        **parts.HEAVY,
    }
    rolled = part.again.click(new_seed, outputs=part.seed, **parts.QUICK)
    for done in (
        part.fill.click(**fill, api_name="complete"),
        rolled.then(**fill, **private),
    ):
        done.success(_ready, outputs=part.fillings()[:3], **parts.QUICK)
    parts.show_chosen(part.gallery, part.files, part.filled, part.one)


def _ready() -> list[Any]:
    """There are fillings to see now, the first foremost."""
    first = gr.DownloadButton(parts.take(1), visible=True)
    return [gr.Gallery(visible=True, selected_index=0), gr.ImageSlider(visible=True), first]


def _clear() -> list[Any]:
    """Another photo is there, or none: what was shown of the last one goes."""
    away = [gr.Gallery(None, visible=False), gr.ImageSlider(None, visible=False)]
    taken = gr.DownloadButton(value=None, visible=False)
    return [None, None, {}, gr.Button(interactive=False), *away, taken, None]
