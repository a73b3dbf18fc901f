"""The colorization commands. Heavy modules are imported only once a command runs."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps colorize`."""
    p = commands.add_parser("colorize", help="grey photos to several plausible colour photos")
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="pictures or folders")
    p.add_argument("-o", "--out", type=Path, required=True, help="folder for the answers")
    p.add_argument("-k", type=int, default=8, help="answers a picture (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="the same seed, the same answers")
    p.add_argument(
        "--temperature", type=float, help="plain samples with this much noise (1: as the model)"
    )
    p.add_argument("--model", default="colorization", help="shipped name or folder of weights")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=colorize)


def colorize(args: argparse.Namespace) -> int:
    """Colour every picture; a bad one is reported in a line and the others go on."""
    from tqdm import tqdm

    from apps import images, outputs
    from apps.colorization.predict import Colorizer

    paths = images.find(args.paths, exclude=args.out)
    colorizer = Colorizer.from_pretrained(args.model, device=args.device)
    failed = 0
    for path, folder in tqdm(outputs.folders(paths, args.out), unit="photo", disable=None):
        try:
            answer = colorizer(path, k=args.k, seed=args.seed, temperature=args.temperature)
        except images.ImageError as error:
            failed += 1
            tqdm.write(f"perhaps: {error}", file=sys.stderr)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        outputs.clear(folder, ".png")
        files = [f"{i}.png" for i in range(1, len(answer.images) + 1)]
        encode = partial(images.encode_png, alpha=answer.alpha)
        with ThreadPoolExecutor() as pool:
            for name, data in zip(files, pool.map(encode, answer.images), strict=True):
                (folder / name).write_bytes(data)
        outputs.write_samples(
            folder,
            source=path,
            seed=answer.seed,
            model=str(args.model),
            temperature=args.temperature,
            files=files,
            probabilities=answer.probabilities,
        )
    if not paths:
        print("perhaps: got no pictures in what was named", file=sys.stderr)
    return 1 if failed or not paths else 0


def train(args: argparse.Namespace) -> None:
    """Train a recipe, alone or under torchrun."""
    from apps.colorization.recipe import RECIPES
    from apps.colorization.train import train_recipe
    from apps.training import train as run

    run(args, recipes=RECIPES, train_recipe=train_recipe)


def evaluate(args: argparse.Namespace) -> None:
    """Print and save the table; train the rivals that the cache lacks."""
    from apps.colorization.evaluate import evaluate as measure
    from apps.colorization.rivals import plan_of, rivals
    from apps.training import evaluate as run

    run(args, model="colorization", evaluate=measure, rivals=rivals, plan_of=plan_of)


def bench(args: argparse.Namespace) -> None:
    """Print seconds and memory."""
    from apps.colorization.bench import bench as run

    run(device=args.device)
