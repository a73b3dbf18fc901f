"""How the handlers of the tab *Faces* are attached: alike, whatever they do."""

from typing import Any

import gradio as gr

from apps.parts import HEAVY, QUICK

# While somebody clicks on, only the last state is answered, and nothing flickers meanwhile.
LIVE: dict[str, Any] = {**HEAVY, "trigger_mode": "always_last", "show_progress": "hidden"}

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


def save(button: gr.Button, fn: Any, inputs: list[Any], file: gr.File, *, api: str) -> None:
    """A click makes a file by `fn` and saves it."""
    made = button.click(
        fn, inputs, file, **HEAVY, api_name=api, show_progress="hidden", scroll_to_output=False
    )
    made.success(None, file, js=_TAKE, **QUICK)
