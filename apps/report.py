"""Tables and plots that every domain's `evaluate` prints and saves."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from cvae.metrics import Interval

Cell = Interval | float | str | None
Better = Literal["lower", "higher", "zero", ""]


@dataclass(frozen=True)
class Column:
    """One measure: its key in the cells, its heading, which direction is good, and its digits."""

    key: str
    title: str
    better: Better = ""
    digits: int = 3


@dataclass
class Table:
    """Named rows of measures; a cell is an interval, a number, a word, or None: not measured.

    Example:
        >>> table = Table("Heights", [Column("m", "metres", "higher", 1)])
        >>> table.add("oak", {"m": Interval(20.0, 19.0, 21.5)})
        >>> table.add("hazel", {"m": 5.0})
        >>> table.add("yew", {}, note="not found")
        >>> table.add("steeple", {"m": 60.0}, reference=True)
        >>> print(table.markdown())
        ### Heights
        <BLANKLINE>
        |                 |           metres ↑ |
        |:----------------|-------------------:|
        | oak             | **20.0** 19.0–21.5 |
        | hazel           |                5.0 |
        | yew (not found) |                  – |
        | steeple         |               60.0 |
    """

    title: str
    columns: Sequence[Column]
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)

    def add(
        self, name: str, cells: Mapping[str, Cell], *, note: str = "", reference: bool = False
    ) -> None:
        """Append a row; a reference (the truth, a ceiling, a floor) is never called the best.

        Raises:
            ValueError: there is a row of that name, or no such column.
        """
        unknown = set(cells) - {column.key for column in self.columns}
        if name in self.rows or unknown:
            what = f"columns {sorted(unknown)}" if unknown else f"a second row {name!r}"
            raise ValueError(
                f"got {what} in table {self.title!r}, expected new rows, known columns"
            )
        self.rows[name] = dict(cells)
        if note:
            self.remarks[name] = note
        if reference:
            self.references.append(name)

    def markdown(self) -> str:
        """The table as aligned Markdown; the best value of a column in bold."""
        heads = ["", *(column.title + _ARROWS[column.better] for column in self.columns)]
        lines = [heads]
        best = {column.key: self._best(column) for column in self.columns}
        for name, cells in self.rows.items():
            remark = f" ({self.remarks[name]})" if name in self.remarks else ""
            line = [name + remark]
            for column in self.columns:
                of = None if name in self.references else best[column.key]
                line.append(_text(cells.get(column.key), column, of))
            lines.append(line)
        widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(heads))]
        rule = ["-" * (width + 1) for width in widths]
        text = [_pipe(lines[0], widths), f"|:{rule[0]}|" + "".join(f"{r}:|" for r in rule[1:])]
        text += [_pipe(line, widths) for line in lines[1:]]
        parts = [f"### {self.title}", "\n".join(text), *self.notes]
        return "\n\n".join(parts)

    def _best(self, column: Column) -> float | None:
        compared = [cells for name, cells in self.rows.items() if name not in self.references]
        values = [_value(cells.get(column.key)) for cells in compared]
        known = [value for value in values if value is not None and np.isfinite(value)]
        if not column.better or not known:
            return None
        if column.better == "zero":
            return min(known, key=abs)
        return min(known) if column.better == "lower" else max(known)

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` makes the same table of."""
        rows = [
            {
                "name": name,
                "note": self.remarks.get(name, ""),
                "reference": name in self.references,
                "cells": {key: _to_json(cell) for key, cell in cells.items()},
            }
            for name, cells in self.rows.items()
        ]
        columns = [dict(vars(column)) for column in self.columns]
        return {"title": self.title, "columns": columns, "rows": rows, "notes": list(self.notes)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Table":
        columns = [Column(**column) for column in value["columns"]]
        table = cls(value["title"], columns, notes=list(value["notes"]))
        for row in value["rows"]:
            cells = {key: _from_json(cell) for key, cell in row["cells"].items()}
            table.add(row["name"], cells, note=row["note"], reference=row["reference"])
        return table


@dataclass
class Report:
    """Tables, the facts they rest on, and figures by the names of their files."""

    title: str
    tables: list[Table] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    figures: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """All tables under the title, then the figures."""
        pictures = [f"![{Path(name).stem.replace('-', ' ')}]({name})" for name in self.figures]
        parts = [f"## {self.title}", *(table.markdown() for table in self.tables), *pictures]
        return "\n\n".join(parts) + "\n"

    def save(self, out: Path, *, name: str = "report") -> None:
        """Write `name.json` and `name.md` into `out`."""
        out.mkdir(parents=True, exist_ok=True)
        value = {
            "title": self.title,
            "facts": self.facts,
            "tables": [table.to_json() for table in self.tables],
            "figures": self.figures,
        }
        text = json.dumps(value, indent=1, allow_nan=False)
        (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        (out / f"{name}.md").write_text(self.markdown(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read a `.json` that `save` wrote."""
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        tables = [Table.from_json(table) for table in value["tables"]]
        return cls(value["title"], tables, value["facts"], value["figures"])


@dataclass(frozen=True)
class Curve:
    """Points of a line plot, with a band around them where `low` and `high` are given."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def plot_lines(
    path: Path,
    curves: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    title: str = "",
    log_x: bool = False,
    bold: Collection[str] = (),
) -> None:
    """Draw named curves into a PNG.

    Args:
        bold: curves that stand out; where there are any, they alone have bands.
    """
    figure, axes = _figure(7, 4.5)
    axes.set_prop_cycle(cycler(linestyle=["-", "--"]) * rcParams["axes.prop_cycle"])
    ticks = sorted({value for curve in curves.values() for value in curve.x})
    for name, curve in curves.items():
        marker = "." if len(curve.x) < 20 else ""
        width = 3 if name in bold else 1.5
        (line,) = axes.plot(curve.x, curve.y, marker=marker, label=name, linewidth=width)
        banded = curve.low is not None and curve.high is not None
        if banded and (name in bold or not bold):
            axes.fill_between(curve.x, curve.low, curve.high, color=line.get_color(), alpha=0.15)
    if log_x:
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _save(figure, path)


def plot_histograms(
    path: Path,
    counts: Mapping[str, Sequence[float]],
    *,
    x: str,
    title: str = "",
    expected: float | None = None,
) -> None:
    """Draw one panel of bars a name, side by side, into a PNG; `expected` is a level to meet."""
    figure, axes = _figure(3 * len(counts), 2.8, panels=len(counts))
    for panel, (name, heights) in zip(np.atleast_1d(axes), counts.items(), strict=True):
        panel.bar(range(len(heights)), heights, width=0.9)
        if expected is not None:
            panel.axhline(expected, color="black", linewidth=1, linestyle="--")
        panel.set(xlabel=x, title=name)
    figure.suptitle(title)
    _save(figure, path)


def _figure(width: float, height: float, *, panels: int = 1) -> tuple[Figure, Any]:
    # a canvas of its own: neither a window nor the global state of pyplot
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, panels, sharey=True)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


_ARROWS = {"lower": " ↓", "higher": " ↑", "zero": " →0", "": ""}


def _value(cell: Cell) -> float | None:
    if cell is None or isinstance(cell, str):
        return None
    return cell.mean if isinstance(cell, Interval) else float(cell)


def _text(cell: Cell, column: Column, best: float | None) -> str:
    value = _value(cell)
    if value is None:
        return cell if isinstance(cell, str) else "–"
    number = _number(value, column.digits)
    is_best = best is not None and number == _number(best, column.digits)
    text = f"**{number}**" if is_best else number
    if isinstance(cell, Interval):
        low, high = (_number(bound, column.digits) for bound in (cell.low, cell.high))
        joint = " to " if "−" in low + high else "–"
        text += f" {low}{joint}{high}"
    return text


def _number(value: float, digits: int) -> str:
    """Fixed digits, the leading zero dropped below 1: `.0625`."""
    text = f"{abs(value):.{digits}f}"
    if digits and text.startswith("0."):
        text = text[1:]
    return ("−" if value < 0 and float(text) else "") + text


def _pipe(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(aligned) + " |"


def _to_json(cell: Cell) -> Any:
    if isinstance(cell, Interval):
        return {"mean": cell.mean, "low": cell.low, "high": cell.high}
    return cell


def _from_json(cell: Any) -> Cell:
    return Interval(**cell) if isinstance(cell, dict) else cell
