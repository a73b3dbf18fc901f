"""The rules of the house: who may import whom, what starts light, and that it stands alone."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("apps", "cvae", "mdn", "flow", "pretrained")
# Beside itself, what each package may import.
ALLOWED: dict[str, set[str]] = {
    "apps": set(PACKAGES),
    "cvae": set(),
    "mdn": {"cvae.distributions", "cvae.layers"},
    "flow": {"cvae.distributions"},
    "pretrained": set(),
}
DOMAINS = sorted(
    path.name for path in (ROOT / "apps").iterdir() if path.is_dir() and any(path.glob("*.py"))
)
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    """`cvae/model.py` -> `cvae.model`, `cvae/__init__.py` -> `cvae`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path) for path in SOURCES} | {f"apps.{domain}" for domain in DOMAINS}


def imports(source: str, path: Path) -> Iterator[str]:
    """The dotted name of everything imported, wherever in the file, relative ones made whole."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = path.relative_to(ROOT).parts[: -node.level]
                base = ".".join([*parts, *([base] if base else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield whole if whole in MODULES else base


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def allowed(name: str, package: str) -> bool:
    return any(within(name, other) for other in ALLOWED[package])


def breach(source: str, path: Path) -> str | None:
    """The first import that the rules forbid, if any."""
    package, room = path.relative_to(ROOT).parts[:2]
    others = [f"apps.{domain}" for domain in DOMAINS if room in DOMAINS and room != domain]
    for name in imports(source, path):
        top = name.partition(".")[0]
        upward = top in PACKAGES and top != package and not allowed(name, package)
        across = package == "apps" and any(within(name, other) for other in others)
        if upward or across or top == "tests":
            return name
    return None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    found = breach(path.read_text(encoding="utf-8"), path)
    assert found is None, f"{name_of(path)} must not import {found}"


@pytest.mark.parametrize(
    ("where", "source", "found"),
    [
        ("mdn/modes.py", "from cvae.distributions import Normal", None),
        ("mdn/modes.py", "from cvae import distributions", None),
        ("mdn/modes.py", "from . import mixture", None),
        ("mdn/modes.py", "from cvae import model", "cvae"),
        ("mdn/modes.py", "def f():\n    import flow.draw", "flow.draw"),
        ("cvae/model.py", "from mdn.mixture import Mixture", "mdn.mixture"),
        ("cvae/backbones.py", "from pretrained import store", "pretrained.store"),
        ("pretrained/store.py", "import apps.cli", "apps.cli"),
        ("flow/draw.py", "import numpy, tests.conftest", "tests.conftest"),
        ("apps/cli.py", "import apps.colorization.predict, cvae, mdn.modes, pretrained", None),
        ("apps/colorization/tab.py", "from . import predict\nfrom ..images import read", None),
        ("apps/other/tab.py", "from apps.colorization import model", "apps.colorization"),
        ("apps/other/tab.py", "from ..colorization.model import x", "apps.colorization.model"),
    ],
)
def test_the_rules_are_held(
    where: str, source: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker itself, on imports that are allowed and imports that are not."""
    monkeypatch.setattr(sys.modules[__name__], "DOMAINS", ["colorization", "other"])
    monkeypatch.setattr(
        sys.modules[__name__], "MODULES", {"cvae.distributions", "pretrained.store", "mdn.mixture"}
    )
    result = breach(source, ROOT / where)
    assert result is None if found is None else str(result).startswith(found)


def loaded_after(statement: str) -> set[str]:
    """Top-level modules present once a fresh interpreter has run `statement`."""
    script = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


HEAVY = {"torch", "torchvision", "kornia", "cv2", "scipy", "gradio", "matplotlib"}


def test_package_inits_import_nothing_heavy() -> None:
    names = [*PACKAGES, *(f"apps.{domain}" for domain in DOMAINS)]
    assert not loaded_after(f"import {', '.join(names)}") & HEAVY


def test_the_command_line_starts_without_torch_and_gradio() -> None:
    assert not loaded_after("import apps.cli") & {"torch", "gradio"}


# Folders of one machine: home-like roots, and a folder beside the repository.
FOREIGN = re.compile(
    r"(?<![\w.:/-])/(?:home|opt|root|mnt|srv|work|Users)/|\.\./shared\b|\bshared/(?:data|docs)"
)


def texts() -> Iterator[Path]:
    """Everything written by hand: sources, documents, settings; this file apart."""
    for folder in (*PACKAGES, "tests", ".ci"):
        yield from (ROOT / folder).rglob("*")
    yield from ROOT.glob("*")


def test_the_repository_stands_alone() -> None:
    suffixes = {".py", ".md", ".toml", ".json", ".txt", ".sh", ".yml", ".css", ".js", ""}
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in texts()
        if path.is_file() and path.suffix in suffixes and path != Path(__file__)
        for match in FOREIGN.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not found, found
