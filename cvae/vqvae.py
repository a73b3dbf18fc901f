"""Autoencoders whose latent is a map of codes, or several, each coarser than the last.

Van den Oord et al. (2017) with one level; Razavi, van den Oord & Vinyals (2019, VQ-VAE-2) with
two: the coarse map is found first, and the fine one keeps what the coarse one leaves over. They
are decoders of codes only: what draws codes is a prior such as `cvae.pixelcnn`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.layers import GroupNorm, ResidualBlock, downsample, upsample
from cvae.likelihoods import gaussian
from cvae.objective import Likelihood
from cvae.quantize import Quantized, VectorQuantizer


class VQVAE(nn.Module):
    r"""Picture -> maps of codes -> picture. Levels are named finest first, as everywhere here.

    With $h_l$ the features of level l and $u_l$ what the levels above it say, at its size:
    $e_l = \mathrm{VQ}_l(h_l, u_l), \quad u_{l-1} = \mathrm{up}_l(e_l, u_l)$, from the coarsest
    down; $u_0$ is the picture.

    Shapes: x `(B, channels, H, W)`, with H and W multiples of two to the sum of the halvings. The
    output is as large and unbounded: means or logits, as the likelihood takes it.

    Args:
        codes: size of the codebook of each level.
        halvings: of each level: the first one's from the picture, the next one's from the first.
        width: channels inside.
        dim: channels of a code vector; with few of them many codes stay in use.
        decay, dead: see `VectorQuantizer`.

    Example:
        >>> model = VQVAE(channels=3, codes=(128, 64), halvings=(2, 1), width=16)
        >>> fine, coarse = model.encode(torch.zeros(5, 3, 32, 32))
        >>> fine.shape, coarse.shape, model.decode((fine, coarse)).shape
        (torch.Size([5, 8, 8]), torch.Size([5, 4, 4]), torch.Size([5, 3, 32, 32]))
    """

    def __init__(
        self,
        *,
        channels: int,
        codes: Sequence[int] = (256,),
        halvings: Sequence[int] = (2,),
        width: int = 64,
        dim: int = 16,
        decay: float = 0.99,
        dead: float = 0.05,
    ) -> None:
        super().__init__()
        if not codes or len(codes) != len(halvings) or min(halvings) < 1:
            raise ValueError(
                f"got codes {tuple(codes)} and halvings {tuple(halvings)}, expected one of both "
                "a level, and every level at least halved once"
            )
        self.multiple = 2 ** sum(halvings)
        self.levels = nn.ModuleList()
        for n, (size, times) in enumerate(zip(codes, halvings, strict=True)):
            self.levels.append(
                _Level(
                    inputs=width if n else channels,
                    outputs=dim if n else channels,
                    above=dim if n + 1 < len(codes) else 0,
                    halvings=times,
                    width=width,
                    quantizer=VectorQuantizer(codes=size, dim=dim, decay=decay, dead=dead),
                )
            )

    def forward(
        self, x: Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, list[Quantized]]:
        """The picture as its codes tell it, and what each level's quantizer found."""
        found: list[Quantized] = []
        above = None
        for level, h in self._coarse_first(x):
            found.append(level.quantizer(level.latent(h, above), generator=generator))
            above = level.generate(found[-1].latent, above)
        assert above is not None  # there is a level
        return above, found[::-1]

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Codes of pictures, `(B, h, w)` long a level; no codebook changes in any mode."""
        codes: list[Tensor] = []
        above = None
        for level, h in self._coarse_first(x):
            codes.append(level.quantizer.encode(level.latent(h, above)))
            if len(codes) < len(self.levels):  # the last would be the picture
                above = level.generate(level.quantizer.decode(codes[-1]), above)
        return tuple(codes[::-1])

    def decode(self, codes: Sequence[Tensor]) -> Tensor:
        """Pictures of codes `(B, h, w)` a level, finest first."""
        if len(codes) != len(self.levels):
            raise ValueError(
                f"got {len(codes)} maps of codes, expected {len(self.levels)}, finest "
                "first: pass what encode gives"
            )
        levels: Any = reversed(self.levels)
        above = None
        for level, code in zip(levels, reversed(codes), strict=True):
            above = level.generate(level.quantizer.decode(code), above)
        assert above is not None
        return above

    def _coarse_first(self, x: Tensor) -> Iterator[tuple[Any, Tensor]]:
        """The levels with the features of a picture, coarsest first."""
        height, width = x.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"got pictures of {height}x{width}, expected sides in multiples of {self.multiple}"
            )
        levels: list[Any] = list(self.levels)
        features = []
        for level in levels:
            x = level.down(x)
            features.append(x)
        yield from zip(reversed(levels), reversed(features), strict=True)


class VQVAEObjective(nn.Module):
    r"""$-\log p(x | e) + \beta \sum_l |z_l - \mathrm{sg}(e_l)|^2$, summed over a picture, in nats.

    The codebooks follow by moving averages and need no term. The posterior is one code a place
    and the prior while learning uniform: the divergence is the constant $\sum_l h_l w_l \log K_l$
    and is left out.

    Args:
        model: what is trained.
        likelihood: (output, x) -> `(B,)` nats; the Gaussian fits its own scale, so that no
            weight has to be searched for the squared error.
        commitment: β, how much vectors are held to their codes.

    Example:
        >>> objective = VQVAEObjective(VQVAE(channels=1, codes=(8,), width=8, dim=2))
        >>> loss, stats = objective(torch.rand(4, 1, 8, 8), torch.Generator().manual_seed(0))
        >>> sorted(stats)
        ['commitment', 'nats', 'perplexity_0', 'revived_0', 'used_0']
    """

    def __init__(
        self, model: VQVAE, *, likelihood: Likelihood = gaussian, commitment: float = 0.25
    ) -> None:
        super().__init__()
        self.model, self.likelihood, self.commitment = model, likelihood, commitment

    def forward(
        self, batch: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        output, found = self.model(batch, generator=generator)
        nats = -self.likelihood(output, batch).mean()
        commitment = torch.stack([level.commitment for level in found]).sum(0).mean()
        stats = {"nats": nats, "commitment": commitment}
        for n, level in enumerate(found):
            stats |= {f"{name}_{n}": value for name, value in level.stats.items()}
        return nats + self.commitment * commitment, stats


class _Level(nn.Module):
    """One level: down to its features, through its codebook, and up again."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        above: int,
        halvings: int,
        width: int,
        quantizer: VectorQuantizer,
    ) -> None:
        super().__init__()
        dim = quantizer.sums.shape[1]
        self.down = _down(inputs, width, halvings)
        self.project = nn.Conv2d(width + above, dim, 1)
        self.quantizer = quantizer
        self.up = _Up(dim + above, outputs, width, halvings)

    def latent(self, h: Tensor, above: Tensor | None) -> Tensor:
        return self.project(_joined(h, above))

    def generate(self, latent: Tensor, above: Tensor | None) -> Tensor:
        return self.up(_joined(latent, above))


def _joined(x: Tensor, above: Tensor | None) -> Tensor:
    return x if above is None else torch.cat([x, above], 1)


def _down(inputs: int, width: int, halvings: int) -> nn.Sequential:
    """Residual blocks, one after each halving and one more at the end."""
    layers: list[nn.Module] = []
    for channels in (inputs, *[width] * (halvings - 1)):
        layers += [downsample(channels, width), ResidualBlock(width)]
    return nn.Sequential(*layers, ResidualBlock(width), GroupNorm(width))


class _Up(nn.Module):
    """The mirror of `_down`; the output is unbounded."""

    def __init__(self, inputs: int, outputs: int, width: int, halvings: int) -> None:
        super().__init__()
        self.start = nn.Conv2d(inputs, width, 3, padding=1)
        self.blocks = nn.ModuleList([ResidualBlock(width) for _ in range(halvings + 1)])
        self.steps = nn.ModuleList(
            [nn.Conv2d(width, width, 3, padding=1) for _ in range(halvings)]
        )
        self.norm = GroupNorm(width)
        self.out = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks[0](self.start(x))
        for step, block in zip(self.steps, self.blocks[1:], strict=True):
            x = block(step(upsample(x)))
        return self.out(F.silu(self.norm(x)))
