"""Tables say what they hold, in Markdown and in JSON; plots are pictures."""

from pathlib import Path

import pytest
from PIL import Image

from apps.report import Column, Curve, Report, Table, plot_histograms, plot_lines
from cvae.metrics import Interval

COLUMNS = (
    Column("error", "error", "lower", 3),
    Column("decibel", "PSNR", "higher", 1),
    Column("bias", "bias", "zero", 2),
    Column("word", "verdict"),
)


@pytest.fixture
def table() -> Table:
    table = Table("A table", COLUMNS, notes=["A note."])
    interval = Interval(0.25, 0.2, 0.3)
    table.add("one", {"error": interval, "decibel": 20.0, "bias": -0.5, "word": "yes"})
    table.add("two", {"error": 0.5, "decibel": 31.25, "bias": 0.1, "word": None})
    table.add("three", {}, note="not trained")
    return table


def cells(table: Table, row: int) -> list[str]:
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    return [cell.strip() for cell in lines[2 + row].strip("|").split("|")]


def test_the_best_is_bold_by_the_direction_of_its_column(table: Table) -> None:
    assert cells(table, 0) == ["one", "**.250** .200–.300", "20.0", "−.50", "yes"]
    assert cells(table, 1) == ["two", ".500", "**31.2**", "**.10**", "–"]
    assert cells(table, 2) == ["three (not trained)", "–", "–", "–", "–"]


def test_a_reference_is_not_the_best(table: Table) -> None:
    table.add("truth", {"error": 0.0, "bias": 0.1, "decibel": 31.25}, reference=True)
    assert cells(table, 3) == ["truth", ".000", "31.2", ".10", "–"]
    assert "**.250**" in cells(table, 0)[1]
    assert Table.from_json(table.to_json()).markdown() == table.markdown()


def test_the_columns_are_aligned(table: Table) -> None:
    lines = [line for line in table.markdown().splitlines() if line.startswith("|")]
    bars = [[i for i, letter in enumerate(line) if letter == "|"] for line in lines]
    assert len(bars[0]) == len(COLUMNS) + 2
    assert all(places == bars[0] for places in bars)


def test_a_column_without_a_direction_has_no_best() -> None:
    table = Table("T", [Column("x", "x", digits=1)])
    table.add("a", {"x": 1.0})
    assert "*" not in table.markdown()


def test_negative_bounds_are_not_joined_by_a_dash() -> None:
    table = Table("T", [Column("x", "x", digits=1)])
    table.add("a", {"x": Interval(-1.0, -2.0, -0.04)})
    assert cells(table, 0)[1] == "−1.0 −2.0 to .0"


def test_json_round_trip(table: Table, tmp_path: Path) -> None:
    assert Table.from_json(table.to_json()) == Table("A table", list(COLUMNS), **_rest(table))
    report = Report("Title", [table], {"pictures": 3, "best": {"one": 0.5}}, ["a.png"])
    report.save(tmp_path / "new")
    read = Report.load(tmp_path / "new" / "report.json")
    assert read.facts == report.facts
    assert read.figures == report.figures
    assert read.markdown() == report.markdown()
    assert (tmp_path / "new" / "report.md").read_text(encoding="utf-8") == report.markdown()


def _rest(table: Table) -> dict:
    return {
        "rows": table.rows,
        "notes": table.notes,
        "remarks": table.remarks,
        "references": table.references,
    }


def test_markdown_holds_title_notes_and_figures(table: Table) -> None:
    text = Report("Title", [table], figures=["best-of-k.png"]).markdown()
    for part in ("## Title", "### A table", "A note.", "![best of k](best-of-k.png)"):
        assert part in text


def test_unknown_columns_and_second_rows_are_refused(table: Table) -> None:
    with pytest.raises(ValueError, match="colour"):
        table.add("four", {"colour": 1.0})
    with pytest.raises(ValueError, match="one"):
        table.add("one", {})


def test_plots_are_pictures(tmp_path: Path) -> None:
    curve = Curve([1, 2, 4], [3.0, 2.0, 1.0], [2.5, 1.5, 0.5], [3.5, 2.5, 1.5])
    plot_lines(tmp_path / "lines.png", {"a": curve}, x="k", y="error", log_x=True)
    for names in (["a"], ["a", "b"]):
        counts = {name: [1, 2, 3] for name in names}
        plot_histograms(tmp_path / "bars.png", counts, x="rank", title="T", expected=2.0)
        for file in ("lines.png", "bars.png"):
            with Image.open(tmp_path / file) as picture:
                assert picture.format == "PNG"
                assert len(set(picture.convert("L").tobytes())) > 2
