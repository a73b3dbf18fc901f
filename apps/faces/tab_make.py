"""*New faces*: toggles, sixteen people, and one of them from without to with."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps.faces.attributes import GROUPS, STRONG, title
from apps.faces.tab_parts import people, toggles, walk
from apps.faces.tab_respond import Studio, side_by_side
from apps.page import new_seed, shown
from apps.parts import LIVE, QUICK, save, take

NOTE = """
Sixteen people who never were. Ask for what they should have: of what you leave open, only what
rarely goes with it changes too.
<span class="note">Every face is synthetic and drawn by chance; it is meant to resemble nobody.
What an attribute looks like was learnt from the labels of photos of celebrities, with their
prejudices.</span>
"""
HINT = "A click on a name asks for it, one on − for its absence."
WALK = """
### One person, one change
<span class="note">Choose a face above. Only the attribute below changes, from without to with.
</span>
"""

# Which face is chosen, and what its button says; without asking the server, which may be busy.
CHOSEN = """
() => {
  const cells = [...document.querySelectorAll('.people [role=radio]')];
  const j = cells.findIndex((cell) => cell.ariaChecked === 'true');
  return [j, 'Download no. ' + (j + 1)];
}
"""


@dataclass(frozen=True)
class _Make:
    asked: gr.HTML
    people: gr.HTML
    seed: gr.Number
    again: gr.Button
    temperature: gr.Slider
    chosen: gr.Number
    one: gr.Button
    all: gr.Button
    attribute: gr.Dropdown
    walk: gr.HTML
    strip: gr.Button

    def request(self) -> list[Any]:
        return [self.asked, self.seed, self.temperature]

    def step(self) -> list[Any]:
        return [self.asked, self.attribute, self.seed, self.chosen, self.temperature]


def section(studio: Studio, file: gr.File) -> None:
    """Draw it into the surrounding layout."""
    _connect(_draw(), studio, file)


def _draw() -> _Make:
    with gr.Row(equal_height=False, elem_classes="make"):
        with gr.Column(scale=6, min_width=320):
            gr.Markdown(NOTE)
            asked = toggles(hint=HINT)
            with gr.Accordion("Advanced", open=False):
                temperature = gr.Slider(
                    0.3, 1, 1, step=0.05, label="Temperature", info="Lower: more alike."
                )
        with gr.Column(scale=7, min_width=320, elem_classes="crowd"):
            shown = people()
            chosen = gr.Number(0, label="Chosen face", visible="hidden")
            with gr.Row(elem_classes="under"):
                seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_classes="seed")
                again = gr.Button("New people", variant="primary", size="md", min_width=110)
                one = gr.Button(take(1), size="md", min_width=110)
                every = gr.Button("All as ZIP", size="md", min_width=110)
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=260):
            gr.Markdown(WALK)
            attribute = gr.Dropdown(
                [(title(name), name) for names in GROUPS.values() for name in names],
                value=STRONG[1],
                label="Attribute",
            )
            strip = gr.Button("Steps as PNG", size="md")
        with gr.Column(scale=5, min_width=320):
            steps = walk()
    return _Make(
        asked, shown, seed, again, temperature, chosen, one, every, attribute, steps, strip
    )


def _connect(made: _Make, studio: Studio, file: gr.File) -> None:
    def show(attributes: Any, seed: Any, temperature: Any) -> str:
        """Sixteen faces that have what is asked for, as one picture."""
        return studio.people(attributes, seed, temperature)

    def steps(attributes: Any, attribute: Any, seed: Any, face: Any, temperature: Any) -> str:
        """One face from without the attribute to with it, as one picture."""
        parts = studio.walk(attributes, attribute, seed, face, temperature)
        return shown(side_by_side(parts))

    def faces(attributes: Any, seed: Any, temperature: Any) -> str:
        """Sixteen faces as a ZIP; attributes by name, as true (with) or false (without)."""
        return studio.archive(attributes, seed, temperature)

    def face(attributes: Any, seed: Any, face: Any, temperature: Any) -> str:
        """One of the sixteen faces as a PNG; it is counted from 0."""
        return studio.face(attributes, seed, face, temperature)

    def progress(attributes: Any, attribute: Any, seed: Any, face: Any, temperature: Any) -> str:
        """One of the sixteen faces from without the attribute to with it, as a PNG."""
        return studio.progression(attributes, attribute, seed, face, temperature)

    hidden: dict[str, Any] = {"api_visibility": "private", **LIVE}
    again = made.again.click(new_seed, outputs=made.seed, **QUICK)
    again.then(show, made.request(), made.people, **hidden)
    gr.on(
        [made.people.load, made.asked.input, made.seed.input, made.temperature.input],
        show,
        made.request(),
        made.people,
        **hidden,
    )
    made.people.select(None, None, [made.chosen, made.one], js=CHOSEN, **QUICK)
    gr.on([made.people.submit, made.attribute.input], steps, made.step(), made.walk, **hidden)
    save(made.all, faces, made.request(), file, api="faces")
    inputs = [made.asked, made.seed, made.chosen, made.temperature]
    save(made.one, face, inputs, file, api="face")
    save(made.strip, progress, made.step(), file, api="progress")
