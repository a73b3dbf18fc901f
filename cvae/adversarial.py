"""Learned similarity: a discriminator that says what is wrong with a picture, and what with two.

Larsen, Sønderby, Larochelle & Winther (2016), *Autoencoding beyond pixels using a learned
similarity metric*, with what has since made such training calm: R1 (Mescheder et al., 2018),
the same differentiable augmentation of real and generated pictures (Zhao et al., 2020), and a
condition that meets the features by projection (Miyato & Koyama, 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cvae.layers import downsample


@dataclass(frozen=True)
class Verdict:
    """What a discriminator says of pictures."""

    logit: Tensor  # (B,): above 0, real
    features: list[Tensor]  # maps (B, C, h, w), finest first, that likeness is measured in
    condition: Tensor  # (B, A): logits of what the condition seems to be


class Discriminator(nn.Module):
    """Picture and condition -> how real, and what it seems to show.

    No normalisation: with R1 none is needed, and it would tie the pictures of a batch together.
    The spread of the batch (Karras et al., 2018, section 3) is one more feature before the end, so
    that a generator which makes one picture for all is seen.

    It may see what another, trained network sees too (Sauer et al., 2021, *Projected GANs*): what
    is false about a picture's meaning is then known at once and need not be learnt on the way.

    Shapes: x `(B, channels, size, size)`, c `(B, conditions)` with 0 where a condition is open,
    sights maps `(B, C, h, w)`, one for each level and one for the coarsest map.

    Args:
        widths: channels of the levels, finest first; the first works at half of `size`.
        sights: channels of the other network's maps, finest first; none without one.

    Example:
        >>> judge = Discriminator(channels=3, size=32, conditions=5, widths=(8, 16))
        >>> verdict = judge(torch.zeros(4, 3, 32, 32), torch.zeros(4, 5))
        >>> verdict.logit.shape, [tuple(f.shape) for f in verdict.features]
        (torch.Size([4]), [(4, 8, 16, 16), (4, 16, 8, 8)])
    """

    def __init__(
        self,
        *,
        channels: int,
        size: int,
        conditions: int,
        widths: Sequence[int] = (32, 64, 128),
        sights: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if sights and len(sights) != len(widths) + 1:
            raise ValueError(
                f"got {len(sights)} sights for {len(widths)} levels, expected one more than levels"
            )
        if size % 2 ** (len(widths) + 1):
            raise ValueError(
                f"got pictures of {size} pixels and {len(widths)} levels, "
                f"expected a multiple of {2 ** (len(widths) + 1)}"
            )
        last, places = widths[-1], (size // 2 ** (len(widths) + 1)) ** 2
        self.stem = nn.Conv2d(4 * channels, widths[0], 3, padding=1)
        self.levels = nn.ModuleList([nn.Conv2d(w, w, 3, padding=1) for w in widths])
        self.steps = nn.ModuleList(
            [downsample(a, b) for a, b in zip(widths, (*widths[1:], last), strict=True)]
        )
        into = (*widths, last) if sights else ()
        self.eyes = nn.ModuleList([nn.Conv2d(a, b, 1) for a, b in zip(sights, into, strict=True)])
        self.read = nn.Linear((last + 1) * places, 2 * last)
        self.real = nn.Linear(2 * last, 1)
        self.projection = nn.Linear(conditions, 2 * last, bias=False)
        self.condition = nn.Linear(2 * last, conditions)
        for layer in self.modules():  # He et al. (2015): else differences fade from level to level
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.2)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, c: Tensor, sights: Sequence[Tensor] = ()) -> Verdict:
        if len(sights) != len(self.eyes):
            raise ValueError(f"got {len(sights)} sights, expected {len(self.eyes)}")
        seen: list[Tensor | float] = [
            F.leaky_relu(eye(F.group_norm(sight, 1)), 0.2)
            for eye, sight in zip(self.eyes, sights, strict=True)
        ] or [0.0] * (len(self.levels) + 1)
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(x, 2)), 0.2)
        features = []
        for level, step, more in zip(self.levels, self.steps, seen[:-1], strict=True):
            x = x + more
            x = (x + F.leaky_relu(level(x), 0.2)) / 2**0.5
            features.append(x)
            x = F.leaky_relu(step(x), 0.2)
        x = x + seen[-1]
        h = torch.cat([x, spread_of_batch(x)], 1).flatten(1)
        h = F.leaky_relu(self.read(h), 0.2)
        match = (self.projection(c) * h).sum(1) / h.shape[1] ** 0.5
        return Verdict(self.real(h)[:, 0] + match, features, self.condition(h))

    def perceive(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features and condition of pictures of which nothing is said."""
        verdict = self(x, x.new_zeros(len(x), self.condition.out_features))
        return verdict.features, verdict.condition


def spread_of_batch(x: Tensor, *, group: int = 4) -> Tensor:
    """Mean standard deviation within groups of a batch as one constant map, `(B, 1, h, w)`.

    Groups are strided, of the largest size up to `group` that divides the batch; one picture alone
    has no spread, and so has a batch of none but its own.

    Example:
        >>> x = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
        >>> spread_of_batch(x).flatten()
        tensor([1., 1.])
    """
    batch, _, h, w = x.shape
    size = next(g for g in range(min(group, batch), 0, -1) if batch % g == 0)
    y = x.float().view(size, batch // size, *x.shape[1:])
    variance = (y - y.mean(0)).square().mean(0)
    deviation = (variance + 1e-8).sqrt().mean((1, 2, 3))  # (B / size,)
    return deviation.to(x.dtype).repeat(size).view(batch, 1, 1, 1).expand(-1, -1, h, w)


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of the discriminator on logits `(B,)` of real and of generated pictures.

    Goodfellow et al. (2014), Eq. 1, as softplus, so that it never overflows.

    Example:
        >>> discriminator_loss(torch.zeros(2), torch.zeros(2))
        tensor(1.3863)
    """
    return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def generator_loss(fake: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Non-saturating loss of the generator, -log D(G(z)) (Goodfellow et al., 2014, section 3).

    Shapes: logits `(B,)`, and how much each picture counts, of the same shape.

    Example:
        >>> generator_loss(torch.zeros(2)), generator_loss(torch.zeros(2), torch.tensor([1.0, 3]))
        (tensor(0.6931), tensor(1.3863))
    """
    return (weight * F.softplus(-fake.float())).mean()


def r1_penalty(logit: Tensor, x: Tensor) -> Tensor:
    r"""$\frac12 \|\nabla_x D(x)\|^2$ on real pictures, mean over the batch.

    Mescheder, Geiger & Nowozin (2018), Eq. 9: a discriminator may not be steep where it is right.

    Args:
        logit: `(B,)`, computed from `x`.
        x: `(B, ...)`, which requires a gradient.

    Example:
        >>> x = torch.ones(1, 2, requires_grad=True)
        >>> r1_penalty((3 * x).sum(1), x).item()
        9.0
    """
    (slope,) = torch.autograd.grad(logit.sum(), x, create_graph=True)
    return 0.5 * slope.float().square().flatten(1).sum(1).mean()


def learned_similarity(seen: Sequence[Tensor], meant: Sequence[Tensor]) -> Tensor:
    r"""$-\log p(D_l(x)|z)$ up to constants, summed over features and levels, `(B,)` nats.

    A Gaussian around the features of the reconstruction (Larsen et al., 2016, Eq. 7) with the
    variance at its optimum for the batch in every channel, so that no level drowns another and a
    discriminator whose features grow does not buy itself weight. The features of the data are
    constants: whoever trains the discriminator on this would shrink them.

    Args:
        seen: features of the data, `(B, C, h, w)` a level.
        meant: those of its reconstruction.
    """
    total = seen[0].new_zeros(len(seen[0]), dtype=torch.float32)
    for a, b in zip(seen, meant, strict=True):
        target = a.detach().float()
        squares = (target - b.float()).square()
        middle = target.mean((0, 2, 3), keepdim=True)
        scale = (target - middle).square().mean((0, 2, 3), keepdim=True) + 1e-6
        share = squares / scale
        noise = share.mean((0, 2, 3), keepdim=True).detach().clamp(min=1e-3)
        total = total + 0.5 * (share / noise + noise.log()).sum((1, 2, 3))
    return total


def augment(x: Tensor, generator: torch.Generator, *, strength: float = 1.0) -> Tensor:
    """The same kinds of change for real and generated pictures, so that few data do not suffice
    to be learnt by heart: brightness, saturation, contrast, a shift, a hole.

    Zhao et al. (2020), section 3.2; differentiable in x. Pictures `(B, C, H, W)` in [-1, 1];
    `strength` in [0, 1] scales all of it, 0 gives x itself.
    """
    if not strength:
        return x
    batch, _, height, width = x.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator, device=x.device)

    x = x + strength * (uniform(1, 1, 1) - 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + strength * (2 * uniform(1, 1, 1) - 1))
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * (1 + strength * (uniform(1, 1, 1) - 0.5))
    reach = strength / 8
    rows = (
        torch.arange(height, device=x.device)
        - ((2 * uniform(1) - 1) * (reach * height + 0.5)).round()
    )
    columns = (
        torch.arange(width, device=x.device)
        - ((2 * uniform(1) - 1) * (reach * width + 0.5)).round()
    )
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
    n = torch.arange(batch, device=x.device)[:, None, None]
    r = rows.clamp(0, height - 1).long()[:, :, None]
    c = columns.clamp(0, width - 1).long()[:, None, :]
    x = x.permute(0, 2, 3, 1)[n, r, c].permute(0, 3, 1, 2) * inside[:, None]
    half = strength / 4  # of the side, so that a hole has up to half of it
    far_y = (torch.arange(height, device=x.device) / height - uniform(1)).abs() > half
    far_x = (torch.arange(width, device=x.device) / width - uniform(1)).abs() > half
    return x * (far_y[:, :, None] | far_x[:, None, :])[:, None]


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)
