"""Every kind of model goes the whole way: train, export, load, colour."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps import cli
from apps.colorization import recipe
from apps.colorization.divcolor import DivcolorSize
from apps.colorization.divcolor_objective import DivcolorWeights
from apps.colorization.model import KINDS, Size, build
from apps.colorization.objective import Objective
from apps.colorization.predict import Colorizer, load
from apps.colorization.recipe import ELBO, RECIPES, Recipe
from cvae import checkpoint
from cvae.training import Schedule
from pretrained import store

TWO_STEPS = Schedule(steps=2, batch=2, log_every=1, save_every=1)
SMALL = Size(width=8, palette=3, spatial=1, components=2, rank=2)
TINY = {
    "mixture": Recipe(SMALL, TWO_STEPS),
    "gaussian": Recipe(SMALL, TWO_STEPS, ELBO, "gaussian"),
    "divcolor": Recipe(DivcolorSize(width=8), TWO_STEPS, DivcolorWeights(steps=2), "divcolor"),
}


def test_every_recipe_is_of_a_known_kind() -> None:
    assert set(TINY) == set(KINDS) == set(recipe.OBJECTIVES)
    for name, known in RECIPES.items():
        assert known.model in KINDS, name
        if "full" not in name and name != "base":  # those are made for a GPU
            known.objective()


@pytest.mark.parametrize("kind", TINY)
def test_train_export_load_colour(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipe.RECIPES, "tiny", TINY[kind])
    random = np.random.default_rng(0)
    (tmp_path / "data/mine").mkdir(parents=True)
    for i in range(4):
        pixels = random.integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/mine/{i}.png")
    lines = "".join(f"{i}.png,train\n" for i in range(4))
    (tmp_path / "data/mine/split.csv").write_text("file,split\n" + lines)
    run = tmp_path / "run"
    train = ["train", "colorization", "--recipe", "tiny", "--data", str(tmp_path / "data")]
    train += ["--out", str(run), "--device", "cpu"]
    assert cli.main(train) == 0
    assert cli.main([*train, "--resume", "--steps", "3"]) == 0
    saved = checkpoint.load(run)
    assert saved["config"]["model"] == kind
    assert all(torch.isfinite(v).all() for v in saved["trainer"]["average"].values())
    assert cli.main(["export", str(run)]) == 0
    assert json.loads((run / "export/config.json").read_text())["model"] == kind

    model = load(run / "export")
    assert type(model.prior) is type(KINDS[kind].build(TINY[kind].size).prior)
    for name, value in model.state_dict().items():
        assert torch.allclose(
            value.float(), saved["trainer"]["average"][name].float(), rtol=2e-3, atol=1e-6
        ), name
    colorizer = Colorizer.from_pretrained(run / "export", device="cpu")
    photo = random.integers(0, 256, (40, 60), np.uint8)
    for temperature in (None, 0.5):
        answer = colorizer(photo, k=2, seed=1, temperature=temperature)
        assert [x.shape for x in answer.images] == [(40, 60, 3)] * 2
        assert sum(answer.probabilities) == pytest.approx(1)


def test_an_unknown_kind_is_one_clear_error(tmp_path: Path) -> None:
    config = {"domain": "colorization", "model": "flow", "size": {}}
    store.save(tmp_path, state={"w": torch.ones(1)}, config=config, card="#")
    with pytest.raises(store.WeightsError, match=r"flow.*mixture, gaussian, divcolor"):
        load(tmp_path)


def test_recipes_keep_the_first_weights_of_a_run() -> None:
    """A run begun before there were kinds is continued with the same objective."""
    known = TINY["mixture"]
    torch.manual_seed(known.schedule.seed)
    objective = known.objective()
    torch.manual_seed(known.schedule.seed)
    model = build(SMALL)
    assert type(objective) is Objective and asdict(objective.weights) == asdict(known.weights)
    state = objective.model.state_dict()
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
