"""The faces commands. Heavy modules are imported only once a command runs."""

import argparse
from operator import itemgetter
from pathlib import Path
from typing import Any


def register(commands: argparse._SubParsersAction) -> None:
    """Add `perhaps faces` and `perhaps face …`."""
    p = commands.add_parser("faces", help="different faces that have the attributes asked for")
    _common(p)
    p.add_argument("-k", type=int, default=16, help="how many (%(default)s)")
    p.add_argument("--temperature", type=float, default=1.0, help="less is more alike")
    p.set_defaults(run=make)
    face = commands.add_parser("face", help="one face: progress, edit, complete, attributes")
    uses = face.add_subparsers(title="uses", required=True, metavar="USE")
    p = uses.add_parser("progress", help="one attribute from off to on, all else held")
    p.add_argument("attribute", metavar="ATTRIBUTE")
    _common(p)
    p.add_argument("--steps", type=int, default=8, help="faces on the way (%(default)s)")
    p.set_defaults(run=progress)
    p = uses.add_parser("edit", help="change attributes of the face in a photo")
    _photo(p)
    _common(p)
    p.set_defaults(run=edit)
    p = uses.add_parser("complete", help="fill what a mask hides of the face in a photo")
    _photo(p)
    p.add_argument("--mask", type=Path, required=True, help="white where the photo is hidden")
    p.add_argument("-k", type=int, default=4, help="how many (%(default)s)")
    _common(p, asks=False)
    p.set_defaults(run=complete)
    p = uses.add_parser("attributes", help="list what may be asked for, or read it from a photo")
    _photo(p, nargs="?")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")
    p.set_defaults(run=attributes)


def _common(p: argparse.ArgumentParser, *, asks: bool = True) -> None:
    p.add_argument("-o", "--out", type=Path, required=True, help="folder for the answers")
    if asks:
        p.add_argument("--with", dest="on", default="", metavar="A,B", help="attributes to have")
        p.add_argument("--without", dest="off", default="", metavar="C", help="and not to have")
    p.add_argument("--seed", type=int, default=0, help="the same seed, the same faces")
    p.add_argument("--model", default="faces", help="shipped name or folder of weights")
    p.add_argument("--device", default="auto", help="auto, cpu or cuda")


def _photo(p: argparse.ArgumentParser, **options: Any) -> None:
    p.add_argument("photo", metavar="PHOTO", type=Path, **options)
    p.add_argument("--box", help="X0,Y0,X1,Y1 around the face; found where it is left out")


def make(args: argparse.Namespace) -> None:
    """Write k faces, their grid and `samples.json`."""
    asked = _asked(args)
    made = _maker(args)(asked, k=args.k, seed=args.seed, temperature=args.temperature)
    _write(
        args,
        made.images,
        temperature=args.temperature,
        grid=True,
        asked=asked,
        details=[{"attributes": has} for has in made.requests],
    )


def progress(args: argparse.Namespace) -> None:
    """Write the steps of one attribute, side by side too."""
    from apps.faces.attributes import canonical

    asked, name = _asked(args), canonical(args.attribute)
    steps = _maker(args).progression(name, args.steps, asked, seed=args.seed)
    shares = [{"attributes": {name: i / (len(steps) - 1)}} for i in range(len(steps))]
    _write(args, steps, temperature=1.0, grid=True, asked=asked, details=shares)


def edit(args: argparse.Namespace) -> None:
    """Write the photo with its face changed."""
    asked = _asked(args)
    if not asked:
        raise ValueError("got nothing to change: name attributes with --with or --without")
    photo = _maker(args).edit(args.photo, asked, _box(args.box))
    _write(args, [photo], source=args.photo, asked=asked)


def complete(args: argparse.Namespace) -> None:
    """Write k photos in which the hidden part is filled."""
    maker, box = _maker(args), _box(args.box)
    photos = maker.complete(args.photo, args.mask, k=args.k, seed=args.seed, box=box)
    _write(args, photos, source=args.photo)


def attributes(args: argparse.Namespace) -> None:
    """Print what may be asked for, or how probably a face has each."""
    from apps.faces.attributes import GROUPS

    if args.photo is None:
        for group, names in GROUPS.items():
            print(f"{group}: {', '.join(names)}")
        return
    from apps.faces.predict import FaceMaker

    maker = FaceMaker.from_pretrained(device=args.device)
    found = maker.read(args.photo, _box(args.box))
    for name, probability in sorted(found.items(), key=itemgetter(1), reverse=True):
        print(f"{probability:5.0%}  {name}")


def train(args: argparse.Namespace) -> None:
    """Train a recipe, or the detector, alone or under torchrun."""
    from apps.faces.detector_train import DETECTORS, train_detector
    from apps.faces.recipe import RECIPES
    from apps.faces.train import train_recipe
    from apps.training import train as run

    how = train_detector if args.recipe in DETECTORS else train_recipe
    run(args, recipes={**RECIPES, **DETECTORS}, train_recipe=how)


def evaluate(args: argparse.Namespace) -> None:
    """Print and save the tables; train the judge and the rivals that the cache lacks."""
    from apps.faces.evaluate import evaluate as run
    from apps.faces.rivals import JUDGE, rivals
    from apps.runtime import pick_device
    from apps.training import weights_of

    device, training = pick_device(args.device), not args.no_training
    weights = weights_of(args, "faces")
    others = rivals(args.data, args.cache, device=device, training=training)
    if JUDGE not in others:
        raise ValueError(
            f"got no trained {JUDGE} in {args.cache}, expected one to judge by: "
            "leave out --no-training once"
        )
    run(
        args.data,
        out=args.out,
        judge=others.pop(JUDGE),
        weights=weights,
        others=others,
        split=args.split,
        device=args.device,
        limit=args.limit,
    )


def bench(args: argparse.Namespace) -> None:
    """Print seconds and memory."""
    from apps.faces.bench import bench as run

    run(device=args.device)


def _maker(args: argparse.Namespace) -> Any:
    from apps.faces.predict import FaceMaker

    return FaceMaker.from_pretrained(args.model, device=args.device)


def _asked(args: argparse.Namespace) -> dict[str, bool | None]:
    from apps.faces.attributes import request, stated

    return {**stated(request(on=args.on, off=args.off))}


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"got --box {text!r}, expected four numbers: X0,Y0,X1,Y1") from None
    return x0, y0, x1, y1


def _write(
    args: argparse.Namespace,
    pictures: list[Any],
    *,
    source: Path | None = None,
    temperature: float | None = None,
    grid: bool = False,
    **more: Any,
) -> None:
    from apps import images, outputs

    args.out.mkdir(parents=True, exist_ok=True)
    outputs.clear(args.out, ".png")
    files = [f"{i}.png" for i in range(1, len(pictures) + 1)]
    for name, picture in zip(files, pictures, strict=True):
        (args.out / name).write_bytes(images.encode_png(picture))
    if grid:
        from apps.grid import grid as joined

        (args.out / "grid.png").write_bytes(images.encode_png(joined(pictures)))
    outputs.write_samples(
        args.out,
        source=source,
        seed=args.seed,
        model=str(args.model),
        temperature=temperature,
        files=files,
        **more,
    )
