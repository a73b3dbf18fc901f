"""Runs of codecs and of laws: what they see, and that they resume exactly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.export import export
from apps.lab import commands, train
from apps.lab.codes_law import encode, fingerprint, load_codec, load_law
from apps.lab.codes_model import Codec
from apps.lab.codes_recipe import CODES, PIXELS
from apps.lab.digits import Digits
from apps.lab.train import cached, train_on, train_recipe
from cvae import checkpoint
from tests.apps.lab.codes_toy import shrink
from tests.apps.lab.toy import asked, steps

CPU = torch.device("cpu")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, steps(2))
    monkeypatch.setattr(train, "ALL", CODES)


@pytest.mark.parametrize("name", ["vq2-16", "vq-16-law-0", "vq2-16-law-0", PIXELS])
def test_a_resumed_run_takes_the_steps_of_an_unbroken_one(
    tiny: None, digits: Digits, tmp_path: Path, name: str
) -> None:
    recipe = replace(CODES[name], schedule=steps(4))
    parts: dict[str, Any] = {"firsts": tmp_path, "progress": False}
    whole = train_on(recipe, digits, tmp_path / "whole", **parts)
    train_on(replace(recipe, schedule=steps(2)), digits, tmp_path / "parts", **parts)
    again = train_on(recipe, digits, tmp_path / "parts", resume=True, **parts)
    for key, value in whole.average.items():
        assert torch.equal(value, again.average[key]), key


class Spied(Exception):
    """Ends a run before its first step."""


def spy(patch: pytest.MonkeyPatch, recipe: str) -> dict[str, Any]:
    """What the loop is handed for a recipe."""
    seen: dict[str, Any] = {}
    loop = train.train

    def spied(objective: Any, fetch: Any, **options: Any) -> Any:
        if options["config"]["recipe"] != recipe:
            return loop(objective, fetch, **options)
        seen.update(objective=objective, fetch=fetch, **options)
        raise Spied

    patch.setattr(train, "train", spied)
    return seen


def test_a_law_sees_the_codes_of_its_exported_codec_and_the_level_above(
    tiny: None, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spy(monkeypatch, "vq2-16-law-0")
    with pytest.raises(Spied):
        train_on(
            CODES["vq2-16-law-0"],
            digits,
            tmp_path / "law",
            firsts=tmp_path,
            name="vq2-16-law-0",
            progress=False,
        )
    codec, _ = load_codec(export(tmp_path / "vq2-16"), CPU)
    fine, coarse = encode(codec, digits)
    rows = torch.tensor([5, 0, 17])
    codes, condition = seen["fetch"](rows)
    assert torch.equal(codes, fine[rows])
    assert torch.equal(condition % 16, coarse[rows])
    assert torch.equal(condition[:, 0, 0] // 16, digits.labels[rows])
    assert seen["config"]["codes"] == fingerprint(codec)


def test_codes_are_found_once_and_the_codec_learns_no_more(
    tiny: None, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: dict[str, Any] = {"firsts": tmp_path, "progress": False}
    train_on(CODES["vq-16"], digits, tmp_path / "vq-16", name="vq-16", **parts)
    before = checkpoint.load(tmp_path / "vq-16")["trainer"]["objective"]
    calls: list[int] = []
    whole = Codec.encode

    def encoded(self: Codec, x: torch.Tensor) -> Any:
        calls.append(len(x))
        return whole(self, x)

    monkeypatch.setattr(Codec, "encode", encoded)
    recipe = replace(CODES["vq-16-law-0"], schedule=steps(8))
    trainer = train_on(recipe, digits, tmp_path / "law", **parts)
    assert sum(calls) == len(digits)  # however many steps there were
    assert not any("quantizer" in name for name in trainer.objective.state_dict())
    after = checkpoint.load(tmp_path / "vq-16")["trainer"]["objective"]
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_pixels_are_the_static_ones_and_pictures_are_grey(
    tiny: None, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {}
    for name in (PIXELS, "vq-16"):
        with monkeypatch.context() as patch, pytest.raises(Spied):
            seen = spy(patch, name)
            train_on(CODES[name], digits, tmp_path, firsts=tmp_path, name=name, progress=False)
        shown[name] = seen["fetch"](torch.arange(5))
    drawn, _ = digits.binarised().tensors(slice(0, 5))
    assert torch.equal(shown[PIXELS], drawn[:, 0].long()) and shown[PIXELS].dtype == torch.int64
    assert torch.equal(shown["vq-16"], digits.tensors(slice(0, 5))[0])


def test_a_law_learns_what_its_class_looks_like(digits: Digits, tmp_path: Path) -> None:
    """The band of a toy digit stands in its codes, and the law says where: given another class
    they are less probable."""
    codec = replace(CODES["vq-16"], schedule=replace(steps(20), learning_rate=0.01, ema=0.9))
    law = replace(CODES["vq-16-law-0"], schedule=replace(codec.schedule, steps=60))
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, codec.schedule)
        small = replace(CODES["vq-16-law-0"].size, width=16, features=16, blocks=2)
        law = replace(law, size=small)
        trained = train_on(law, digits, tmp_path / "law", firsts=tmp_path, progress=False)
        codes = encode(load_codec(export(tmp_path / "vq-16"), CPU)[0], digits)
    model: Any = trained.model.eval()
    with torch.no_grad():
        right = model.log_prob(codes[0], digits.labels)
        wrong = model.log_prob(codes[0], (digits.labels + 5) % 10)
    assert (right > wrong).float().mean() > 0.9


def test_a_law_of_a_codec_that_has_learnt_since_is_refused(
    tiny: None, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "vq-16-law-0"
    parts: dict[str, Any] = {"firsts": tmp_path, "progress": False, "name": name}
    train_on(CODES[name], digits, tmp_path / name, **parts)
    weights = {n: export(tmp_path / n) for n in ("vq-16", name)}
    assert load_law(weights, load_codec(weights["vq-16"], CPU)[0], "vq-16", CPU) is not None
    monkeypatch.setitem(CODES, "vq-16", replace(CODES["vq-16"], schedule=steps(3)))
    with pytest.raises(ValueError, match="the codec has learnt since"):
        train_on(CODES[name], digits, tmp_path / name, resume=True, **parts)
    codec, _ = load_codec(export(tmp_path / "vq-16"), CPU)
    with pytest.raises(ValueError, match="the codec has learnt since"):
        load_law(weights, codec, "vq-16", CPU)


def test_a_dry_run_writes_nothing(tiny: None, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_recipe(CODES["vq-16-law-0"], data, out, dry_run=True, progress=False)
    assert not out.exists()


def test_all_are_trained_once_and_give_pictures(
    tiny: None, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cached(data, tmp_path, device=CPU, training=True, progress=False)
    assert list(found) == list(CODES)
    assert {path.name for path in tmp_path.iterdir()} == set(CODES)
    for name in ("vq-64", "vq2-64"):
        pictures = []
        for _ in range(2):  # from the folders alone
            law = load_law(found, load_codec(found[name], CPU)[0], name, CPU)
            assert law is not None
            pictures.append(law.picture(3, seed=5).tobytes())
        assert pictures[0] == pictures[1]
    monkeypatch.setattr(train, "train_on", None)  # a second time would fail
    assert cached(data, tmp_path, device=CPU, training=False) == found


def test_the_command_trains_a_law_with_its_codec(tiny: None, data: Path, tmp_path: Path) -> None:
    args = asked("vq-16-law-0", data, tmp_path)
    commands.train(args)
    assert checkpoint.load(tmp_path)["trainer"]["step"] == 1
    assert checkpoint.load(tmp_path / "vq-16")["trainer"]["step"] == 2
