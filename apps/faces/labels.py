"""Tables of attributes as three states: +1 on, -1 off, 0 not known."""

import csv
from pathlib import Path

import numpy as np

from apps.faces.attributes import NAMES, OFFERED

HARD = "attributes.csv"
SOFT = "attributes_celeba40_soft.csv"
_STATES = {"1": 1.0, "0": -1.0, "-1": -1.0, "": 0.0}  # CelebA's own list has -1 for off


def read_hard(path: Path) -> dict[str, np.ndarray]:
    """Labels of people, by file: int8 `(40,)` in CelebA's order, 0 where a cell is empty.

    Columns of attributes that are not offered may be missing.

    Raises:
        ValueError: missing columns, or a cell that is neither 0, 1, -1 nor empty.
    """
    return {file: row.astype(np.int8) for file, row in _read(path, hard=True).items()}


def read_soft(
    path: Path, *, fit: set[str], rates: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Labels of a network, by file, hardened where they can be trusted; as `read_hard`.

    The network's probabilities do not fit other photos than it learnt from: some attributes come
    out far too often, others next to never. A probability is believed where it lies above, or
    below, both one half and the quantile at which its attribute would be as frequent as `rates`
    `(40,)` says; between them the label is not known. Quantiles alone would call half of the men
    women where most are men, one half alone would deny most hair its colour. Quantiles are those
    of the files in `fit`.
    """
    table = _read(path, hard=False)
    rows = [row for file, row in table.items() if file in fit] or list(table.values())
    if not rows:
        return {}
    quantile = np.full(len(NAMES), 0.5)
    if rates is not None:
        soft = np.array(rows)
        quantile = np.array([np.quantile(p, 1 - r) for p, r in zip(soft.T, rates, strict=True)])
    high, low = np.maximum(quantile, 0.5), np.minimum(quantile, 0.5)
    return {
        file: ((row > high).astype(np.int8) - (row < low).astype(np.int8))
        for file, row in table.items()
    }


def rates(table: dict[str, np.ndarray], files: set[str]) -> np.ndarray | None:
    """How frequent each attribute is among the known labels of files, `(40,)`; None without any.

    An attribute that nobody labelled counts as half.
    """
    rows = np.array([row for file, row in table.items() if file in files])
    if not len(rows):
        return None
    known = (rows != 0).sum(0)
    return np.where(known > 0, (rows > 0).sum(0) / np.maximum(known, 1), 0.5)


def _read(path: Path, *, hard: bool) -> dict[str, np.ndarray]:
    with path.open(newline="") as lines:
        reader = csv.DictReader(lines)
        columns = reader.fieldnames or []
        missing = [name for name in ("file", *OFFERED) if name not in columns]
        if missing:
            raise ValueError(f"{path} lacks the columns {', '.join(missing)}: add them.")
        there = [i for i, name in enumerate(NAMES) if name in columns]
        table = {}
        for row in reader:
            values = np.zeros(len(NAMES)) if hard else np.full(len(NAMES), np.nan)
            for i in there:
                values[i] = _value(row[NAMES[i]], hard, path, reader.line_num)
            table[row["file"]] = values
    return table


def _value(cell: str | None, hard: bool, path: Path, line: int) -> float:
    text = (cell or "").strip()
    try:
        return _STATES[text] if hard else float(text)
    except (KeyError, ValueError):
        expected = "0, 1 or nothing" if hard else "a probability"
        raise ValueError(f"got {cell!r} in line {line} of {path}, expected {expected}") from None
