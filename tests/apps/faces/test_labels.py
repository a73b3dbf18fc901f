"""Reading tables of attributes, those of people and those of a network."""

from pathlib import Path

import numpy as np
import pytest

from apps.faces import labels
from apps.faces.attributes import NAMES, OFFERED

MALE, SMILING, BROWN = (NAMES.index(n) for n in ("Male", "Smiling", "Brown_Hair"))


def write(path: Path, rows: dict[str, list[str]], columns: tuple[str, ...] = NAMES) -> Path:
    lines = [",".join(("file", *columns))] + [",".join([f, *row]) for f, row in rows.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_cells_become_three_states(tmp_path: Path) -> None:
    cells = ["1", "0", "", "-1", *["0"] * 36]
    table = labels.read_hard(write(tmp_path / "a.csv", {"x.jpg": cells}))
    assert table["x.jpg"].dtype == np.int8
    assert table["x.jpg"].tolist() == [1, -1, 0, -1, *[-1] * 36]


def test_columns_count_by_name_and_withheld_ones_may_be_missing(tmp_path: Path) -> None:
    columns = ("Smiling", *(name for name in OFFERED if name != "Smiling"))
    row = ["1", *["0"] * (len(OFFERED) - 1)]
    table = labels.read_hard(write(tmp_path / "a.csv", {"x.jpg": row}, columns))
    assert table["x.jpg"][SMILING] == 1
    assert (table["x.jpg"] < 0).sum() == len(OFFERED) - 1
    assert table["x.jpg"][NAMES.index("Attractive")] == 0


def test_missing_columns_are_named(tmp_path: Path) -> None:
    columns = tuple(name for name in NAMES if name not in ("Bald", "Young", "Attractive"))
    path = write(tmp_path / "a.csv", {}, columns)
    with pytest.raises(ValueError, match=r"lacks the columns Bald, Young: add them"):
        labels.read_hard(path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="lacks the columns file, 5_o_Clock_Shadow"):
        labels.read_hard(tmp_path / "empty.csv")


@pytest.mark.parametrize("cell", ["2", "yes", "0.5"])
def test_a_wrong_cell_is_named_with_its_line(tmp_path: Path, cell: str) -> None:
    rows = {"x.jpg": ["0"] * 40, "y.jpg": [*["0"] * 39, cell]}
    with pytest.raises(ValueError, match=f"got '{cell}' in line 3 of .*expected 0, 1 or nothing"):
        labels.read_hard(write(tmp_path / "a.csv", rows))


def test_a_short_row_is_not_known_where_it_ends(tmp_path: Path) -> None:
    table = labels.read_hard(write(tmp_path / "a.csv", {"x.jpg": ["1", "1"]}))
    assert table["x.jpg"].tolist() == [1, 1, *[0] * 38]


def test_rates_count_known_labels_of_the_files_asked_for() -> None:
    table = {f: np.zeros(40, np.int8) for f in "abcd"}
    for file, state in zip("abcd", (1, -1, 0, 1), strict=True):
        table[file][MALE] = state
    found = labels.rates(table, {"a", "b", "c"})
    assert found is not None and found[MALE] == 0.5
    assert labels.rates(table, {"a", "d"})[MALE] == 1  # type: ignore[index]
    assert labels.rates(table, set()) is None


def test_soft_labels_are_believed_where_both_readings_agree(tmp_path: Path) -> None:
    """Most are men, and next to no hair is called brown, though 20 in 100 have it elsewhere."""
    rng = np.random.default_rng(0)
    soft = np.full((1000, 40), 0.3)
    male = np.arange(1000) < 800
    soft[:, MALE] = np.where(male, rng.uniform(0.9, 1, 1000), rng.uniform(0, 0.1, 1000))
    soft[:, BROWN] = rng.uniform(0, 0.1, 1000)
    soft[0, BROWN] = 0.9
    rows = {f"{i}.jpg": [f"{p:.6f}" for p in row] for i, row in enumerate(soft)}
    path = write(tmp_path / "soft.csv", rows)
    rates = np.full(40, 0.5)
    rates[MALE], rates[BROWN] = 0.4, 0.2
    table = np.stack([*labels.read_soft(path, fit=set(rows), rates=rates).values()])
    assert (table[~male, MALE] == -1).all()
    assert (table[male, MALE] >= 0).all()
    assert (table[:, MALE] == 1).mean() == pytest.approx(0.4, abs=0.01)
    assert table[0, BROWN] == 1 and (table[1:, BROWN] < 1).all()
    assert (table[:, BROWN] == -1).mean() == pytest.approx(0.8, abs=0.01)
    plain = labels.read_soft(path, fit=set(rows))
    assert all(plain[f"{i}.jpg"][MALE] == (1 if male[i] else -1) for i in range(1000))


def test_quantiles_are_those_of_the_files_to_fit(tmp_path: Path) -> None:
    rows = {f"{i}.jpg": [f"{0.6 + i / 1000:.3f}"] * 40 for i in range(300)}
    path = write(tmp_path / "soft.csv", rows)
    fit = {f"{i}.jpg" for i in range(100)}
    table = labels.read_soft(path, fit=fit, rates=np.full(40, 0.5))
    assert table["40.jpg"][MALE] == 0 and table["60.jpg"][MALE] == 1
