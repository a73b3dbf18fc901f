"""Weights on disk: one folder a model, written whole, checked in full when read.

A folder holds

    model.safetensors    the tensors; or, where they are many, the two below
      model-00001-of-0000N.safetensors
      model.safetensors.index.json     which tensor is in which file
    config.json          what is needed to build the network
    README.md            the model card
    checksums.sha256     one line a file, as `sha256sum` writes and checks it

which is the layout of `huggingface_hub`, so that a folder can be pushed to a hub and taken from
it. Nothing here is ever unpickled: reading a folder from a stranger runs none of its code.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

MODEL = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"
CARD = "README.md"
CHECKSUMS = "checksums.sha256"

_SHIPPED = Path(__file__).parent
# A plain file name: no separator, no leading dot, hence no way out of the folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class WeightsError(ValueError):
    """A folder of weights that is incomplete, damaged or of another kind."""


@dataclass(frozen=True)
class Weights:
    """What a folder holds: `config`, JSON values, and `state`, tensors on the CPU by name."""

    config: dict[str, Any]
    state: dict[str, Tensor]


def save(
    folder: str | Path,
    *,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    card: str,
    dtype: torch.dtype | None = None,
    shard_bytes: int = 15_000_000,
) -> None:
    """Write a model's tensors, config and card as one folder that `load` reads.

    All files are first written beside their final names and only then moved there, the checksums
    last: a write that fails leaves an earlier model in `folder` as it was.

    With `dtype`, floating-point tensors are stored in it, all others as they are; a finite value
    that it cannot hold raises `WeightsError`. Tensors are split over several files, none above
    `shard_bytes` unless one tensor alone is. `config` must be made of JSON values. A folder that
    cannot be written raises `OSError`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     save(folder, state={"w": torch.eye(2)}, config={"width": 2}, card="# Identity")
        ...     weights = load(folder)
        >>> weights.config
        {'width': 2}
        >>> weights.state["w"]
        tensor([[1., 0.],
                [0., 1.]])
    """
    folder = Path(folder)
    stored = {name: _stored(name, tensor, dtype) for name, tensor in state.items()}
    shards = _split(stored, shard_bytes)
    texts = {CONFIG: _json(config), CARD: card.encode()}
    if len(shards) > 1:
        size = sum(tensor.nbytes for tensor in stored.values())
        weight_map = {name: file for file, shard in shards.items() for name in shard}
        texts[INDEX] = _json({"metadata": {"total_size": size}, "weight_map": weight_map})

    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, _contents(shards, texts))
    for stale in {MODEL, INDEX, *(path.name for path in folder.glob("model-*.safetensors"))}:
        if stale not in shards and stale not in texts:
            (folder / stale).unlink(missing_ok=True)


def load(folder: str | Path) -> Weights:
    """Read a folder that `save` wrote, after checking the sha256 of every file in it.

    Returns the tensors on the CPU, in the type in which they were stored. Hand them to
    `module.load_state_dict(weights.state)`, which is strict and names any key too few or too many.

    Raises `WeightsError` where a file is missing, differs from its checksum, is of an unknown
    format or is named so as to lie outside `folder`.

    Example:
        >>> load("no/such/folder")
        Traceback (most recent call last):
        pretrained.store.WeightsError: no/such/folder is not a folder; give one with model weights
    """
    folder = Path(folder)
    digests = _digests(folder)
    config = _parse(_verified(folder, CONFIG, digests), folder / CONFIG)
    state: dict[str, Tensor] = {}
    files = _files(folder, digests)
    for file, expected in files.items():
        tensors = _tensors(_verified(folder, file, digests), folder / file)
        if expected is not None and tensors.keys() != expected:
            raise WeightsError(
                f"{folder / file}: tensors {sorted(tensors.keys() ^ expected)} are in only one of "
                f"this file and {INDEX}; fetch the folder again"
            )
        state.update(tensors)
    for file in digests.keys() - files.keys() - {CONFIG}:
        _verified(folder, file, digests)
    return Weights(config=config, state=state)


def shipped() -> list[str]:
    """The names of the models that come with the package, sorted."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CHECKSUMS}"))


def resolve(name_or_path: str | Path) -> Path:
    """The folder of a model: a shipped one by its name, any other by its path.

    A name wins over a folder of that name in the working directory, which `./name` reaches.
    Nothing is downloaded. Raises `WeightsError` where there is neither.

    Example:
        >>> resolve("no-such-model")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        pretrained.store.WeightsError: no model 'no-such-model': it is neither a folder nor one ...
    """
    if isinstance(name_or_path, str) and name_or_path in shipped():
        return _SHIPPED / name_or_path
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    raise WeightsError(
        f"no model {str(name_or_path)!r}: it is neither a folder nor one of the shipped models, "
        f"which are: {', '.join(shipped()) or 'none'}"
    )


# Writing


def _stored(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A contiguous copy on the CPU: the format takes no views and no shared memory."""
    tensor = tensor.detach().cpu()
    kept = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
    if bool((tensor.isfinite() & ~kept.isfinite()).any()):
        raise WeightsError(
            f"tensor {name!r} reaches {tensor.abs().max():.3g}, beyond the range of {dtype}; "
            "store it in a wider type"
        )
    return kept.clone(memory_format=torch.contiguous_format)


def _split(state: dict[str, Tensor], limit: int) -> dict[str, dict[str, Tensor]]:
    """Tensors by file, in order, a new file where the next tensor would pass `limit` bytes."""
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in state.items():
        if shards[-1] and size + tensor.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    if len(shards) == 1:
        return {MODEL: shards[0]}
    n = len(shards)
    return {f"model-{i:05d}-of-{n:05d}.safetensors": shard for i, shard in enumerate(shards, 1)}


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(dict(value), indent=2, allow_nan=False) + "\n").encode()


def _contents(
    shards: dict[str, dict[str, Tensor]], texts: dict[str, bytes]
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file, one at a time so that only one shard is in memory twice."""
    for name, shard in shards.items():
        yield name, safetensors.torch.save(shard, metadata={"format": "pt"})
    yield from texts.items()


def _write(folder: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write all files and their checksums, and put none in place before all are on disk."""
    moves: dict[Path, Path] = {}  # in the same folder: a rename across devices is a copy

    def stage(name: str, data: bytes) -> None:
        partial = folder / f".{name}.partial"
        moves[partial] = folder / name
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    lines = []
    try:
        for name, data in contents:
            stage(name, data)
            lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        stage(CHECKSUMS, "".join(lines).encode())
        for partial, final in moves.items():
            os.replace(partial, final)
    finally:
        for partial in moves:
            partial.unlink(missing_ok=True)


# Reading


def _digests(folder: Path) -> dict[str, str]:
    """File name -> sha256, as the folder's list of checksums states them."""
    if not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; give one with model weights")
    path = folder / CHECKSUMS
    if not path.is_file():
        raise WeightsError(
            f"{path} is missing, so nothing in this folder can be checked; "
            f"fetch it again, or write it with `perhaps export`"
        )
    digests = {}
    for line in path.read_bytes().decode(errors="replace").removesuffix("\n").split("\n"):
        match = _LINE.fullmatch(line)
        if match is None:
            raise WeightsError(f"{path}: expected '<sha256>  <file>', got {line[:80]!r}")
        digest, name = match.groups()
        digests[_plain(name, path)] = digest
    return digests


def _plain(name: object, source: Path) -> str:
    """`name`, if it is a plain file name: everything lies in the folder itself."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise WeightsError(f"{source}: expected plain file names, got {name!r}; do not trust it")
    return name


def _verified(folder: Path, name: str, digests: dict[str, str]) -> bytes:
    """The bytes of a file, read once, so that what was checked is what is used."""
    path = folder / name
    if name not in digests:
        raise WeightsError(f"{folder / CHECKSUMS} does not list {name}; fetch the folder again")
    if not path.is_file():
        raise WeightsError(f"{path} is missing; fetch the folder again")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != digests[name]:
        raise WeightsError(
            f"{path} is damaged or was changed: its sha256 is {digest}, expected {digests[name]}; "
            "fetch it again"
        )
    return data


def _files(folder: Path, digests: dict[str, str]) -> dict[str, set[str] | None]:
    """The files with tensors, and which each should hold (None: any)."""
    if INDEX in digests:
        path = folder / INDEX
        weight_map = _parse(_verified(folder, INDEX, digests), path).get("weight_map")
        if not isinstance(weight_map, dict):
            raise WeightsError(f"{path}: unknown format, expected an object 'weight_map'")
        files: dict[str, set[str] | None] = {}
        for tensor, file in weight_map.items():
            files[_plain(file, path)] = {tensor} | (files.get(file) or set())
        return files
    if MODEL in digests:
        return {MODEL: None}
    raise WeightsError(
        f"{folder}: unknown format, {CHECKSUMS} lists neither {MODEL} nor {INDEX}; weights of "
        "another kind (.pt, .bin, .ckpt) are not read, as they may run code"
    )


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: unknown format, expected JSON: {error}") from error
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise WeightsError(f"{path}: unknown format, expected safetensors: {error}") from error
