"""What the tabs of the page draw and wire alike: a photo, before and after, answers to choose."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from apps.examples import examples
from apps.page import own, preview

# The model answers one request at a time. Without Gradio's own preprocessing: it would open files
# with every decoder of Pillow before our gate sees them, and believe what it is sent.
HEAVY: dict[str, Any] = {
    "preprocess": False,
    "concurrency_id": "model",
    "concurrency_limit": 1,
}
QUICK: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
# While somebody clicks on, only the last state is answered, and nothing flickers meanwhile.
LIVE: dict[str, Any] = {**HEAVY, "trigger_mode": "always_last", "show_progress": "hidden"}

# The end of a part's script: fires `load` once somebody looks.
SEEN = """\
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  trigger('load');
}).observe(element);
"""

# The file is made when it is asked for; a browser saves what a click on a link leads to.
_TAKE = """
(file) => {
  const link = document.createElement('a');
  link.href = file.url;
  link.download = file.orig_name || '';
  document.body.append(link);
  link.click();
  link.remove();
}
"""


def photo_drop(*, elem_classes: str | None = None) -> gr.Image:
    """Where a photo is dropped, pasted or chosen."""
    return gr.Image(
        label="Photo",
        type="filepath",
        image_mode=None,
        format="png",
        sources=["upload", "clipboard"],
        height=300,
        buttons=["fullscreen"],
        elem_classes=elem_classes,
        placeholder="# Drop a photo\nor click to choose one",
    )


def examples_of(photo: gr.Image, *, elem_classes: str = "examples") -> Any:
    """A row of photos to try, for the one that is dropped, and whose they are."""
    photos = examples()
    with gr.Column(elem_classes=elem_classes):
        row = gr.Examples([[str(e.path)] for e in photos], photo, label="Or try one of these")
        credits = " · ".join(f"{e.title}: {e.attribution}" for e in photos)
        gr.Markdown(f'<span class="note">{credits}</span>')
    return row


def before_and_after(*, height: int, visible: bool = True) -> gr.ImageSlider:
    """A photo and one answer, one over the other."""
    return gr.ImageSlider(
        label="Before and after",
        type="filepath",
        image_mode=None,
        format="png",
        interactive=False,
        height=height,
        max_height=height,
        buttons=["fullscreen"],
        visible=visible,
        elem_classes="viewer",
    )


def answers(*, visible: bool = True) -> gr.Gallery:
    """The answers side by side, one of them chosen."""
    return gr.Gallery(
        show_label=False,
        format="png",
        columns=4,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        visible=visible,
        elem_classes="answers",
    )


def full_size() -> gr.Files:
    """Never seen, but what the page chooses downloads from, and what the hourly sweep clears."""
    return gr.Files(label="Full size", visible="hidden", interactive=False)


def show_chosen(
    gallery: gr.Gallery, whole: gr.Files, slider: gr.ImageSlider, one: gr.DownloadButton
) -> None:
    """A click on an answer shows it beside the photo, and has its file taken home by `one`.

    Files lie beside their previews; see `apps.page.preview`.
    """
    cache = Path(whole.GRADIO_CACHE)

    def choose(files: list[dict[str, Any]] | None, chosen: gr.SelectData) -> list[Any]:
        number = int(chosen.index) + 1
        file = own((files or [])[number - 1].get("path"), cache)
        before, after = (file.with_name(preview(i)) for i in (0, number))
        return [(str(before), str(after)), gr.DownloadButton(take(number), value=file)]

    gallery.select(choose, whole, [slider, one], preprocess=False, **QUICK)


def take(number: int) -> str:
    """What the button says that downloads an answer."""
    return f"Download no. {number}"


def save(
    button: gr.Button,
    fn: Any,
    inputs: list[Any],
    file: gr.File,
    *,
    api: str,
    busy: Component | None = None,
) -> None:
    """A click makes a file by `fn` and saves it; `busy` shows how far it is, if it takes long."""
    shows: dict[str, Any] = {"show_progress": "hidden"}
    if busy is not None:
        shows = {"show_progress": "full", "show_progress_on": busy}
    made = button.click(fn, inputs, file, **HEAVY, **shows, api_name=api, scroll_to_output=False)
    made.success(None, file, js=_TAKE, **QUICK)
