"""A law over maps of codes, one place after another: the gated PixelCNN.

Van den Oord, Kalchbrenner, Vinyals, Espeholt, Graves & Kavukcuoglu (2016), *Conditional image
generation with PixelCNN decoders*. Over binary pixels it is a model of pictures, over the codes of
a VQ-VAE its prior; either way log-probabilities are exact.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.layers import ResidualBlock, upsample


class PixelCNN(nn.Module):
    r"""$p(x | c) = \prod_i p(x_i | x_{<i}, c)$ over maps of K codes, i in reading order.

    Two stacks of gated convolutions read the map: the vertical one all rows above a place, the
    horizontal one what is left of it in its row, and the first tells the second. Together they
    see every earlier place (no blind spot) once `blocks * (kernel // 2)` spans the map. Where the
    paper masks kernels (A at first, then B), here the input is shifted by one row and by one
    column and kernels are cut to what a mask would leave: the same law, half the products.

    Shapes: codes `(B, H, W)` long in [0, K) of any size; condition as `condition` takes it.

    Args:
        codes: K; 2 for binary pixels.
        width: channels inside.
        blocks: gated layers.
        kernel: side of the full kernel, odd.
        condition: c -> features `(B, D)`, or a map of them `(B, D, H, W)`, such as
            `nn.Embedding(10, 32)` for classes, `nn.Identity()` for vectors, or `CodeContext`.
            Left out, the model takes no condition.
        features: D.

    Example:
        >>> classes = nn.Embedding(10, 4)
        >>> prior = PixelCNN(codes=8, width=16, blocks=3, condition=classes, features=4)
        >>> digit = torch.tensor([3, 3, 7])
        >>> codes = prior.sample((3, 7, 7), digit, generator=torch.Generator().manual_seed(0))
        >>> codes.shape, prior.log_prob(codes, digit).shape
        (torch.Size([3, 7, 7]), torch.Size([3]))
    """

    def __init__(
        self,
        *,
        codes: int,
        width: int = 64,
        blocks: int = 10,
        kernel: int = 5,
        condition: nn.Module | None = None,
        features: int = 0,
    ) -> None:
        super().__init__()
        if kernel < 3 or kernel % 2 == 0:
            raise ValueError(f"got a kernel of {kernel}, expected an odd one of at least 3")
        if (condition is None) != (features == 0):
            raise ValueError(
                f"got {features} features and {'no' if condition is None else 'a'} condition, "
                "expected both or neither"
            )
        self.reach = kernel // 2
        self.condition = condition
        self.embedding = nn.Embedding(codes, width)
        self.blocks = nn.ModuleList(
            [_GatedBlock(width=width, reach=self.reach, features=features) for _ in range(blocks)]
        )
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, codes, 1)
        )

    def forward(self, codes: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits of every place given all earlier ones, `(B, K, H, W)`."""
        x = self._embedded(codes)
        # shifted: whatever a layer reads at a place is from rows above it, or from its left
        v = F.pad(x, (0, 0, 1, 0))[:, :, :-1]
        h = F.pad(x, (1, 0))[..., :-1]
        layers: Any = zip(self.blocks, self._biases(condition, codes.shape), strict=True)
        for block, bias in layers:
            v, down = block.vertical(F.pad(v, (0, 0, self.reach, 0)), bias)
            h = block.horizontal(F.pad(h, (self.reach, 0)), down, bias)
        return self.head(h)

    def log_prob(self, codes: Tensor, condition: Tensor | None = None) -> Tensor:
        """Log-probability of maps `(B, H, W)`: `(B,)` nats, exact."""
        logits = self(codes, condition).float()
        return -F.cross_entropy(logits, codes, reduction="none").flatten(1).sum(1)

    @torch.no_grad()
    def sample(
        self,
        shape: Sequence[int],
        condition: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw maps of `shape` (B, H, W), place by place; `temperature` > 0 divides the logits.

        Each layer keeps the few rows and columns that it will read again, so that a row costs one
        pass of the vertical stack over it, and a place one of the horizontal stack over itself.
        """
        if not temperature > 0:
            raise ValueError(f"got temperature {temperature}, expected one above 0")
        batch, height, width = shape
        weight = self.embedding.weight
        biases = self._biases(condition, shape)
        codes = torch.zeros(batch, height, width, dtype=torch.int64, device=weight.device)
        row = weight.new_zeros(batch, weight.shape[1], 1, width)  # above the first there is none
        rows = [row.expand(-1, -1, self.reach, -1)] * len(self.blocks)
        for i in range(height):
            downs = self._read_row(row, rows, [b[:, :, i : i + 1] for b in biases])
            place = weight.new_zeros(batch, weight.shape[1], 1, 1)
            columns = [place.expand(-1, -1, -1, self.reach)] * len(self.blocks)
            for j in range(width):
                here = [b[:, :, i : i + 1, j : j + 1] for b in biases]
                logits = self._read_place(place, columns, [d[..., j : j + 1] for d in downs], here)
                p = (logits.float() / temperature).softmax(1)
                codes[:, i, j] = torch.multinomial(p, 1, generator=generator)[:, 0]
                place = self._embedded(codes[:, i : i + 1, j : j + 1])
            row = self._embedded(codes[:, i : i + 1])
        return codes

    def _read_row(self, v: Tensor, rows: list[Tensor], biases: list[Tensor]) -> list[Tensor]:
        """The vertical stack over one more row `(B, C, 1, W)`: what each layer passes down."""
        blocks: Any = self.blocks
        downs = []
        for n, (block, bias) in enumerate(zip(blocks, biases, strict=True)):
            window = torch.cat([rows[n], v], 2)
            rows[n] = window[:, :, 1:]
            v, down = block.vertical(window, bias)
            downs.append(down)
        return downs

    def _read_place(
        self, h: Tensor, columns: list[Tensor], downs: list[Tensor], biases: list[Tensor]
    ) -> Tensor:
        """The horizontal stack over one more place `(B, C, 1, 1)`: the logits `(B, K)` there."""
        blocks: Any = self.blocks
        for n, (block, down, bias) in enumerate(zip(blocks, downs, biases, strict=True)):
            window = torch.cat([columns[n], h], 3)
            columns[n] = window[..., 1:]
            h = block.horizontal(window, down, bias)
        return self.head(h)[:, :, 0, 0]

    def _embedded(self, codes: Tensor) -> Tensor:
        if codes.dim() != 3 or codes.is_floating_point():
            raise ValueError(
                f"got codes {tuple(codes.shape)} of {codes.dtype}, expected whole numbers "
                "(B, H, W): for binary pictures `x[:, 0].long()`"
            )
        return self.embedding(codes).movedim(-1, 1)  # (B, C, H, W)

    def _biases(self, condition: Tensor | None, shape: Sequence[int]) -> list[Tensor]:
        """What the condition adds in every layer, `(B or 1, 4 C, H, W)`."""
        batch, *size = shape
        if (condition is None) != (self.condition is None):
            raise ValueError(
                f"got {'no' if condition is None else 'a'} condition, expected "
                f"{'none' if self.condition is None else 'one'}: as the model was built"
            )
        if self.condition is None:
            features = self.embedding.weight.new_zeros(1, 0, 1, 1)
        else:
            features = self.condition(condition)
            features = features[:, :, None, None] if features.dim() == 2 else features
            if len(features) != batch or list(features.shape[2:]) not in ([1, 1], size):
                raise ValueError(
                    f"got a condition with features {tuple(features.shape)} for codes "
                    f"{tuple(shape)}, expected {batch} of them, vectors or maps of that size"
                )
        blocks: Any = self.blocks
        return [block.bias(features).expand(-1, -1, *size) for block in blocks]


class CodeContext(nn.Module):
    """Codes of a coarser level -> features at every place of the finer one, for its prior.

    Shapes: `(B, h, w)` long -> `(B, features, h * 2**halvings, w * 2**halvings)`.

    Example:
        >>> context = CodeContext(codes=64, features=16)
        >>> prior = PixelCNN(codes=128, width=16, blocks=2, condition=context, features=16)
        >>> coarse = torch.zeros(5, 4, 4, dtype=torch.int64)
        >>> prior.sample((5, 8, 8), coarse).shape
        torch.Size([5, 8, 8])
    """

    def __init__(self, *, codes: int, features: int, halvings: int = 1, blocks: int = 2) -> None:
        super().__init__()
        self.halvings = halvings
        self.embedding = nn.Embedding(codes, features)
        self.blocks = nn.Sequential(*[ResidualBlock(features) for _ in range(blocks)])

    def forward(self, codes: Tensor) -> Tensor:
        x = self.blocks(self.embedding(codes).movedim(-1, 1))
        for _ in range(self.halvings):
            x = upsample(x)
        return x


class PixelCNNObjective(nn.Module):
    """-log p(codes | condition) in nats a map, for batches of codes or of (codes, condition).

    Example:
        >>> objective = PixelCNNObjective(PixelCNN(codes=2, width=8, blocks=2))
        >>> loss, stats = objective(torch.zeros(4, 5, 5, dtype=torch.int64), None)
        >>> sorted(stats)
        ['bits', 'nats']
    """

    def __init__(self, model: PixelCNN) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: Tensor | tuple[Tensor, Tensor], generator: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        codes, condition = (batch, None) if isinstance(batch, Tensor) else batch
        nats = -self.model.log_prob(codes, condition).mean()
        return nats, {"nats": nats, "bits": nats / (math.log(2) * codes[0].numel())}  # a place


class _GatedBlock(nn.Module):
    r"""One layer of both stacks, each with the gate $\tanh(a) \odot \sigma(b)$ (their Fig. 2).

    Both stacks are residual (theirs is only the horizontal one): a gate passes about a third of
    what comes in, and below ten of them nothing would be left of a row.
    """

    def __init__(self, *, width: int, reach: int, features: int) -> None:
        super().__init__()
        self.reach, self.width = reach, width
        self.above = nn.Conv2d(
            width, 2 * width, (reach + 1, 2 * reach + 1), padding=(0, reach)
        )  # of rows as they are handed in, padded to all columns
        self.left = nn.Conv2d(width, 2 * width, (1, reach + 1))
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.project = nn.Conv2d(features, 4 * width, 1, bias=False) if features else None

    def bias(self, features: Tensor) -> Tensor:
        """Features `(B, D, h, w)` -> what both stacks add, `(B, 4 C, h, w)`."""
        if self.project is None:
            return features.new_zeros(1, 4 * self.width, 1, 1)
        return self.project(features)

    def vertical(self, window: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Rows with `reach` more above them -> the rows anew, and what the other stack hears."""
        x = self.above(window)
        v = window[:, :, self.reach :] + _gate(x + bias[:, : 2 * self.width])
        return v, self.down(x)

    def horizontal(self, window: Tensor, down: Tensor, bias: Tensor) -> Tensor:
        """Columns with `reach` more on their left -> the columns anew."""
        x = self.left(window) + down + bias[:, 2 * self.width :]
        return window[..., self.reach :] + self.out(_gate(x))


def _gate(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return a.tanh() * b.sigmoid()
