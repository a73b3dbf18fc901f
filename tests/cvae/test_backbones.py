"""Features that are given: what is padded and folded is what the published network computes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cvae.backbones import EfficientNetLite, SameConv, folded

# Table 1 of Tan and Le (2019): repeats, kernel, stride, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, EPSILON = 32, 1e-3


def published(generator: torch.Generator) -> dict[str, Tensor]:
    """A checkpoint with the names and shapes of the published one, and other numbers."""
    state: dict[str, Tensor] = {}

    def layer(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        fan = shape[1] * shape[2] * shape[3]
        state[f"{conv}.weight"] = torch.randn(shape, generator=generator) / fan**0.5
        for name in ("weight", "running_var"):
            state[f"{norm}.{name}"] = torch.rand(shape[0], generator=generator) + 0.5
        for name in ("bias", "running_mean"):
            state[f"{norm}.{name}"] = torch.randn(shape[0], generator=generator)

    layer("_conv_stem", "_bn0", (STEM, 3, 3, 3))
    inputs, number = STEM, 0
    for repeats, kernel, _, expand, outputs in STAGES:
        for _ in range(repeats):
            block, wide = f"_blocks.{number}", inputs * expand
            if expand > 1:
                layer(f"{block}._expand_conv", f"{block}._bn0", (wide, inputs, 1, 1))
            layer(f"{block}._depthwise_conv", f"{block}._bn1", (wide, 1, kernel, kernel))
            layer(f"{block}._project_conv", f"{block}._bn2", (outputs, wide, 1, 1))
            inputs, number = outputs, number + 1
    return state


def as_published(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """What the published network says after every block, layer by layer."""

    def layer(x: Tensor, conv: str, norm: str, *, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{conv}.weight"]
        spare = weight.shape[2] - stride  # sizes here are multiples of the stride
        pad = [spare // 2, spare - spare // 2] * 2 if spare > 0 else [0] * 4
        x = F.conv2d(F.pad(x, pad), weight, stride=stride, groups=groups)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        weight, bias = state[f"{norm}.weight"], state[f"{norm}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, eps=EPSILON)

    x = F.relu6(layer(x, "_conv_stem", "_bn0", stride=2))
    said, number = [], 0
    for repeats, _, first, expand, _ in STAGES:
        for n in range(repeats):
            block, h = f"_blocks.{number}", x
            if expand > 1:
                h = F.relu6(layer(h, f"{block}._expand_conv", f"{block}._bn0"))
            h = layer(
                h,
                f"{block}._depthwise_conv",
                f"{block}._bn1",
                stride=first if n == 0 else 1,
                groups=h.shape[1],
            )
            h = layer(F.relu6(h), f"{block}._project_conv", f"{block}._bn2")
            x = x + h if n else h
            said.append(x)
            number += 1
    return said


def test_folded_it_says_what_the_published_network_says() -> None:
    generator = torch.Generator().manual_seed(0)
    state = published(generator)
    x = torch.rand(2, 3, 64, 96, generator=generator) * 2 - 1
    network = EfficientNetLite()
    network.load_state_dict(folded(state), strict=True)
    wanted = as_published(state, x)
    for seen, after in zip(network(x), (4, 10, 15), strict=True):
        torch.testing.assert_close(seen, wanted[after], rtol=1e-3, atol=1e-3)


def test_a_convolution_rounds_sizes_up_and_pads_the_far_side_first() -> None:
    conv = SameConv(1, 1, 3, stride=2, bias=False)
    torch.nn.init.ones_(conv.weight)
    row = torch.tensor([1.0, 2, 3, 4]).expand(1, 1, 4, 4)
    assert conv(row)[0, 0, 0].tolist() == [3 * 6, 3 * 7]  # 1 + 2 + 3, and 3 + 4 + nothing
    odd = torch.arange(1.0, 6).expand(1, 1, 5, 5)  # nothing on both sides
    assert conv(odd)[0, 0, 1].tolist() == [3 * 3, 3 * 9, 3 * 9]


def test_its_weights_do_not_move() -> None:
    network = EfficientNetLite().train()
    assert not any(p.requires_grad for p in network.parameters())
    assert not list(network.buffers())  # nothing hangs on the batch that was seen last
    frame = torch.zeros(1, 3, 32, 32, requires_grad=True)
    network(frame).coarse.sum().backward()
    assert frame.grad is not None
