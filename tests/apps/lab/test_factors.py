"""Sprites to learn from: their splits, and what is learnt from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from apps.lab.factors import HELD, PICTURES, TRAINED, SpriteSplit, load_sprites
from apps.lab.objective import Elbo, TotalCorrelation
from apps.lab.recipe import RECIPES, WEIGHTS
from apps.lab.sprites import SIZES, index
from apps.lab.train import examples, train_on
from cvae import checkpoint
from tests.apps.lab.toy import shrink, steps

SWEEP = [f"{kind}-{beta}" for kind, betas in WEIGHTS.items() for beta in betas]


@pytest.fixture(scope="module")
def splits() -> dict[str, SpriteSplit]:
    return {split: load_sprites(split) for split in ("train", "val", "test")}


def test_every_different_picture_is_in_one_split(splits: dict[str, SpriteSplit]) -> None:
    assert [len(split) for split in splits.values()] == [TRAINED, HELD, HELD]
    numbers = torch.cat([split.numbers for split in splits.values()])
    assert len(numbers.unique()) == PICTURES == 718_848
    turns = numbers // (SIZES[3] * SIZES[4]) % SIZES[2]
    assert (
        len(turns.unique()) == 39 and int(turns.max()) == 38
    )  # the last shows what the first does


def test_held_out_combinations_are_a_lot(splits: dict[str, SpriteSplit]) -> None:
    known = splits["test"].tensors(slice(0, 4000))[1].double()
    middle = (torch.tensor([*SIZES[:2], 39, *SIZES[3:]]).double() - 1) / 2
    assert ((known.mean(0) - middle).abs() < 0.1 * middle).all()
    assert torch.equal(load_sprites("test").numbers, splits["test"].numbers)


def test_a_batch_is_a_function_of_row_numbers(splits: dict[str, SpriteSplit]) -> None:
    train = splits["train"]
    rows = torch.tensor([7, 600_000, 7])
    x, known = train.tensors(rows)
    assert x.shape == (3, 1, 64, 64) and set(x.unique().tolist()) == {0, 1}
    assert torch.equal(index(known), train.numbers[rows])
    assert torch.equal(x, train.sprites.render(known)) and torch.equal(x[0], x[2])
    few = train.first(5).binarised()
    assert len(few) == 5 and torch.equal(
        few.tensors(slice(None))[0], train.tensors(slice(0, 5))[0]
    )


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'all', expected one of train, val, test"):
        load_sprites("all")


def test_a_recipe_says_what_it_learns_from(data: Path) -> None:
    assert isinstance(examples(RECIPES["tc-4"].data, Path("no folder")), SpriteSplit)
    assert len(examples(RECIPES["ae"].data, data)) == 220


def test_the_sweep_differs_in_the_objective_alone(splits: dict[str, SpriteSplit]) -> None:
    first = RECIPES["beta-1"]
    for name in SWEEP:
        recipe: Any = RECIPES[name]
        assert replace(recipe, loss=first.loss) == first
        assert name.endswith(f"-{recipe.loss.beta}")
        if name.startswith("tc"):
            assert recipe.loss.examples == len(splits["train"])


@pytest.mark.parametrize("name", ["beta-4", "tc-4"])
def test_a_resumed_run_takes_the_steps_of_an_unbroken_one(
    splits: dict[str, SpriteSplit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shrink(monkeypatch, steps(4))
    recipe, few = RECIPES[name], splits["train"].first(60)
    parts: dict[str, Any] = {"firsts": tmp_path, "progress": False}
    whole = train_on(recipe, few, tmp_path / "whole", **parts)
    train_on(replace(recipe, schedule=steps(2)), few, tmp_path / "parts", **parts)
    again = train_on(recipe, few, tmp_path / "parts", resume=True, **parts)
    for key, value in whole.average.items():
        assert torch.equal(value, again.average[key]), key
    assert checkpoint.load(tmp_path / "parts")["config"]["sprites"] == 60


def test_the_total_correlation_is_added_to_the_bound(
    splits: dict[str, SpriteSplit], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With β = 1 nothing; with more, the part above 1."""
    shrink(monkeypatch, steps(1))
    torch.manual_seed(0)
    task = RECIPES["beta-1"].objective()
    batch, losses, found = splits["train"].tensors(slice(0, 20)), {}, {}
    kinds: dict[str, Any] = {
        "bound": Elbo(),
        "one": TotalCorrelation(1, examples=TRAINED),
        "five": TotalCorrelation(5, examples=TRAINED),
    }
    for name, loss in kinds.items():
        task.loss = loss
        losses[name], found[name] = task(batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(losses["one"], losses["bound"])
    torch.testing.assert_close(losses["five"], losses["bound"] + 4 * found["five"]["tc"])
    assert torch.equal(found["five"]["nll"], found["bound"]["nll"])


def test_pictures_of_different_places_are_told_apart_after_a_few_steps(
    splits: dict[str, SpriteSplit],
) -> None:
    """The networks learn: pictures are likelier than by the mean picture alone."""
    x, known = splits["train"].tensors(slice(0, 8))
    torch.manual_seed(0)
    task = RECIPES["beta-1"].objective()
    optimizer = torch.optim.Adam(task.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        loss, stats = task((x, known), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean = x.mean(0, keepdim=True).expand_as(x)
    alone = torch.nn.functional.binary_cross_entropy(mean, x, reduction="sum") / len(x)
    assert stats["nll"] < 0.8 * alone
