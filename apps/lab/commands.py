"""The commands of the lab. Heavy modules are imported only once a command runs."""

import argparse


def register(commands: argparse._SubParsersAction) -> None:
    """Digits bring no command of their own: they are trained and measured."""


def train(args: argparse.Namespace) -> None:
    """Train a recipe, alone or under torchrun."""
    from apps.lab import codes_train, train
    from apps.lab.codes_recipe import CODES
    from apps.lab.recipe import RECIPES
    from apps.training import train as run

    module = codes_train if args.recipe in CODES else train
    run(args, recipes={**RECIPES, **CODES}, train_recipe=module.train_recipe)


def evaluate(args: argparse.Namespace) -> None:
    """Print and save measured figures beside published ones; train what the cache lacks."""
    from apps.lab import codes_train
    from apps.lab.evaluate import evaluate as run
    from apps.lab.train import cached
    from apps.runtime import pick_device

    if args.model:
        raise ValueError(f"got --model {args.model}, expected none: the core measures its recipes")
    device, training = pick_device(args.device), not args.no_training
    run(
        args.data,
        out=args.out,
        weights=cached(args.data, args.cache, device=device, training=training),
        quantized=codes_train.cached(args.data, args.cache, device=device, training=training),
        split=args.split,
        device=args.device,
        limit=args.limit,
    )


def bench(args: argparse.Namespace) -> None:
    """Print training speed and memory beside bare PyTorch, pythae and Pyro."""
    from apps.lab.bench import bench as run

    if args.device not in ("auto", "cpu"):
        raise ValueError(f"got --device {args.device}, expected cpu: peers are compared there")
    run()
