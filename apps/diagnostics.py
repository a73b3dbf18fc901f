"""`perhaps stats`: what a run has written of itself as curves and bars."""

import argparse
import json
from pathlib import Path
from typing import Any

from apps.report import Curve, plot_histograms, plot_lines
from cvae.diagnostics import Diagnostics

# The curves of a run: file, what to read of the diagnostics, and its axis.
CURVES = {
    "kl": "KL(q(z | x, c) || p(z | c)), nats",
    "active_units": "active units",
    "gap": "gap between prior and posterior",
}


def run(args: argparse.Namespace) -> None:
    """Print the files that `plot` writes of `args.run_folder` into `args.out`."""
    for path in plot(args.run_folder, args.out):
        print(path)
    found = diagnostics(read(args.run_folder))
    if not found:
        print("no diagnostics: this run's objective does not say what it `observed`")
    elif warning := found[max(found)].warning:
        print(warning)


def read(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's `stats.jsonl`; one that a kill has cut short is left out.

    Raises:
        ValueError: there is no such file, or nothing in it.
    """
    path = folder / "stats.jsonl"
    lines = [_parsed(text) for text in path.read_text().splitlines()] if path.exists() else []
    found = [line for line in lines if line is not None]
    if not found:
        raise ValueError(f"got {folder}, expected a run with a stats.jsonl: train there first")
    return found


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return json.loads(text)
    except ValueError:
        return None


def diagnostics(lines: list[dict[str, Any]]) -> dict[int, Diagnostics]:
    """What was found of the model, by step."""
    return {
        line["step"]: Diagnostics(**line["diagnostics"]) for line in lines if "diagnostics" in line
    }


def plot(folder: Path, out: Path | None = None) -> list[Path]:
    """Draw what a run has written into `out` (default `folder/plots`); the PNGs it made.

    Losses in `loss.png`; of a run with diagnostics also `kl.png`, `active-units.png`, `gap.png`,
    and the last KL of each dimension in `kl-per-dimension.png`.
    """
    lines = read(folder)
    out = out or folder / "plots"
    name = folder.resolve().name
    losses = sorted({key for line in lines for key in line if key.endswith("loss")})
    curves = {
        key: _curve({line["step"]: line[key] for line in lines if key in line}) for key in losses
    }
    made = [out / "loss.png"]
    plot_lines(made[0], curves, x="step", y="loss", title=name)
    found = diagnostics(lines)
    if not found:
        return made
    for key, axis in CURVES.items():
        made.append(out / f"{key.replace('_', '-')}.png")
        values = {step: getattr(at, key) for step, at in found.items()}
        plot_lines(made[-1], {name: _curve(values)}, x="step", y=axis)
    last = max(found)
    nats = found[last].kl_per_dimension
    bars = {"KL, nats": nats, "largest first": sorted(nats, reverse=True)}
    made.append(out / "kl-per-dimension.png")
    plot_histograms(made[-1], bars, x="latent dimension", title=f"{name}, step {last}")
    return made


def _curve(values: dict[int, float]) -> Curve:
    return Curve(list(values), list(values.values()))
