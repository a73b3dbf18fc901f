"""The detector's loss by hand, that it learns, that it resumes, and how it is judged."""

import math
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from apps import runtime
from apps.export import export
from apps.faces import commands, detector_train
from apps.faces.detector import Detector, Found, encode
from apps.faces.detector_train import (
    DetectorObjective,
    DetectorRecipe,
    eye_error,
    focal,
    match,
    measure,
    train_detector,
    trained_detector,
)
from apps.faces.model import KINDS, DetectorSize
from apps.faces.place import Frame
from cvae import checkpoint
from cvae.training import Schedule, train


class TestLoss:
    def test_focal_by_hand(self) -> None:
        logits = torch.tensor([[[[0.0, 2.0, -1.0]]]])
        heat = torch.tensor([[[[1.0, 0.5, 0.0]]]])
        p = logits.sigmoid().flatten().tolist()
        expected = (
            -((1 - p[0]) ** 2) * math.log(p[0])
            - 0.5**4 * p[1] ** 2 * math.log(1 - p[1])
            - p[2] ** 2 * math.log(1 - p[2])
        )
        assert focal(logits, heat).item() == pytest.approx(expected, rel=1e-5)

    def test_it_is_a_face(self) -> None:
        heat = torch.zeros(2, 1, 4, 4)
        heat[:, :, 1, 1] = 1
        logits = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        twice = logits.expand(2, -1, -1, -1)
        assert focal(twice, heat).item() == pytest.approx(focal(logits, heat[:1]).item())

    @pytest.mark.parametrize("frames", [[], [Frame(20, 30, 40, 0.2)]])
    def test_gradients_are_finite_with_and_without_faces(self, frames: list[Frame]) -> None:
        heat, values, mask = (torch.from_numpy(x)[None] for x in encode(frames, 8, 8))
        pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
        model = Detector(width=16, blocks=1)
        loss, stats = DetectorObjective(model)((pixels, heat, values, mask), torch.Generator())
        loss.backward()
        assert set(stats) == {"centres", "frames"} and not stats["frames"].requires_grad
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(torch.isfinite(g).all() for g in grads)
        assert any(g.abs().sum() > 0 for g in grads)

    def test_sure_and_wrong_is_finite(self) -> None:
        heat = torch.tensor([[[[1.0, 0.0]]]])
        logits = torch.tensor([[[[-200.0, 200.0]]]], requires_grad=True)
        focal(logits, heat).backward()
        assert logits.grad is not None and torch.isfinite(logits.grad).all()


def discs(numbers: Tensor) -> tuple[Tensor, ...]:
    """One bright disc each, with the frame two of its diameters wide: a face for beginners."""
    pixels, targets = [], []
    for number in numbers.tolist():
        picture, frame = disc(number)
        pixels.append(torch.from_numpy(picture).permute(2, 0, 1))
        targets.append(encode([frame], 8, 8))
    parts = (torch.from_numpy(np.stack(part)) for part in zip(*targets, strict=True))
    return torch.stack(pixels), *parts


def disc(number: int) -> tuple[np.ndarray, Frame]:
    rng = np.random.default_rng(number)
    picture = rng.integers(40, 90, (64, 64, 3), np.uint8)
    x, y = (int(v) for v in rng.integers(14, 50, 2))
    radius = int(rng.integers(6, 13))
    cv2.circle(picture, (x, y), radius, (250, 240, 230), -1)
    return picture, Frame(x + 0.5, y + 0.5, 4 * radius)


def test_it_learns_where_discs_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    schedule = Schedule(steps=120, batch=16, learning_rate=5e-3, warmup=10, clip=10.0, ema=0.9)
    objective = DetectorObjective(Detector(width=16, blocks=2))
    trainer = train(objective, discs, size=5000, schedule=schedule, out=tmp_path, progress=False)
    model = Detector(width=16, blocks=2)
    model.load_state_dict(trainer.average)
    pictures = [disc(10_000 + n) for n in range(20)]
    finding = measure(model.eval(), [(p, [frame]) for p, frame in pictures])
    assert finding.recall is not None and finding.recall.mean >= 0.8
    assert finding.eyes is not None and finding.eyes.mean < 0.1
    assert finding.roll is not None and finding.roll < 10


class TestMatch:
    def test_each_face_is_met_once_by_the_surest(self) -> None:
        face, other = Frame(50, 50, 40), Frame(150, 50, 40)
        found = [Found(face, 0.9), Found(face, 0.8), Found(Frame(150, 60, 40), 0.7)]
        assert match(found, [other, face]) == {1: 0, 0: 2}

    def test_half_an_overlap_is_the_least(self) -> None:
        face = Frame(50, 50, 40)
        assert match([Found(Frame(50, 50, 40 * 0.72), 1.0)], [face]) == {0: 0}
        assert match([Found(Frame(50, 50, 40 * 0.69), 1.0)], [face]) == {}

    def test_eyes_move_with_the_roll(self) -> None:
        turned = eye_error(Frame(0, 0, 10, 0.1), Frame(0, 0, 10))
        radius = math.hypot(0.118, 0.057)
        assert turned == pytest.approx(2 * math.sin(0.05) * radius, rel=1e-6)


def test_measure_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    face = Frame(30, 30, 40, 0.0)
    answers = [[Found(replace(face, roll=0.1), 0.9), Found(Frame(90, 90, 20), 0.5)], []]
    monkeypatch.setattr(detector_train, "find_faces", lambda model, pixels: answers[pixels[0]])
    finding = measure(Detector(), [(np.array([0]), [face]), (np.array([1]), [face])])
    assert (finding.pictures, finding.faces) == (2, 2)
    assert finding.recall is not None and finding.recall.mean == 0.5
    assert finding.roll == pytest.approx(math.degrees(0.1))
    assert finding.false is not None and finding.false.mean == 0.5


def test_bare_photos_have_no_recall() -> None:
    finding = measure(Detector(width=16, blocks=1).eval(), [(np.zeros((9, 9, 3), np.uint8), [])])
    assert finding.recall is None and finding.eyes is None and finding.faces == 0


def toy(folder: Path) -> Path:
    """Sets in the shared layout, with two made pictures each."""
    rng = np.random.default_rng(0)
    for base, side in (
        ("celeba/images", 96),
        ("lfw/lfw-deepfunneled", 128),
        ("photos/images", 64),
    ):
        (folder / base).mkdir(parents=True)
        for name in ("1.png", "2.png"):
            cv2.imwrite(str(folder / base / name), rng.integers(0, 256, (side, side, 3), np.uint8))
        (folder / base).parent.joinpath("split.csv").write_text(
            "file,split\n1.png,train\n2.png,val"
        )
    return folder


def test_a_run_resumes_exactly_and_loads(tmp_path: Path) -> None:
    data = toy(tmp_path / "data")
    schedule = Schedule(steps=4, batch=2, save_every=2)
    recipe = DetectorRecipe(size=DetectorSize(width=16, blocks=1), schedule=schedule)
    half = replace(recipe, schedule=replace(schedule, steps=2))
    # the rate falls at the end of either: only what is drawn must be the same
    train_detector(recipe, data, tmp_path / "a", progress=False)
    train_detector(recipe, data, tmp_path / "b", progress=False)
    a, b = (checkpoint.load(tmp_path / name)["trainer"]["average"] for name in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    train_detector(half, data, tmp_path / "c", progress=False)
    resumed = train_detector(recipe, data, tmp_path / "c", resume=True, progress=False)
    assert resumed.step == 4
    model = trained_detector(tmp_path / "a")
    assert not model.training and torch.equal(model.heat.weight, a["heat.weight"])


def test_an_exported_detector_loads_as_the_predictor_loads_it(tmp_path: Path) -> None:
    schedule = Schedule(steps=2, batch=2)
    recipe = DetectorRecipe(size=DetectorSize(width=16, blocks=1), schedule=schedule)
    train_detector(recipe, toy(tmp_path / "data"), tmp_path / "run", progress=False)
    model, _ = runtime.load(export(tmp_path / "run"), domain="faces", kinds=KINDS)
    pixels = torch.zeros(1, 3, 64, 64)
    expected = trained_detector(tmp_path / "run")(pixels)[0]
    assert torch.allclose(model(pixels)[0], expected, atol=0.02)  # stored in half precision


def test_the_command_trains_a_detector_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = DetectorRecipe(
        size=DetectorSize(width=16, blocks=1), schedule=Schedule(steps=9, batch=2)
    )
    monkeypatch.setitem(detector_train.DETECTORS, "detector", small)
    parts = {"data": toy(tmp_path / "data"), "out": tmp_path / "run", "device": "cpu"}
    asked = {"recipe": "detector", "steps": 1, "resume": False, "dry_run": False}
    commands.train(Namespace(**parts, **asked))
    config = checkpoint.load(tmp_path / "run")["config"]
    assert (config["recipe"], config["model"]) == ("detector", "detector")
    with pytest.raises(ValueError, match=r"got recipe .eyes., expected one of .*, detector"):
        commands.train(Namespace(**parts, **{**asked, "recipe": "eyes"}))


def test_the_report_has_a_row_for_each_kind(tmp_path: Path) -> None:
    model = Detector(width=16, blocks=1).eval()
    report = detector_train.evaluate_detector(model, toy(tmp_path), scenes=3)
    assert {name: f.pictures for name, f in report.items()} == {"scenes": 3, "lfw": 1, "photos": 1}
    assert report["lfw"].faces == 1 and report["photos"].faces == 0
