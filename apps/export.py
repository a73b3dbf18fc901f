"""A training run's averaged weights as a folder that `from_pretrained` and a hub take."""

import json
from pathlib import Path

import torch

from cvae import checkpoint
from pretrained import store


def export(run: Path, out: Path | None = None, *, card: Path | None = None) -> Path:
    """Write the weights of `run` to `out` (default `run/export`), in half precision.

    Without a `card` (a Markdown file) one is begun with the facts that the run knows; what only
    its maker knows (the terms of the data, limits, bias) is left as questions to answer.

    Raises:
        cvae.checkpoint.CheckpointError: there is no run in that folder.
    """
    state = checkpoint.load(run)
    trainer = state["trainer"]
    config = state["config"] | {"steps": trainer["step"], "batch": trainer["schedule"]["batch"]}
    out = out or run / "export"
    text = card.read_text() if card else _card(config)
    store.save(out, state=trainer["average"], config=config, card=text, dtype=torch.half)
    return out


def _card(config: dict) -> str:
    passes = config["steps"] * config["batch"]
    return (
        f"# {config['domain']}: recipe {config.get('recipe') or 'custom'}\n\n"
        f"Trained for {config['steps']} steps of {config['batch']} examples "
        f"({passes:,} in all).\n\n"
        "## Data and its terms\n\nWhich data, and under which terms?\n\n"
        "## Figures\n\nThe table of `perhaps evaluate`.\n\n"
        "## Limits and bias\n\nWhat should it not be used for?\n\n"
        f"## Configuration\n\n```json\n{json.dumps(config, indent=2)}\n```\n"
    )
