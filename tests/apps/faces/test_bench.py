"""The benchmark of the faces runs on tiny networks, and says what it was asked for."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from apps.faces import bench
from apps.faces.attributes import OFFERED
from apps.faces.copula import Copula
from apps.faces.model import Size, build
from apps.faces.recipe import RECIPES
from cvae.training import Schedule
from pretrained import store

SIZE = Size(width=8, latent=8)


def test_faces_and_training_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    labels = torch.rand(50, len(OFFERED)) < 0.5
    config = {
        "domain": "faces",
        "model": "faces",
        "size": asdict(SIZE),
        "copula": Copula.fit(labels.numpy()).to_config(),
    }
    store.save(tmp_path, state=build(SIZE).state_dict(), config=config, card="# test\n")
    tiny = replace(RECIPES["small"], size=SIZE, schedule=Schedule(steps=1, batch=2))
    monkeypatch.setitem(RECIPES, "small", tiny)
    monkeypatch.setattr(bench, "KS", (1, 3))
    text = bench.bench(device="cpu", model=tmp_path)
    assert capsys.readouterr().out == text + "\n"
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows == [
        *("faces", "---", "1", "3", "loading the weights"),
        *("training, recipe small", "---", "forward and backward alone", "whole step"),
    ]
