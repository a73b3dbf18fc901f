"""Train a recipe of the lab, after the one that it builds on; keep a cache of all of them."""

from collections import ChainMap
from collections.abc import MutableMapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from apps.lab.codes_law import check_codes
from apps.lab.codes_recipe import CODES, CodeRecipe
from apps.lab.lessons import Examples, examples, lesson
from apps.lab.recipe import RECIPES, Recipe
from apps.training import begun, trained_once
from cvae import checkpoint
from cvae.training import Trainer, train

ALL: MutableMapping[str, Any] = ChainMap(RECIPES, CODES)


def train_recipe(recipe: Recipe | CodeRecipe, data: Path, out: Path, **options: Any) -> Trainer:
    """Train on the train split of the digits in `data`, or of sprites; leave the run in `out`.

    A recipe that comes after another trains that one first, in `out`. `options` are those of
    `train_on`.
    """
    return train_on(recipe, examples(recipe.data, data), out, firsts=out, **options)


def train_on(
    recipe: Recipe | CodeRecipe,
    shown: Examples,
    out: Path,
    *,
    firsts: Path,
    name: str = "",
    **options: Any,
) -> Trainer:
    """Train on examples in memory; `options` are those of `cvae.training.train`.

    Args:
        firsts: folder of the runs that others come after, by the names of their recipes; what is
            not there yet is trained there.

    Raises:
        ValueError: a law is to be continued that was begun on the codes of another codec.
    """
    first = None
    if recipe.after:
        run = firsts / recipe.after
        own: dict[str, Any] = {**options, "name": recipe.after, "resume": begun(run)}
        first = train_on(ALL[recipe.after], shown, run, firsts=firsts, **own)
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    learnt = lesson(recipe, shown, first)
    config: dict[str, Any] = {
        "domain": "lab",
        "recipe": name,
        recipe.data: len(shown),
        "model": recipe.model,
        "size": asdict(recipe.size),
        **learnt.facts,
    }
    if options.get("resume"):
        check_codes(out, checkpoint.load(out)["config"], learnt.facts.get("codes"))
    return train(
        learnt.objective,
        learnt.fetch,
        size=len(shown),
        schedule=recipe.schedule,
        out=out,
        config=config,
        **options,
    )


def cached(data: Path, cache: Path, **options: Any) -> dict[str, Path]:
    """Weights of all recipes by name, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, as `trained_once` tells, whose
    `options` these are. Pictures are read once, and only if something is to be trained.
    """
    shown = lru_cache(examples)

    def fit(recipe: Recipe | CodeRecipe, data: Path, run: Path, **how: Any) -> None:
        train_on(recipe, shown(recipe.data, data), run, firsts=cache, **how)

    return trained_once(ALL, ALL, fit, data, cache, **options)
