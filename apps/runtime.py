"""What every predictor needs before it can answer: a device, checked weights, a seed a draw."""

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from apps.kinds import Kind, rebuild
from pretrained import store


def pick_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one.

    Raises:
        ValueError: CUDA is asked for and absent, or the name is unknown.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("got device 'cuda', but there is no CUDA GPU here: pass 'auto' or 'cpu'")
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise ValueError(f"got device {name!r}, expected auto, cpu or cuda")
    return torch.device(name)


def load(
    path_or_name: str | Path, *, domain: str, kinds: Mapping[str, Kind]
) -> tuple[Any, dict[str, Any]]:
    """Networks with checked weights, strictly loaded, in float32; and their configuration.

    Args:
        path_or_name: a folder of weights, or the name of a model that is shipped.
        kinds: the designs of the domain.

    Raises:
        pretrained.store.WeightsError: not there, damaged, or of another domain.
    """
    weights = store.load(store.resolve(path_or_name))
    found = weights.config.get("domain")
    if found != domain:
        raise store.WeightsError(
            f"got weights of domain {found!r} in {path_or_name}, expected {domain!r}"
        )
    try:
        model = rebuild(weights.config, kinds)
    except ValueError as error:
        raise store.WeightsError(f"got {path_or_name}, which cannot be built: {error}") from error
    model.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=True)
    return model.eval(), weights.config


def key(seed: int, j: int) -> int:
    """The seed of draw j: unlike that of any other draw or seed, and the same tomorrow."""
    return zlib.crc32(f"{seed}/{j}".encode()) | (seed & 0x7FFFFFFF) << 32


def check(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number out of its range in one sentence.

    Example:
        >>> check("k", 0, 1, 64)
        Traceback (most recent call last):
        ValueError: got k=0, expected 1 to 64
    """
    if not low <= value <= high:
        raise ValueError(f"got {name}={value}, expected {low} to {high}")


def check_models(names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names of models that are not known in one sentence.

    Example:
        >>> check_models(["cvae", "gan"], ["divcolor", "cvae"])
        Traceback (most recent call last):
        ValueError: got models ['gan'], expected some of ['cvae', 'divcolor']
    """
    unknown = set(names) - set(known)
    if unknown:
        raise ValueError(f"got models {sorted(unknown)}, expected some of {sorted(known)}")
