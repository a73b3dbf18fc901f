"""Rivals and the judge are trained once, by their recipes, and share one DCGAN."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from apps import runtime
from apps.faces import rivals, train
from apps.faces.attr2img import Attr2ImgSize
from apps.faces.data import Faces
from apps.faces.layered import LayeredSize
from apps.faces.model import KINDS, ReaderSize, Size
from apps.faces.recipe import RECIPES
from cvae import checkpoint
from cvae.training import Schedule

SIZES = {
    "faces": Size(width=8, latent=8),
    "attr2img": Attr2ImgSize(width=4, latent=8),
    "layered": LayeredSize(width=4, front=6, back=2),
    "reader": ReaderSize(width=8),
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, world: Faces) -> None:
    # a ResNet takes seconds to write
    judge = replace(RECIPES[rivals.JUDGE], model="reader")
    for name, recipe in {rivals.JUDGE: judge, **{n: RECIPES[n] for n in rivals.RIVALS}}.items():
        size = SIZES[recipe.model]
        schedule = Schedule(steps=1, batch=4, warmup=1)
        monkeypatch.setitem(RECIPES, name, replace(recipe, size=size, schedule=schedule))
    monkeypatch.setattr(rivals, "find_faces", lambda data, split: [])
    monkeypatch.setattr(rivals, "load_faces", lambda faces, progress: world)


def test_nothing_is_trained_when_that_is_not_wanted(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert rivals.rivals(tmp_path / "no data", tmp_path, device=cpu, training=False) == {}
    assert list(tmp_path.iterdir()) == []


def test_all_are_trained_once_and_dcgan_for_two(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    judges: list[Any] = []

    def spy(*args: Any, **options: Any) -> Any:
        judges.append(judge_of(*args, **options))
        return judges[-1]

    judge_of = train.judge_of
    monkeypatch.setattr(train, "judge_of", spy)
    found = rivals.rivals(tmp_path, tmp_path, device=cpu, training=True, progress=False)
    assert list(found) == [rivals.JUDGE, *rivals.RIVALS]
    for path in found.values():
        runtime.load(path, domain="faces", kinds=KINDS)
    assert not (tmp_path / "vae-dis" / "dcgan").exists()
    (judge,) = judges
    trained = checkpoint.load(tmp_path / "dcgan")["trainer"]["objective"]
    for name, value in judge.state_dict().items():
        assert torch.equal(value, trained[f"objective.discriminator.{name}"]), name
    monkeypatch.setattr(rivals, "train_on", None)  # a second time would fail
    again = rivals.rivals(tmp_path, tmp_path, device=cpu, training=False)
    assert again == found


def test_what_is_unfinished_is_continued_and_without_training_left_out(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(rivals, "RIVALS", {"vae": "VAE"})
    rivals.rivals(tmp_path, tmp_path, device=cpu, training=True, progress=False)
    longer = replace(RECIPES["vae"], schedule=Schedule(steps=2, batch=4, warmup=1))
    monkeypatch.setitem(RECIPES, "vae", longer)
    assert list(rivals.rivals(tmp_path, tmp_path, device=cpu, training=False)) == ["evaluator"]
    rivals.rivals(tmp_path, tmp_path, device=cpu, training=True, progress=False)
    assert checkpoint.load(tmp_path / "vae")["trainer"]["step"] == 2
