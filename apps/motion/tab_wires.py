"""What happens on the tab *Motion* when somebody does something.

A forecast is made when it is asked for, and again once the arrow is another one. Whatever else is
changed (strength, mask, view) only shows the same forecast anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps.motion.tab_respond import Question, Studio, scene_of
from apps.page import new_seed
from apps.parts import HEAVY, QUICK, save

# Which answer is chosen and, until it is there large, the small one; without asking the server,
# which may be busy.
CHOSEN = """
() => {
  const cells = [...document.querySelectorAll('.moves [role=radio]')];
  const j = cells.findIndex((cell) => cell.ariaChecked === 'true');
  const [place, said] = cells[j].children;
  return [j, {src: place.firstElementChild.src, caption: said.textContent}];
}
"""
# On a phone the answers lie below the fold.
SHOW = """
() => document.querySelector('.stage').scrollIntoView({behavior: 'smooth', block: 'nearest'})
"""

PRIVATE: dict[str, Any] = {"api_visibility": "private"}


@dataclass(frozen=True)
class Asked:
    """What somebody gives."""

    photo: gr.Image
    canvas: gr.HTML
    tools: gr.Markdown
    go: gr.Button
    again: gr.Button
    seed: gr.Number
    examples: Any
    k: gr.Slider


@dataclass(frozen=True)
class Shown:
    """What somebody gets, and how it is looked at."""

    question: gr.State
    view: gr.Radio
    stage: gr.HTML
    answers: gr.HTML
    chosen: gr.Number
    strength: gr.Slider
    gif: gr.Button
    mp4: gr.Button
    numbers: gr.Button
    all: gr.Button

    def answer(self) -> list[Any]:
        return [self.question, self.answers, self.stage, self.chosen]

    def buttons(self) -> list[Any]:
        return [self.gif, self.mp4, self.numbers, self.all]


@dataclass(frozen=True)
class Page:
    """Components, the file through which downloads pass, and what answers them."""

    asked: Asked
    shown: Shown
    file: gr.File
    studio: Studio

    def scene(self) -> list[Any]:
        """Inputs of whatever is about the forecast that is there; see `scene_of`."""
        return [self.shown.question, self.asked.canvas, self.shown.strength]


def connect(page: Page) -> None:
    """Attach all handlers."""
    chosen = _arriving(page)
    _forecasting(page, chosen)
    _looking(page)
    _saving(page)


def _arriving(page: Page) -> Any:
    """A photo becomes a canvas, whose cross brings back the place to drop one.

    Returns the event that ends with an example on the canvas.
    """
    asked, shown, studio = page.asked, page.shown, page.studio

    def arrive(photo: Any) -> list[Any]:
        """The photo to draw on."""
        if not photo:
            return [gr.skip()] * 3
        value = studio.arrive(photo)
        return [
            gr.Image(visible="hidden"),
            gr.HTML(value, visible=True),
            gr.Markdown(visible=True),
        ]

    def leave() -> list[Any]:
        """Nothing is there, but the place to drop a photo."""
        return [gr.Image(None, visible=True), *_empty()]

    place = [asked.photo, asked.canvas, asked.tools]
    emptied = [asked.canvas, asked.tools, *shown.answer(), *shown.buttons()]
    asked.canvas.clear(leave, outputs=[asked.photo, *emptied], **QUICK)
    came: list[Callable[..., Any]] = [asked.photo.input, asked.examples.load_input_event.then]
    *_, last = (
        event(_empty, outputs=emptied, **QUICK).then(
            arrive, asked.photo, place, **HEAVY, **PRIVATE, show_progress="hidden"
        )
        for event in came
    )
    return last


def _forecasting(page: Page, example: Any) -> None:
    """Forecast, Roll again and examples: the answers, then the first of them large."""
    asked, shown, studio = page.asked, page.shown, page.studio

    def forecast(
        photo: Any,
        painted: Any,
        seed: Any,
        k: Any,
        strength: Any,
        view: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  Gradio knows it by this default
    ) -> list[Any]:
        """Forecast a photo k times: the seed, all answers, the first of them, its number (0)."""
        question = studio.question(photo, painted, seed, k)
        found = studio.answers(scene_of(question, painted, strength), view, 0, progress)
        return [question.seed, question, *found, 0]

    run: dict[str, Any] = {
        "fn": forecast,
        "inputs": [
            asked.photo,
            asked.canvas,
            asked.seed,
            asked.k,
            shown.strength,
            shown.view,
        ],
        "outputs": [asked.seed, *shown.answer()],
        "show_progress_on": [shown.stage],
        **HEAVY,
    }
    rolled = asked.again.click(new_seed, outputs=asked.seed, **QUICK)
    for done in (
        asked.go.click(**run, api_name="forecast"),
        rolled.then(**run, **PRIVATE),
        example.success(**run, **PRIVATE),
    ):
        _enlarge(page, done.success(_ready, outputs=shown.buttons(), **QUICK))
    gr.on([asked.go.click, asked.again.click, asked.examples.dataset.click], js=SHOW, **QUICK)


def _looking(page: Page) -> None:
    """Another view, strength, mask or arrow; another answer."""
    asked, shown, studio = page.asked, page.shown, page.studio

    def update(
        question: Any,
        painted: Any,
        strength: Any,
        view: Any,
        chosen: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        """The same forecast otherwise; a new one where the arrow is another."""
        if not isinstance(question, Question):
            return [gr.skip()] * 4
        asked = studio.again(question, painted)
        same = asked == question
        scene, kept = scene_of(asked, painted, strength), chosen if same else 0
        answers, large = studio.answers(scene, view, kept, progress)
        if same:  # somebody may have chosen another while these were drawn
            return [asked, {"answers": answers["answers"]}, large, gr.skip()]
        return [asked, answers, large, 0]

    changed = gr.on(
        [asked.canvas.input, shown.strength.release, shown.view.input],
        update,
        [*page.scene(), shown.view, shown.chosen],
        shown.answer(),
        **HEAVY,
        **PRIVATE,
        trigger_mode="always_last",
        show_progress_on=[shown.stage],
    )
    _enlarge(page, changed)
    picked = shown.answers.select(None, None, [shown.chosen, shown.stage], js=CHOSEN, **QUICK)
    _enlarge(page, picked)


def _enlarge(page: Page, after: Any) -> None:
    shown, studio = page.shown, page.studio

    def enlarge(question: Any, painted: Any, strength: Any, view: Any, chosen: Any) -> Any:
        """The chosen answer, large."""
        if not isinstance(question, Question):
            return gr.skip()
        return studio.answer(scene_of(question, painted, strength), view, chosen)

    after.success(
        enlarge,
        [*page.scene(), shown.view, shown.chosen],
        shown.stage,
        **HEAVY,
        **PRIVATE,
        show_progress="hidden",
    )


def _saving(page: Page) -> None:
    """Files are made when they are asked for."""
    shown, studio = page.shown, page.studio

    def gif(question: Any, painted: Any, strength: Any, chosen: Any) -> str:
        """One answer of the last forecast as a GIF; it is counted from 0."""
        return studio.film(scene_of(question, painted, strength), chosen, "gif")

    def mp4(question: Any, painted: Any, strength: Any, chosen: Any) -> str:
        """One answer of the last forecast as an MP4 of at most two megapixels."""
        return studio.film(scene_of(question, painted, strength), chosen, "mp4")

    def numbers(question: Any, painted: Any, strength: Any) -> str:
        """The trajectories of the last forecast as an NPZ."""
        return studio.numbers(scene_of(question, painted, strength))

    def archive(
        question: Any,
        painted: Any,
        strength: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:
        """The last forecast as a ZIP: animations, flow, trails and trajectories."""
        return studio.archive(scene_of(question, painted, strength), progress)

    one = [*page.scene(), shown.chosen]
    save(shown.gif, gif, one, page.file, api="gif", busy=shown.stage)
    save(shown.mp4, mp4, one, page.file, api="mp4", busy=shown.stage)
    save(shown.numbers, numbers, page.scene(), page.file, api="numbers")
    save(shown.all, archive, page.scene(), page.file, api="archive", busy=shown.stage)


def _ready() -> list[Any]:
    """There is something to take home now."""
    return [gr.Button(interactive=True)] * 4


def _empty() -> list[Any]:
    """Nothing is on the canvas and nothing forecast: another photo is there, or none."""
    nothing: list[Any] = [None, {}, {}, 0]
    return [
        gr.HTML({}, visible="hidden"),
        gr.Markdown(visible=False),
        *nothing,
        *[gr.Button(interactive=False)] * 4,
    ]
