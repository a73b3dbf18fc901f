"""Building blocks that the networks of every domain are made of.

All take and give tensors `(B, C, H, W)` unless stated, and work at any spatial size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """Group normalization (Wu & He, 2018) in eight groups, or fewer that divide the channels.

    On a CPU the kernel for bfloat16 with channels last is several times slower than that with
    channels first where groups are narrow: there the memory is turned, and turned back.

    Shapes: x `(B, C, H, W)` -> `(B, C, H, W)`.

    Example:
        >>> [GroupNorm(channels).num_groups for channels in (48, 10, 7)]
        [8, 5, 7]
    """

    def __init__(self, channels: int) -> None:
        super().__init__(next(g for g in range(8, 0, -1) if channels % g == 0), channels)

    def forward(self, x: Tensor) -> Tensor:
        narrow = x.dtype is torch.bfloat16 and self.num_channels < 16 * self.num_groups
        last = x.is_contiguous(memory_format=torch.channels_last)
        if narrow and last and x.device.type == "cpu":
            return super().forward(x.contiguous()).contiguous(memory_format=torch.channels_last)
        return super().forward(x)


def start_small(conv: nn.Conv2d, *, std: float = 1e-3) -> None:
    """Let a last convolution say almost nothing at first."""
    nn.init.normal_(conv.weight, std=std)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


class FiLM(nn.Module):
    r"""Feature-wise linear modulation, $x \gamma(c) + \beta(c)$ (Perez et al., 2018, Eq. 2).

    Starts as the identity, so that a network learns first without its condition's noise.

    Shapes: x `(B, C, H, W)`, c `(B, D)` -> `(B, C, H, W)`.

    Example:
        >>> import torch
        >>> x = torch.randn(2, 8, 4, 4)
        >>> torch.equal(FiLM(channels=8, context=3)(x, torch.randn(2, 3)), x)
        True
    """

    def __init__(self, *, channels: int, context: int) -> None:
        super().__init__()
        self.project = nn.Linear(context, 2 * channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        scale, shift = self.project(c)[:, :, None, None].chunk(2, dim=1)  # (B, C, 1, 1) each
        return x * (1 + scale) + shift


class ResidualBlock(nn.Module):
    """Pre-activation residual block (He et al., 2016), modulated by a context where one is given.

    The last convolution starts near zero: at the start every block is nearly the identity, which
    lets depth grow without a warm-up.

    Shapes: x `(B, C, H, W)`, context `(B, D)` or None -> `(B, C, H, W)`.
    """

    def __init__(self, channels: int, *, context: int | None = None) -> None:
        super().__init__()
        self.norm1 = GroupNorm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = GroupNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = FiLM(channels=channels, context=context) if context else None
        start_small(self.conv2)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h)
        if self.film is not None:
            if context is None:
                raise ValueError("got no context, expected one: this block was built with context")
            h = self.film(h, context)
        return x + self.conv2(F.silu(h))


class SelfAttention(nn.Module):
    """Multi-head self-attention over the places of a map, with a residual connection.

    Convolution sees a neighbourhood; this lets sky, skin and wall agree across the picture.

    Shapes: `(B, C, H, W)` -> `(B, C, H, W)`; cost grows with (H W)², so use it on coarse maps.
    """

    def __init__(self, channels: int, *, head: int = 32) -> None:
        super().__init__()
        if channels % head:
            raise ValueError(
                f"got {channels} channels, expected a multiple of the head size {head}"
            )
        self.heads = channels // head
        self.norm = GroupNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        start_small(self.out)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, -1, height * width)
        q, k, v = qkv.transpose(-1, -2).unbind(1)  # (B, heads, H W, C / heads)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(-1, -2).reshape(batch, channels, height, width))


def downsample(inputs: int, outputs: int) -> nn.Conv2d:
    """Halve the map and change its width with one 2x2 convolution of stride 2."""
    return nn.Conv2d(inputs, outputs, 2, stride=2)


def upsample(x: Tensor) -> Tensor:
    """Double the map bilinearly; no checkerboards, unlike with transposed convolution."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
