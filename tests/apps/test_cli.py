"""The command line as a person uses it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps import cli, outputs
from apps.colorization.model import Size, build
from cvae import checkpoint
from pretrained import store


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    size = {"width": 8, "palette": 4, "spatial": 2, "components": 4, "rank": 3}
    folder = tmp_path_factory.mktemp("weights")
    state = build(Size(**size)).state_dict()
    store.save(
        folder,
        state=state,
        config={"domain": "colorization", "model": "mixture", "size": size},
        card="# t\n",
    )
    return folder


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def colorize(weights: Path, *args: object) -> int:
    options = ["--model", str(weights), "--device", "cpu", "-k", "2"]
    return cli.main(["colorize", *map(str, args), *options])


def test_folder_in_numbered_pictures_out(weights: Path, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/deep/a.jpg", 1)
    (tmp_path / "in/notes.txt").write_text("no picture")
    out = tmp_path / "out"
    assert colorize(weights, tmp_path / "in", "-o", out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a", "a-2"]
    assert sorted(p.name for p in (out / "a").iterdir()) == ["1.png", "2.png", "samples.json"]
    assert Image.open(out / "a/1.png").size == (30, 20)
    record = json.loads((out / "a/samples.json").read_text())
    assert set(record) == {"input", "seed", "model", "temperature", "samples"}
    assert record["input"].endswith("a.png") and record["temperature"] is None
    shares = [s["probability"] for s in record["samples"]]
    assert [s["file"] for s in record["samples"]] == ["1.png", "2.png"]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)


def test_earlier_numbered_outputs_go_and_nothing_else(weights: Path, tmp_path: Path) -> None:
    source, out = photo(tmp_path / "a.png"), tmp_path / "out"
    (out / "a").mkdir(parents=True)
    for name in ("7.png", "notes.png", "7.jpg"):
        (out / "a" / name).write_bytes(b"earlier")
    assert colorize(weights, source, "-o", out) == 0
    names = sorted(p.name for p in (out / "a").iterdir())
    assert names == ["1.png", "2.png", "7.jpg", "notes.png", "samples.json"]


def test_out_inside_the_folder_is_left_out(weights: Path, tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    for _ in range(2):  # the second run must not colour the answers of the first
        assert colorize(weights, tmp_path, "-o", tmp_path / "out") == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]


def test_a_bad_file_is_one_line_and_the_others_go_on(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    good = photo(tmp_path / "good.png")
    assert colorize(weights, bad, good, "-o", tmp_path / "out") == 1
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("perhaps:")]
    assert len(lines) == 1 and "bad.png" in lines[0]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good"]


def test_temperature_gives_equal_shares_and_a_prefix(weights: Path, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    assert colorize(weights, source, "-o", tmp_path / "x", "--temperature", "1") == 0
    record = json.loads((tmp_path / "x/a/samples.json").read_text())
    assert [s["probability"] for s in record["samples"]] == [0.5, 0.5]
    args = ["colorize", str(source), "--model", str(weights), "--temperature", "1", "-k", "3"]
    assert cli.main([*args, "-o", str(tmp_path / "y")]) == 0
    for name in ("1.png", "2.png"):
        assert (tmp_path / "x/a" / name).read_bytes() == (tmp_path / "y/a" / name).read_bytes()


@pytest.mark.parametrize(
    "args, said",
    [
        (["colorize", "absent.png", "-o", "out"], "absent.png"),
        (["train", "colorization", "--recipe", "huge", "--data", "x", "--out", "y"], "huge"),
        (["train", "colorization", "--data", "absent", "--out", "y"], "absent"),
        (["train", "motion", "--recipe", "huge", "--data", "x", "--out", "y"], "huge"),
        (["train", "core", "--recipe", "huge", "--data", "x", "--out", "y"], "huge"),
        (["forecast", "absent.png", "-o", "out"], "absent.png"),
        (["data", "motion", "absent", "-o", "out"], "absent"),
        (["latent", "sample", "-o", "out", "--model", "absent"], "absent"),
        (["export", "absent"], "absent"),
    ],
)
def test_one_clear_line_for_what_fails(
    args: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(args) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("perhaps: ") and said in error and "\n" not in error


def test_train_resume_export_colorize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way on one's own photos, at the smallest size."""
    from apps.colorization import recipe
    from cvae.training import Schedule

    tiny = recipe.Recipe(
        Size(width=8, palette=3, spatial=1, components=2, rank=2),
        Schedule(steps=2, batch=2, log_every=1, save_every=1),
    )
    monkeypatch.setitem(recipe.RECIPES, "tiny", tiny)
    for i in range(8):
        photo(tmp_path / f"data/mine/{i}.png", i)
    (tmp_path / "data/mine/split.csv").write_text(
        "file,split\n" + "".join(f"{i}.png,train\n" for i in range(8))
    )
    run = tmp_path / "run"
    train = ["train", "colorization", "--recipe", "tiny", "--data", str(tmp_path / "data")]
    train += ["--out", str(run), "--device", "cpu"]
    assert cli.main([*train, "--dry-run"]) == 0 and not run.exists()
    assert cli.main(train) == 0
    assert cli.main(train) == 1  # a run is not overwritten
    assert cli.main([*train, "--resume", "--steps", "3"]) == 0
    assert checkpoint.load(run)["trainer"]["step"] == 3
    lines = [json.loads(x) for x in (run / "stats.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "loss" in line]
    assert [line["step"] for line in lines if "diagnostics" in line] == [2, 3]  # each run's end
    assert steps == [1, 2, 3]
    card = tmp_path / "card.md"
    card.write_text("# mine\n")
    assert cli.main(["export", str(run), "--card", str(card)]) == 0
    assert (run / "export/README.md").read_text() == "# mine\n"
    assert cli.main(["export", str(run)]) == 0
    assert "2 examples" in (run / "export/README.md").read_text()
    source = photo(tmp_path / "a.png")
    args = ["colorize", str(source), "-o", str(tmp_path / "out"), "-k", "2"]
    assert cli.main([*args, "--model", str(run / "export")]) == 0
    assert (tmp_path / "out/a/2.png").exists()


def test_help_and_version_are_light() -> None:
    code = (
        "import sys; from apps.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'gradio', 'numpy', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    for argument in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"perhaps" in done.stdout


def test_colorize_never_imports_gradio(weights: Path, tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    code = (
        "import sys; from apps.cli import main\n"
        "failed = main(sys.argv[1:])\n"
        "sys.exit('gradio' in sys.modules or failed)"
    )
    args = ["colorize", source, "-o", tmp_path / "out", "-k", "1", "--model", weights]
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_folders_of_one_stem_never_meet() -> None:
    names = ["a.png", "a-2.png", "x/a.jpg", "A.tif"]
    pairs = outputs.folders([Path(n) for n in names], Path("out"))
    folders = [folder.name.casefold() for _, folder in pairs]
    assert len(set(folders)) == 4 and folders[0] == "a"


def test_a_run_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stats", str(tmp_path)]) == 1
    assert "expected a run with a stats.jsonl" in capsys.readouterr().err
    (tmp_path / "stats.jsonl").write_text('{"step": 50, "loss": 1.5}\n{"step": 100, "loss": 1}\n')
    assert cli.main(["stats", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "out/loss.png") in said and "no diagnostics" in said
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["loss.png"]
