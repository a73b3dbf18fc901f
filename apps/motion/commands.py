"""The motion commands. Heavy modules are imported only once a command runs."""

import argparse
from pathlib import Path


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps data motion`."""
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
