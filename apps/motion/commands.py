"""The motion commands. Heavy modules are imported only once a command runs."""

import argparse
import sys
from pathlib import Path


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps forecast` and `perhaps data motion`."""
    p = commands.add_parser("forecast", help="a still to several ways in which it may move")
    p.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="pictures or folders")
    p.add_argument("-o", "--out", type=Path, required=True, help="folder for the answers")
    p.add_argument("-k", type=int, default=5, help="answers a picture (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="the same seed, the same answers")
    p.add_argument(
        "--strength", type=float, default=1.0, help="factor on the motion that is shown"
    )
    p.add_argument("--mask", type=Path, help="a picture, bright where one PATH may move")
    p.add_argument("--format", choices=("gif", "mp4"), default="gif", help="of the animations")
    p.add_argument("--model", default="motion", help="shipped name or folder of weights")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=forecast)
    made = commands.add_parser("data", help="prepare data for training and measuring")
    domains = made.add_subparsers(title="domains", required=True, metavar="DOMAIN")
    p = domains.add_parser("motion", help="clips to a cache of one-second windows")
    p.add_argument(
        "clips", metavar="CLIPS", type=Path, help="folder of videos, with a split.csv or without"
    )
    p.add_argument("-o", "--out", type=Path, required=True, help="folder of the cache")
    p.add_argument("--split", help="only the clips of train, val or test")
    p.add_argument(
        "--short-side",
        type=int,
        default=160,
        help="of the frame flow is measured in (%(default)s)",
    )
    p.add_argument(
        "--stride", type=float, default=0.25, help="seconds between windows (%(default)s)"
    )
    p.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    p.set_defaults(run=data)


def forecast(args: argparse.Namespace) -> int:
    """Forecast every picture; a bad one is reported in a line and the others go on."""
    from tqdm import tqdm

    from apps import images, outputs, runtime
    from apps.motion.predict import Forecaster, allowed
    from apps.motion.write import write

    runtime.check("strength", args.strength, 0, 3)
    paths = images.find(args.paths, exclude=args.out)
    if args.mask is not None and len(paths) != 1:
        raise ValueError(f"got --mask and {len(paths)} pictures, expected one")
    forecaster = Forecaster.from_pretrained(args.model, device=args.device)
    failed = 0
    for path, folder in tqdm(outputs.folders(paths, args.out), unit="photo", disable=None):
        try:
            pixels = images.read(path).pixels
            mask = args.mask and allowed(images.read(args.mask).pixels, pixels.shape[:2])
            found = forecaster(pixels, k=args.k, seed=args.seed)
        except images.ImageError as error:
            failed += 1
            tqdm.write(f"perhaps: {error}", file=sys.stderr)
            continue
        files = write(folder, pixels, found, form=args.format, strength=args.strength, mask=mask)
        outputs.write_samples(
            folder,
            source=path,
            seed=found.seed,
            model=str(args.model),
            temperature=None,
            files=files,
            probabilities=found.probabilities.tolist(),
            asked={"strength": args.strength, "mask": args.mask and str(args.mask)},
        )
    if not paths:
        print("perhaps: got no pictures in what was named", file=sys.stderr)
    return 1 if failed or not paths else 0


def data(args: argparse.Namespace) -> None:
    """Measure the motion of clips and say in three lines what came of it."""
    from apps.motion.cache import build
    from apps.motion.clips import find_clips

    clips = [clip for clip in find_clips(args.clips) if args.split in (None, clip.split)]
    if not clips:
        raise ValueError(f"got no clips of split {args.split!r}, expected train, val or test")
    built = build(
        clips, args.out, stride=args.stride, short_side=args.short_side, workers=args.workers
    )
    print(f"{built.windows} windows of {built.clips} clips in {args.out}")
    print(f"{built.resumed} clips were there before; {built.unsteady} unsteady windows left out")
    print(f"{len(built.skipped)} clips skipped")


def train(args: argparse.Namespace) -> None:
    """Train a recipe on a cache of windows, alone or under torchrun."""
    from apps.motion.recipe import RECIPES
    from apps.motion.train import train_recipe
    from apps.training import train as run

    run(args, recipes=RECIPES, train_recipe=train_recipe)


def evaluate(args: argparse.Namespace) -> None:
    """Print and save the tables of a cache of windows; train the rivals that `--cache` lacks."""
    from apps.motion.evaluate import evaluate as measure
    from apps.motion.rivals import plan_of, rivals
    from apps.training import evaluate as run

    run(args, model="motion", evaluate=measure, rivals=rivals, plan_of=plan_of)


def bench(args: argparse.Namespace) -> None:
    """Print seconds and memory."""
    from apps.motion.bench import bench as run

    run(device=args.device)
