"""From measures to the tables and figures of the report."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from apps.faces.attributes import OFFERED, STRONG, STRONG_COLUMNS
from apps.faces.measured import Measured
from apps.faces.resamples import interval
from apps.report import Cell, Column, Curve, Table, plot_lines

REAL, SHUFFLED, ANCHOR, OURS = "real faces", "ours, shuffled requests", "attr2img", "ours"
PASTED, LOUDER = "real faces, pasted", "attr2img, said louder"
REFERENCES = (REAL, SHUFFLED, PASTED)  # no models: nothing is to be better than they are

REQUESTED = (
    Column("auc_strong", "AUC, ten strong", "higher"),
    Column("auc", "AUC, all offered", "higher"),
    Column("accuracy_strong", "balanced accuracy, ten strong", "higher"),
    Column("accuracy", "balanced accuracy, all", "higher"),
)
TOGGLES = (
    Column("flip", "flip rate", "higher"),
    Column("drift", "drift of the others", "lower"),
    Column("cost", "drift a flip", "lower"),
    Column("identity", "identity drift", "lower"),
    Column("gain", "said louder", digits=1),
    Column("frechet_on", "FD-attr, toggled on", "lower", 1),
)
REALISM = (
    Column("sharpness", "sharpness, of real", "higher"),
    Column("frechet", "FD-attr", "lower", 1),
    Column("density", "density", "higher"),
    Column("coverage", "coverage", "higher"),
    Column("diversity_features", "diversity of features, of real", "higher"),
    Column("diversity_pixels", "diversity of pixels, of real", "higher"),
    Column("memorised", "memorised", "lower", 4),
)
EVIDENCE = (
    Column("mae", "MAE", "lower", 4),
    Column("mse", "MSE", "lower", 4),
    Column("feature", "distance in features", "lower"),
    Column("bits", "−log p(x|y), bits/dim", "lower"),
    Column("deviation", "with a deviation of", digits=4),
    Column("nats", "KL, nats", digits=1),
    Column("active", "active units", digits=0),
)
LAYERS = (
    Column("front", "share of face"),
    Column("undecided", "undecided", "lower"),
    Column("follows", "gate, from the mean gate"),
    Column("by_scene", "moved by another scene", "lower"),
    Column("by_face", "moved by another face"),
)
NOTES = {
    "Requested attributes": (
        "One face for each held-out face, asked for what that one is labelled with; what is not "
        "known of it is drawn, the same for every row, and not judged. The judge is a classifier "
        "trained on the half of train that no critic saw; its thresholds are balanced on val. "
        "Real faces are the ceiling; the floor is ours, judged by another's request. Figures with "
        "their 95 % bootstrap intervals over whole groups (persons in LFW, pictures in CelebA).",
    ),
    "Toggles": (
        "Each of the ten strong attributes off and on, all else and z the same. Flip rate: pairs "
        "in which the judge finds the attribute on and not off, of all pairs. Drift: mean change "
        "of the other attributes' logits, in their deviation over real faces; what excludes the "
        "toggled one does not count. A toggle that is not heard has no drift: drift a flip is "
        "the one divided by the other; hence attr2img once more, with the change of the request "
        "made as many times larger as it is heard most often on val. Pasted: held-out faces that "
        "lack the attribute, with the pixels in which it lies taken from another real face, and "
        "no others: what drifts then lies in that region, or in the judge; a figure to compare "
        "with, no bound (of nine: a face is Male all over). Identity drift: distance of the "
        "judge's features, of that between different faces of the same row. FD-attr as below, of "
        "the faces with a toggle on: they have rare attributes more often than real faces, so it "
        "has no floor of 0, but what stops looking like a face to please a classifier shows in "
        "it.",
    ),
    "Realism": (
        "Sharpness: power above half of Nyquist. FD-attr: squared Fréchet distance in the judge's "
        "features (never to be compared with an FID), density and coverage (k = 5): to as many "
        "real faces of the critics' half of train; that of held-out faces is the floor. "
        "Diversity: mean distance of two faces that share the state of a strong attribute. "
        "Memorised: share of faces nearer to one of train or its mirror image than all but 1 % of "
        "held-out faces are, in features and in pixels. Intervals of distances between sets are "
        "a jackknife's.",
    ),
    "Reconstruction and likelihood": (
        "Of held-out faces; pixels in [-1, 1], from the posterior's mean. Features: distance of "
        "the judge's, of that between different real faces. Likelihood: importance-weighted "
        "bound, a Gaussian with one deviation a row, that of draws of the posterior on val, "
        "counted in levels of 8 bits. A model that was not trained to encode has none of these.",
    ),
}
TABLES = {
    "Requested attributes": REQUESTED,
    "Toggles": TOGGLES,
    "Realism": REALISM,
    "Reconstruction and likelihood": EVIDENCE,
}


def main_tables(results: Mapping[str, Measured | None]) -> list[Table]:
    """One row a model, in four tables; None: it is not trained."""
    return [_table(title, columns, results) for title, columns in TABLES.items()]


def _table(
    title: str, columns: tuple[Column, ...], results: Mapping[str, Measured | None]
) -> Table:
    table = Table(title, columns, notes=list(NOTES[title]))
    for name, found in results.items():
        if found is None:
            table.add(name, {}, note="not trained")
            continue
        keys = [column.key for column in columns]
        cells: dict[str, Cell] = {
            key: interval(found.figures[key]) for key in keys if key in found.figures
        }
        cells |= {key: found.numbers[key] for key in keys if key in found.numbers}
        if cells:  # the floor has no faces of its own
            table.add(name, cells, reference=name in REFERENCES)
    return table


def attribute_table(results: Mapping[str, Measured | None], labels: Tensor) -> Table:
    """AUC by attribute, of the ceiling, the anchor and ours; the strong ones first."""
    shown = [name for name in (REAL, ANCHOR, OURS) if results.get(name) is not None]
    columns = [Column("on", "on in so many", digits=0), Column("known", "of", digits=0)]
    columns += [Column(name, name, digits=3) for name in shown]
    table = Table("AUC by attribute", columns)
    for attribute in (*STRONG, *(name for name in OFFERED if name not in STRONG)):
        i = OFFERED.index(attribute)
        on, known = (labels[:, i] > 0).sum().item(), (labels[:, i] != 0).sum().item()
        cells: dict[str, Cell] = {"on": float(on), "known": float(known)}
        for name in shown:
            draws = _requested(results, name)[:, i]
            cells[name] = interval(draws)
        table.add(attribute, cells)
    return table


def layers_table(results: Mapping[str, Measured | None]) -> Table:
    """How the layered models part faces from what is behind them; no rows if none was measured."""
    note = (
        "Of faces drawn for requests of held-out ones: how much of the picture the gate calls "
        "face, the share of pixels of which it takes between .1 and .9, and how far it is from "
        "the mean gate (0: it follows no face). Then how far the judge's logits move, in their "
        "deviation over real faces, where the latent of one layer is drawn anew and that of the "
        "other held."
    )
    table = Table("Layers", LAYERS, notes=[note])
    for name, found in results.items():
        if found is not None and "front" in found.figures:
            table.add(name, {c.key: interval(found.figures[c.key]) for c in LAYERS})
    return table


def toggle_table(results: Mapping[str, Measured | None]) -> Table:
    """Flip rate and drift of each strong attribute: of real faces, of the anchor and of ours."""
    shown = {
        name: found.toggles
        for name in (PASTED, ANCHOR, LOUDER, OURS)
        if (found := results.get(name)) is not None and found.toggles is not None
    }
    columns = [Column(f"flip {name}", f"flip rate, {name}") for name in shown]
    columns += [Column(f"drift {name}", f"drift, {name}") for name in shown]
    table = Table("Toggles by attribute", columns)
    for t, attribute in enumerate(STRONG):
        cells: dict[str, Cell] = {}
        for name, of in shown.items():
            cells[f"flip {name}"] = interval(of.flip[:, t])
            cells[f"drift {name}"] = interval(of.drift[:, t])
        table.add(attribute, cells)
    return table


def figures(results: Mapping[str, Measured | None], out: Path) -> list[str]:
    """Draw AUC and flip rate by attribute, and KL by dimension; the names of the files."""
    known = {name: found for name, found in results.items() if found is not None}
    files = ["auc.png"]
    number = "attribute, by its row in the table"
    order = [*STRONG_COLUMNS, *(i for i in range(len(OFFERED)) if i not in STRONG_COLUMNS)]
    curves = {
        name: _curve([_requested(results, name)[:, i] for i in order])
        for name in (REAL, ANCHOR, OURS)
        if name in known
    }
    plot_lines(out / files[0], curves, x=number, y="AUC", title="Requested attributes")
    flips = {
        name: _curve(list(found.toggles.flip.T))
        for name, found in known.items()
        if found.toggles is not None
    }
    if flips:
        files.append("toggles.png")
        plot_lines(out / files[-1], flips, x=number, y="flip rate", title="Toggles")
    rates = {}
    for name, found in known.items():
        if found.kl is not None:
            kl = found.kl.sort(descending=True).values.tolist()
            rates[name] = Curve(range(1, len(kl) + 1), kl)
    if rates:
        files.append("kl.png")
        plot_lines(out / files[-1], rates, x="dimension, by its KL", y="KL to N(0, I), nats")
    return files


def _curve(draws: list[Tensor]) -> Curve:
    """A point for each that could be measured, with its interval as a band."""
    found = {i: cell for i, of in enumerate(draws, 1) if (cell := interval(of)) is not None}
    cells = found.values()
    low, high = [cell.low for cell in cells], [cell.high for cell in cells]
    return Curve([*found], [cell.mean for cell in cells], low, high)


def _requested(results: Mapping[str, Measured | None], name: str) -> Tensor:
    """AUC by attribute, `(R + 1, A)`."""
    found = results[name]
    if found is None or found.requested is None:
        raise ValueError(f"got no faces of {name}, expected it to be measured")
    return found.requested.auc
