"""The command line. Nothing heavy is imported here: each command imports what it needs."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

# What commands call a domain, and its package.
DOMAINS = {
    "colorization": "apps.colorization",
    "faces": "apps.faces",
    "motion": "apps.motion",
    "core": "apps.lab",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 for what failed, 2 for a wrong call.

    Example:
        >>> main(["export", "no/such/run"])
        1
    """
    args = parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except (ValueError, OSError) as error:
        print(f"perhaps: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("perhaps: stopped", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="perhaps", description="One input, several plausible outputs, most probable first."
    )
    top.add_argument("--version", action="version", version=f"perhaps {_version()}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _serve(commands)
    for domain in DOMAINS:
        _commands(domain).register(commands)
    _train(commands)
    _stats(commands)
    _export(commands)
    _evaluate(commands)
    _bench(commands)
    return top


def _serve(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("serve", help="open the page in a browser on this machine")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    p.add_argument("--port", type=int, default=7860, help="port (%(default)s)")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=_run_serve)


def _train(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("train", help="train a model, on one's own data too")
    p.add_argument("name", choices=DOMAINS)
    p.add_argument("--recipe", default="small", help="a recipe of that domain (%(default)s)")
    p.add_argument("--data", type=Path, required=True, help="folder with the unpacked sets")
    p.add_argument("--out", type=Path, required=True, help="folder of the run")
    p.add_argument("--resume", action="store_true", help="continue the run in --out")
    p.add_argument(
        "--steps", type=int, help="instead of the recipe's; a resumed run may be longer"
    )
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.add_argument("--dry-run", action="store_true", help="two steps, nothing written")
    p.set_defaults(run=lambda args: _commands(args.name).train(args))


def _stats(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("stats", help="what a run has written of itself, as curves and bars")
    p.add_argument("run_folder", metavar="RUN", type=Path)
    p.add_argument("-o", "--out", type=Path, help="where to (RUN/plots)")
    p.set_defaults(run=_run_stats)


def _export(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("export", help="a run's weights as a folder like those in pretrained/")
    p.add_argument("run_folder", metavar="RUN", type=Path)
    p.add_argument("-o", "--out", type=Path, help="where to (RUN/export)")
    p.add_argument("--card", type=Path, help="model card, Markdown (the facts of the run)")
    p.set_defaults(run=_run_export)


def _evaluate(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("evaluate", help="a model beside its baselines, on held-out data")
    p.add_argument("name", choices=DOMAINS)
    p.add_argument("--data", type=Path, required=True, help="folder with the unpacked sets")
    p.add_argument("--out", type=Path, required=True, help="folder for tables and plots")
    p.add_argument("--cache", type=Path, required=True, help="folder for trained baselines")
    p.add_argument(
        "--no-training", action="store_true", help="only the baselines that the cache holds"
    )
    p.add_argument("--split", choices=("test", "val"), default="test")
    p.add_argument("--limit", type=int, help="at most so many pictures a set")
    p.add_argument("--model", default=None, help="shipped name or folder of weights")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=lambda args: _commands(args.name).evaluate(args))


def _bench(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("bench", help="seconds and memory on this machine")
    p.add_argument("name", choices=DOMAINS)
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=lambda args: _commands(args.name).bench(args))


def _run_serve(args: argparse.Namespace) -> None:
    from apps.web import serve

    serve(host=args.host, port=args.port, device=args.device)


def _run_stats(args: argparse.Namespace) -> None:
    from apps.diagnostics import run

    run(args)


def _run_export(args: argparse.Namespace) -> None:
    from apps.export import export

    print(export(args.run_folder, args.out, card=args.card))


def _commands(domain: str) -> ModuleType:
    return import_module(f"{DOMAINS[domain]}.commands")


def _version() -> str:
    try:
        return version("perhaps")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
