"""What a run wrote is what is drawn, and what a kill left of it does no harm."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from apps import diagnostics
from apps.diagnostics import plot, read, run

NAMES = ["loss.png", "kl.png", "active-units.png", "gap.png", "kl-per-dimension.png"]


def found(step: int, *nats: float, active: int) -> dict[str, Any]:
    told = {"kl": sum(nats), "kl_per_dimension": nats, "active_units": active, "gap": 0.25}
    return {"step": step, "diagnostics": told}


LOSSES = [
    {"step": 10, "loss": 5.0, "kl": 70.0, "rate": 0.1},
    {"step": 20, "loss": 3.0, "critic_loss": 0.7, "kl": 90.0, "rate": 0.1},
]
LINES = [LOSSES[0], found(10, 0.0, 1.0, active=1), LOSSES[1], found(20, 3.0, 2.0, active=2)]


def write(folder: Path, lines: list[dict[str, Any]], *, cut: str = "") -> Path:
    folder.mkdir()
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "stats.jsonl").write_text(text + cut)
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is handed to the plots, by the name of the file; nothing is drawn."""
    kept: dict[str, Any] = {}

    def keep(path: Path, what: Any, **labels: str) -> None:
        kept[path.name] = what

    monkeypatch.setattr(diagnostics, "plot_lines", keep)
    monkeypatch.setattr(diagnostics, "plot_histograms", keep)
    return kept


def test_curves_hold_what_the_run_wrote(tmp_path: Path, drawn: dict[str, Any]) -> None:
    plot(write(tmp_path / "small", LINES))
    losses = {name: (curve.x, curve.y) for name, curve in drawn["loss.png"].items()}
    assert losses == {"loss": ([10, 20], [5.0, 3.0]), "critic_loss": ([20], [0.7])}
    kl, active = (drawn[name]["small"] for name in ("kl.png", "active-units.png"))
    assert (kl.x, kl.y) == ([10, 20], [1.0, 5.0])  # not the weighed term of the loss
    assert (active.x, active.y) == ([10, 20], [1, 2])
    nats, ordered = drawn["kl-per-dimension.png"].values()
    assert list(nats) == [3.0, 2.0] and ordered == [3.0, 2.0]


def test_bars_are_those_of_the_last_step_in_their_order_and_by_size(
    tmp_path: Path, drawn: dict[str, Any]
) -> None:
    plot(write(tmp_path / "run", [*LINES, found(30, 0.1, 4.0, 2.0, active=2)]))
    nats, ordered = drawn["kl-per-dimension.png"].values()
    assert list(nats) == [0.1, 4.0, 2.0] and ordered == [4.0, 2.0, 0.1]


def test_plots_are_pictures_in_the_folder_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "run", LINES)
    run(Namespace(run_folder=folder, out=tmp_path / "new" / "out"))
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == [tmp_path / "new" / "out" / name for name in NAMES]
    for path in printed:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
    assert plot(folder)[0] == folder / "plots" / "loss.png"


def test_a_run_without_diagnostics_has_its_losses(
    tmp_path: Path, drawn: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(Namespace(run_folder=write(tmp_path / "run", LOSSES), out=None))
    assert list(drawn) == ["loss.png"]
    assert "no diagnostics" in capsys.readouterr().out


def test_the_last_word_on_a_collapse_is_printed(
    tmp_path: Path, drawn: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    early, late = found(5, 0.0, 0.0, active=0), found(30, 0.0, 0.001, active=0)
    run(Namespace(run_folder=write(tmp_path / "recovered", [early, *LINES]), out=None))
    assert "collapse" not in capsys.readouterr().out
    run(Namespace(run_folder=write(tmp_path / "collapsed", [*LINES, late]), out=None))
    assert "collapse: none of 2 latent dimensions" in capsys.readouterr().out


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    assert read(write(tmp_path / "run", LOSSES, cut='{"step": 30, "lo')) == LOSSES


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", write(tmp_path / "empty", [])):
        with pytest.raises(ValueError, match=r"expected a run with a stats\.jsonl"):
            read(folder)
