"""Small models in folders, for the tests of the store."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrained import store
from pretrained.store import save

CONFIG = {"width": 3, "betas": [0.9, 0.999], "name": "café", "nested": {"on": True}}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def a_state(seed: int = 0) -> dict[str, Tensor]:
    """Five tensors of 400 bytes each."""
    return {f"layer.{i}": numbers(10, 10, seed=seed + i) for i in range(5)}


def identical(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a
    )


def write(folder: Path, seed: int = 0, **options: Any) -> None:
    save(folder, state=a_state(seed), config=CONFIG | {"seed": seed}, card="# Card", **options)


def sign(folder: Path) -> None:
    """Checksums that fit whatever lies in the folder, as a stranger could write them."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != store.CHECKSUMS
    ]
    (folder / store.CHECKSUMS).write_text("".join(lines))
