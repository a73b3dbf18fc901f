"""`perhaps latent …`: the tools of the latent space. Heavy modules wait until a command runs."""

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from apps.lab.predict import LatentLab

MAPPED = 2000  # digits of a set that are shown on a map


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps latent …`."""
    latent = commands.add_parser("latent", help="what a latent space holds: walk, mix, complete")
    uses = latent.add_subparsers(title="uses", required=True, metavar="USE")
    p = _use(uses, sample, "sample", "pictures that never were")
    p.add_argument("-k", type=int, default=16, help="how many (%(default)s)")
    p = _use(uses, traverse, "traverse", "one dimension a row, all else held")
    _photo(p)
    p.add_argument("--dims", help="A,B,… (those in use, most first)")
    _steps(p, 9)
    p.add_argument("--reach", type=float, default=2.5, help="as far from 0 (%(default)s)")
    p = _use(uses, manifold, "manifold", "two dimensions at once")
    p.add_argument("--dims", help="A,B (the two that carry most)")
    _steps(p, 15)
    p = _use(uses, interpolate, "interpolate", "from one picture to another")
    p.add_argument("photos", metavar="PHOTO", type=Path, nargs=2)
    _steps(p, 9)
    p.add_argument("--straight", action="store_true", help="on a line, not on the arc")
    _photo(_use(uses, classes, "classes", "one style in all ten classes"))
    p = _use(uses, arithmetic, "arithmetic", "add to a picture what some have and others lack")
    _photo(p, nargs=None)
    p.add_argument("--plus", metavar="PHOTO", type=Path, nargs="+", required=True, help="have it")
    p.add_argument("--minus", metavar="PHOTO", type=Path, nargs="+", required=True, help="lack it")
    _steps(p, 5)
    p.add_argument("--strength", type=float, default=1.0, help="of the last step (%(default)s)")
    p = _use(uses, complete, "complete", "fill what a mask hides of a picture")
    _photo(p, nargs=None)
    p.add_argument("--mask", type=Path, required=True, help="white where the picture is hidden")
    p.add_argument("-k", type=int, default=4, help="how many (%(default)s)")
    p = _use(uses, chart, "map", "where pictures lie, a colour for each folder")
    p.add_argument("photos", metavar="PHOTO", type=Path, nargs="*", help="pictures or folders")
    p.add_argument("--data", type=Path, help="instead: test digits of this folder, by class")
    p.add_argument("--limit", type=int, default=MAPPED, help="at most so many of them")
    p.add_argument("--tsne", action="store_true", help="neighbours, not principal axes")


def _use(uses: argparse._SubParsersAction, run: Any, name: str, says: str) -> Any:
    p = uses.add_parser(name, help=says)
    p.add_argument("-o", "--out", type=Path, required=True, help="folder for the answers")
    p.add_argument("--class", dest="label", type=int, help="0 to 9, where the model is told it")
    p.add_argument("--seed", type=int, default=0, help="the same seed, the same answers")
    p.add_argument("--model", default="lab-digits", help="shipped name or folder of weights")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=run)
    return p


def _photo(p: argparse.ArgumentParser, nargs: str | None = "?") -> None:
    says = "of a digit or shape" + (" (a draw by the seed)" if nargs else "")
    p.add_argument("photo", metavar="PHOTO", type=Path, nargs=nargs, help=says)


def _steps(p: argparse.ArgumentParser, steps: int) -> None:
    p.add_argument("--steps", type=int, default=steps, help="pictures on the way (%(default)s)")


def sample(args: argparse.Namespace) -> None:
    """Write k samples of the prior and their sheet."""
    lab = _lab(args)
    _write(args, lab.sample(args.k, args.label, seed=args.seed), sheet=True)


def traverse(args: argparse.Namespace) -> None:
    """Write a strip for each dimension, and all of them as one sheet."""
    lab = _lab(args)
    z, label = _start(lab, args)
    dims = lab.used if args.dims is None else _dims(args.dims)
    rows = lab.traverse(z, dims, steps=args.steps, reach=args.reach, labels=label)
    _write(args, [row[None] for row in rows], sheet=rows)
    print(f"dimensions, from above: {', '.join(map(str, dims))}")


def manifold(args: argparse.Namespace) -> None:
    """Write the sheet of two dimensions."""
    lab = _lab(args)
    dims = lab.order[:2] if args.dims is None else _dims(args.dims)
    if len(dims) != 2:
        raise ValueError(f"got --dims {args.dims}, expected two: A,B")
    _write(args, [lab.manifold(args.steps, (dims[0], dims[1]), labels=args.label)])


def interpolate(args: argparse.Namespace) -> None:
    """Write the steps from one picture to the other, side by side too."""
    from cvae.latent import linear, spherical

    lab = _lab(args)
    labels = _label(lab, args, args.photos)
    z = lab.encode(args.photos, labels)
    way = linear if args.straight else spherical
    steps = lab.interpolate(z, labels, steps=args.steps, way=way)
    _write(args, steps, sheet=steps[None])


def classes(args: argparse.Namespace) -> None:
    """Write one style in every class, side by side too."""
    lab = _lab(args)
    z, _ = _start(lab, args)
    found = lab.classes(z)
    _write(args, found, sheet=found[None])


def arithmetic(args: argparse.Namespace) -> None:
    """Write a picture with more and more of a direction, side by side too."""
    import numpy as np

    from apps.images import find

    lab = _lab(args)
    z, label = _start(lab, args)
    step = lab.direction(find(args.plus), find(args.minus))
    along = z + np.linspace(0, args.strength, args.steps)[:, None] * step
    steps = lab.decode(along, label)
    _write(args, steps, sheet=steps[None])


def complete(args: argparse.Namespace) -> None:
    """Write k ways to fill what is hidden, side by side too."""
    found = _lab(args).complete(args.photo, args.mask, args.k, args.label, seed=args.seed)
    _write(args, found.images, sheet=found.images[None])
    if found.labels is not None:
        print(f"classes, likeliest first: {', '.join(map(str, found.labels))}")


def chart(args: argparse.Namespace) -> None:
    """Write where pictures lie as a plot and as `map.csv`."""
    from functools import partial

    from apps.lab.latent_figures import scatter
    from cvae.projection import pca, tsne

    names, pictures, groups = _mapped(args)
    flat = partial(tsne, perplexity=min(30, len(names) / 4), seed=args.seed) if args.tsne else pca
    points = _lab(args).map(pictures, args.label, flat=flat)
    args.out.mkdir(parents=True, exist_ok=True)
    scatter(args.out / "map.png", points, groups)
    with (args.out / "map.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["picture", "group", "x", "y"])
        rows.writerows(zip(names, groups, *points.T.tolist(), strict=True))


def _mapped(args: argparse.Namespace) -> tuple[list[str], list[Any], list[str]]:
    """Names, pictures and the groups that they are coloured by."""
    from apps.images import find

    if (args.data is None) == (not args.photos):
        raise ValueError("expected pictures to map, or --data with the folder of the digits")
    if args.data is None:
        found = find(args.photos)
        return [str(path) for path in found], list(found), [path.parent.name for path in found]
    from apps.lab.digits import load_digits

    digits = load_digits(args.data, "test").first(args.limit)
    pixels, labels = list(digits.pixels[:, 0].numpy()), [str(n) for n in digits.labels.tolist()]
    return [str(n) for n in digits.numbers.tolist()], pixels, labels


def _lab(args: argparse.Namespace) -> "LatentLab":
    from apps.lab.predict import LatentLab

    return LatentLab.from_pretrained(args.model, device=args.device)


def _start(lab: "LatentLab", args: argparse.Namespace) -> "tuple[np.ndarray, int | None]":
    """The latent and the class to begin from: those of a picture, or drawn by the seed."""
    if args.photo is None:
        return lab.draw(1, seed=args.seed)[0], args.label
    label = _label(lab, args, [args.photo])
    label = int(label[0]) if label is not None else None
    return lab.encode(args.photo, label)[0], label


def _label(lab: "LatentLab", args: argparse.Namespace, photos: list[Path]) -> Any:
    """One label for each picture, given or guessed; None for a model that is not told."""
    if args.label is not None:
        return [args.label] * len(photos)
    return lab.guess(photos) if lab.told else None


def _dims(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"got --dims {text!r}, expected whole numbers: A,B,…") from None


def _write(args: argparse.Namespace, pictures: Any, *, sheet: Any = None) -> None:
    """Numbered pictures or strips of them, `samples.json`, and with a `sheet` `grid.png`.

    `sheet`: rows of pictures `(R, C, S, S)`, or True for all that are numbered, in a square.
    """
    from apps import images, outputs
    from apps.grid import grid
    from apps.lab.sheets import mosaic, rgb

    args.out.mkdir(parents=True, exist_ok=True)
    outputs.clear(args.out, ".png")
    tiles = [rgb(p) if p.ndim == 2 else mosaic(p) for p in pictures]
    files = [f"{i}.png" for i in range(1, len(tiles) + 1)]
    for name, tile in zip(files, tiles, strict=True):
        (args.out / name).write_bytes(images.encode_png(tile))
    if sheet is not None:
        joined = grid(tiles) if sheet is True else mosaic(sheet)
        (args.out / "grid.png").write_bytes(images.encode_png(joined))
    outputs.write_samples(
        args.out,
        source=getattr(args, "photo", None),
        seed=args.seed,
        model=str(args.model),
        temperature=None,
        files=files,
    )
