"""Networks that have learnt to see on far more pictures than a domain has of its own.

EfficientNet-Lite0 (Google, 2020), after EfficientNet (Tan and Le, 2019): inverted bottlenecks
without squeeze-and-excitation and with ReLU6, made for processors without a GPU. Chosen since 3 M
weights tell what a thing is for a quarter of a billion multiplications a still.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

_STEM = 32
# repeats, kernel, stride, expansion, channels; each row of Table 1 of Tan and Le
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_SEEN = (2, 4, 6)  # stages that are looked at: cells of 8, 16 and 32 pixels
CHANNELS = tuple(_STAGES[stage][-1] for stage in _SEEN)  # 40, 112, 320
_EPSILON = 1e-3  # of batch norm, as it was trained


class Seen(NamedTuple):
    """Features of a picture `(B, 3, H, W)` at three scales; sizes are rounded up."""

    fine: Tensor  # (B, 40, H / 8, W / 8)
    middle: Tensor  # (B, 112, H / 16, W / 16)
    coarse: Tensor  # (B, 320, H / 32, W / 32)


class SameConv(nn.Conv2d):
    """A convolution that pads as TensorFlow does: what cannot be halved goes right and below.

    Example:
        >>> import torch
        >>> SameConv(1, 1, 3, stride=2)(torch.zeros(1, 1, 8, 13)).shape
        torch.Size([1, 1, 4, 7])
    """

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            lacks = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [lacks // 2, lacks - lacks // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class _Bottleneck(nn.Module):
    """Inverted bottleneck (Sandler et al., 2018): widen, look around by channel, narrow."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expand: int):
        super().__init__()
        wide = inputs * expand
        self.widen = nn.Conv2d(inputs, wide, 1) if expand > 1 else None
        self.look = SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self.narrow = nn.Conv2d(wide, outputs, 1)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        h = x if self.widen is None else F.relu6(self.widen(x))
        h = self.narrow(F.relu6(self.look(h)))
        return x + h if self.skips else h


class EfficientNetLite(nn.Module):
    """The features of EfficientNet-Lite0, without its classifier, as a function that is given.

    Its weights do not move in training, and batch norm is folded into them: it says the same of a
    picture whatever the others of a batch are.

    Shapes: sRGB `(B, 3, H, W)` in [-1, 1] -> `Seen`.

    Example:
        >>> import torch
        >>> [tuple(x.shape[1:]) for x in EfficientNetLite()(torch.zeros(1, 3, 64, 96))]
        [(40, 8, 12), (112, 4, 6), (320, 2, 3)]
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, _STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = _STEM
        for repeats, kernel, stride, expand, outputs in _STAGES:
            blocks = nn.Sequential()
            for n in range(repeats):
                step = stride if n == 0 else 1
                blocks.append(
                    _Bottleneck(inputs, outputs, kernel=kernel, stride=step, expand=expand)
                )
                inputs = outputs
            self.stages.append(blocks)
        self.requires_grad_(False)

    def forward(self, frames: Tensor) -> Seen:
        x = F.relu6(self.stem(frames))
        seen = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in _SEEN:
                seen.append(x)
        return Seen(*seen)


def folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    r"""The published weights as `EfficientNetLite` has them.

    With batch norm :math:`\gamma (w * x - \mu) / \sqrt{v + \epsilon} + \beta` folded into the
    convolution before it. Names are those of the PyTorch port of the published checkpoint
    (`_conv_stem`, `_blocks.3._depthwise_conv`, ...); its classifier is left out.

    Raises:
        KeyError: a tensor is missing.
    """
    state: dict[str, Tensor] = {}

    def fold(name: str, conv: str, norm: str) -> None:
        gain = published[f"{norm}.weight"] / (published[f"{norm}.running_var"] + _EPSILON).sqrt()
        mean = published[f"{norm}.running_mean"]
        state[f"{name}.weight"] = published[f"{conv}.weight"] * gain[:, None, None, None]
        state[f"{name}.bias"] = published[f"{norm}.bias"] - mean * gain

    fold("stem", "_conv_stem", "_bn0")
    number = 0
    for stage, (repeats, *_, expand, _) in enumerate(_STAGES):
        for n in range(repeats):
            own, theirs = f"stages.{stage}.{n}", f"_blocks.{number}"
            if expand > 1:
                fold(f"{own}.widen", f"{theirs}._expand_conv", f"{theirs}._bn0")
            fold(f"{own}.look", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            fold(f"{own}.narrow", f"{theirs}._project_conv", f"{theirs}._bn2")
            number += 1
    return state
