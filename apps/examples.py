"""Photos to try the page with: in the public domain or CC0, and here already.

They come inside the wheels of matplotlib and scikit-image, so nothing is downloaded and no picture
lies in this repository. Neither package is imported for it.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Example(NamedTuple):
    """One photo: where it lies, what it shows, who made it and under which terms."""

    path: Path
    title: str
    attribution: str


# Package, file in it, title, attribution.
_PHOTOS = (
    (
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "Grace Hopper",
        "James S. Davis, U.S. Navy, 1984, public domain",
    ),
    ("skimage", "data/astronaut.png", "Eileen Collins", "NASA, public domain"),
    ("skimage", "data/camera.png", "Photographer", "Lav Varshney, CC0"),
    ("skimage", "data/chelsea.png", "Chelsea the cat", "Stéfan van der Walt, CC0"),
    ("skimage", "data/coffee.png", "Coffee", "Rachel Michetti, CC0"),
    ("skimage", "data/rocket.jpg", "Falcon 9 launch", "SpaceX, public domain"),
)


def examples() -> list[Example]:
    """The photos that the installed packages carry; those of an absent package are left out.

    Example:
        >>> all(example.path.is_file() and example.attribution for example in examples())
        True
    """
    found = [
        Example(folder / file, title, attribution)
        for package, file, title, attribution in _PHOTOS
        if (folder := _folder(package)) is not None
    ]
    return [example for example in found if example.path.is_file()]


def _folder(package: str) -> Path | None:
    """Where a package lies, without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None
