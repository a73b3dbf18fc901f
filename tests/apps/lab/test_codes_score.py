"""A classifier knows of real digits what it has been shown, and no more."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from apps.lab.codes_recipe import PASSES, pupil
from apps.lab.codes_score import accuracy_score, classes_in_turn, taught
from apps.lab.digits import Digits
from apps.lab.measure import Plan
from apps.lab.recipe import RECIPES
from tests.apps.lab.toy import SIZES

PLAN = Plan(samples=150)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPES["classifier"], size=SIZES["classifier"])
    monkeypatch.setitem(RECIPES, "classifier", recipe)


def part(digits: Digits, start: int, stop: int) -> Digits:
    rows = slice(start, stop)
    return Digits(digits.pixels[rows], digits.labels[rows], digits.numbers[rows])


def test_who_draws_the_class_scores_and_who_does_not_scores_by_chance(digits: Digits) -> None:
    x, labels = digits.tensors(torch.arange(150).repeat(3))
    held = part(digits, 150, 220)
    good = accuracy_score(x, labels, held, PLAN)
    lot = labels[torch.randperm(len(x), generator=PLAN.generator())]
    bad = accuracy_score(x, lot, held, PLAN)
    assert good.mean > 0.7 and good.low > bad.high and bad.mean < 0.4


def test_a_class_that_is_never_drawn_is_never_recognised(digits: Digits) -> None:
    x, labels = digits.tensors(slice(None))
    model = taught(x[labels < 5], labels[labels < 5])
    with torch.no_grad():
        assert (model(x[labels >= 5]).argmax(1) < 5).all()


def test_the_budget_is_the_same_for_as_many_pictures_and_the_lot_is_left_alone(
    digits: Digits,
) -> None:
    assert pupil(5000).schedule.steps * pupil(5000).schedule.batch == PASSES * 5000
    assert pupil(20).schedule.batch == 20
    x, labels = digits.first(20).tensors(slice(None))
    torch.manual_seed(3)
    first: Any = taught(x, labels).state_dict()
    following = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), following)
    again: Any = taught(x, labels).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_classes_are_asked_for_in_turn() -> None:
    assert classes_in_turn(25).bincount().tolist() == [3] * 5 + [2] * 5
