"""p(codes | class) of a codec and its laws: how probable the codes of digits are, and new digits.

The codes of the coarsest level are asked for with the class, those of a finer one with both.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from apps import runtime
from apps.lab.codes_model import KINDS, Codec, told
from apps.lab.codes_recipe import law_name
from apps.lab.digits import CLASSES, Digits
from apps.lab.measure import batches, device_of
from cvae.pixelcnn import PixelCNN

AT_ONCE = 500  # digits


class CodeLaw:
    """A codec with the law of every level, `laws`, finest first as the codes are.

    Example:
        >>> from apps.lab.codes_model import CodecSize, LawSize, build_law
        >>> codec = Codec(CodecSize(codes=(4,), width=8, dim=2)).eval()
        >>> law = CodeLaw(codec, [build_law(LawSize(codes=4, width=8, blocks=2, features=4))])
        >>> law.picture(7, seed=0).shape
        (28, 28)
    """

    def __init__(self, codec: Codec, laws: Sequence[PixelCNN]) -> None:
        if len(laws) != len(codec.sizes):
            raise ValueError(f"got {len(laws)} laws, expected {len(codec.sizes)}: one a level")
        self.codec, self.laws = codec, laws
        self.above = (*codec.sizes[1:], 0)  # how many codes the level above has

    @torch.no_grad()
    def log_prob(self, codes: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Log-probability of the codes of all levels given the class, `(B,)` nats, exact."""
        nats = torch.zeros(len(labels), device=labels.device)
        levels = zip(self.laws, codes, (*codes[1:], None), self.above, strict=True)
        for law, own, above, size in levels:
            nats += law.log_prob(own, told(labels, above, size))
        return nats

    @torch.no_grad()
    def sample(self, labels: Tensor, *, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Codes of every level, finest first, for labels `(B,)`."""
        found: list[Tensor] = []
        above = None
        levels = list(zip(self.laws, self.codec.sides, self.above, strict=True))
        for law, side, size in reversed(levels):
            shape = (len(labels), side, side)
            above = law.sample(shape, told(labels, above, size), generator=generator)
            found.append(above)
        return tuple(reversed(found))

    @torch.no_grad()
    def draw(self, labels: Tensor, *, generator: torch.Generator) -> Tensor:
        """New digits of labels `(N,)`: pictures `(N, 1, 28, 28)` in [0, 1]."""
        device, found = device_of(self.codec), []
        for part in labels.split(AT_ONCE):
            codes = self.sample(part.to(device), generator=generator)
            found.append(self.codec.decode(codes).clamp(0, 1).cpu())
        return torch.cat(found)

    def picture(self, label: int, *, seed: int) -> np.ndarray:
        """A new digit of a class, `(28, 28)` uint8, 255 is ink; one seed, one picture.

        Raises:
            ValueError: no such class.
        """
        runtime.check("class", label, 0, CLASSES - 1)
        generator = torch.Generator(device_of(self.codec)).manual_seed(seed)
        drawn = self.draw(torch.tensor([label]), generator=generator)
        return (255 * drawn[0, 0]).round().byte().numpy()


@torch.no_grad()
def encode(codec: Codec, digits: Digits) -> tuple[Tensor, ...]:
    """Codes of all digits, `(N, h, w)` long a level, finest first."""
    parts = [
        [level.cpu() for level in codec.encode(x)]
        for x, _ in batches(digits, device_of(codec), size=AT_ONCE)
    ]
    return tuple(torch.cat(level) for level in zip(*parts, strict=True))


def fingerprint(codec: Codec) -> str:
    """A name for these very weights; the codes of others would mean something else.

    Example:
        >>> from apps.lab.codes_model import CodecSize
        >>> codec = Codec(CodecSize(codes=(4,), width=8, dim=2))
        >>> fingerprint(codec) == fingerprint(codec), len(fingerprint(codec))
        (True, 16)
    """
    found = hashlib.sha256()
    for name, value in sorted(codec.state_dict().items()):
        found.update(name.encode())
        found.update(value.cpu().numpy().tobytes())
    return found.hexdigest()[:16]


def load_codec(path: str | Path, device: torch.device) -> tuple[Codec, dict[str, Any]]:
    """The codec of a folder of weights, and its configuration."""
    codec, config = runtime.load(path, domain="lab", kinds=KINDS)
    return cast(Codec, codec.to(device)), config


def load_law(
    weights: Mapping[str, str | Path], codec: Codec, name: str, device: torch.device
) -> CodeLaw | None:
    """A codec with its laws; None: some of them are not there.

    Args:
        weights: folders by the names of recipes.
        name: the recipe of the codec.

    Raises:
        ValueError: a law was learnt of the codes of another codec.
    """
    names = [law_name(name, level) for level in range(len(codec.sizes))]
    if not weights.keys() >= set(names):
        return None
    laws: list[Any] = []
    for law in names:
        model, config = runtime.load(weights[law], domain="lab", kinds=KINDS)
        check_codes(law, config, fingerprint(codec))
        laws.append(model.to(device))
    return CodeLaw(codec, laws)


def check_codes(law: str | Path, config: Mapping[str, Any], codes: str | None) -> None:
    """Refuse a law, of a configuration, that was not learnt of these codes, a `fingerprint`."""
    if config.get("codes") != codes:
        raise ValueError(
            f"got law {law} of codes {config.get('codes')}, expected one of codes {codes}: the "
            "codec has learnt since, so delete the law and train it too"
        )
