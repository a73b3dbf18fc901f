"""Train a recipe of quantized digits: a codec, or after it a law of its codes."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from apps.export import export
from apps.lab.codes_law import check_codes, encode, fingerprint
from apps.lab.codes_model import Codec, told
from apps.lab.codes_recipe import CODES, CodeRecipe
from apps.lab.digits import Digits, load_digits
from apps.training import begun, finished
from cvae import checkpoint
from cvae.training import Fetch, Trainer, train


def train_recipe(
    recipe: CodeRecipe,
    data: Path,
    out: Path,
    *,
    name: str = "",
    device: torch.device | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train on the train split of the digits in `data`; leave the run in `out`.

    A law of codes trains their codec first, in `out`.
    """
    return train_on(
        recipe,
        load_digits(data, "train"),
        out,
        codecs=out,
        name=name,
        device=device,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )


def train_on(
    recipe: CodeRecipe,
    digits: Digits,
    out: Path,
    *,
    codecs: Path,
    name: str = "",
    **options: Any,
) -> Trainer:
    """Train on digits in memory; `options` are those of `cvae.training.train`.

    Args:
        codecs: folder of the runs of codecs, by the names of their recipes; what is not there
            yet is trained there.

    Raises:
        ValueError: a law is to be continued that was begun on the codes of another codec.
    """
    codec = None
    if recipe.codec:
        run = codecs / recipe.codec
        first: dict[str, Any] = {**options, "name": recipe.codec, "resume": begun(run)}
        trained = train_on(CODES[recipe.codec], digits, run, codecs=codecs, **first)
        codec = frozen(trained, recipe.codec)
    config: dict[str, Any] = {
        "domain": "lab",
        "recipe": name,
        "digits": len(digits),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "codec": recipe.codec,
        "codes": fingerprint(codec) if codec is not None else None,
    }
    if codec is not None and options.get("resume"):
        check_codes(out, checkpoint.load(out)["config"], codec)
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    return train(
        recipe.objective(),
        _fetch(recipe, digits, codec),
        size=len(digits),
        schedule=recipe.schedule,
        out=out,
        config=config,
        **options,
    )


def frozen(trained: Trainer, recipe: str) -> Codec:
    """The codec that a run has arrived at, as `export` rounds it: it will give the same codes."""
    codec: Any = CODES[recipe].objective().model
    state = {
        name: value.half().float() if value.is_floating_point() else value
        for name, value in trained.average.items()
    }
    codec.load_state_dict(state)
    return cast(Codec, codec.to(trained.device).eval().requires_grad_(False))


def _fetch(recipe: CodeRecipe, digits: Digits, codec: Codec | None) -> Fetch:
    """What a step is shown: grey pictures, codes with their conditions, or pixels."""
    if codec is not None:
        codes: Any = (*encode(codec, digits), None)  # above the coarsest there is none
        condition = told(digits.labels, codes[recipe.level + 1], recipe.size.above)
        return TensorDataset(codes[recipe.level], condition).__getitem__
    if recipe.model == "codec":
        return _Pictures(digits)
    return _Pixels(digits.binarised())


class _Pictures:
    """Row numbers to grey pictures."""

    def __init__(self, digits: Digits) -> None:
        self.digits = digits

    def __call__(self, rows: Tensor) -> Tensor:
        return self.digits.tensors(rows)[0]


class _Pixels(_Pictures):
    """Row numbers to binary pixels as codes, `(B, 28, 28)` long."""

    def __call__(self, rows: Tensor) -> Tensor:
        return super().__call__(rows)[:, 0].long()


def cached(
    data: Path, cache: Path, *, device: torch.device, training: bool, progress: bool = True
) -> dict[str, Path]:
    """Weights of all recipes by name, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    digits: Digits | None = None
    found = {}
    for name, recipe in CODES.items():
        run = cache / name
        if not finished(run, recipe.schedule.steps):
            if not training:
                continue
            digits = digits or load_digits(data, "train")
            options: dict[str, Any] = {"device": device, "progress": progress}
            options["resume"] = begun(run)
            train_on(recipe, digits, run, codecs=cache, name=name, **options)
        found[name] = export(run)
    return found
