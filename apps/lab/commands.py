"""The commands of the lab. Heavy modules are imported only once a command runs."""

import argparse

from apps.lab import latent_commands


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps latent …`; models of the lab are trained and measured like all others."""
    latent_commands.register(commands)


def train(args: argparse.Namespace) -> None:
    """Train a recipe, alone or under torchrun."""
    from apps.lab.train import ALL, train_recipe
    from apps.training import train as run

    run(args, recipes=ALL, train_recipe=train_recipe)


def evaluate(args: argparse.Namespace) -> None:
    """Print and save measured figures beside published ones; train what the cache lacks."""
    from apps.lab.evaluate import evaluate as run
    from apps.lab.train import cached
    from apps.runtime import pick_device

    if args.model:
        raise ValueError(f"got --model {args.model}, expected none: the core measures its recipes")
    device = pick_device(args.device)
    run(
        args.data,
        out=args.out,
        weights=cached(args.data, args.cache, device=device, training=not args.no_training),
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
