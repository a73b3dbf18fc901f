"""Scores that hold a known factor fixed and ask what of a representation stays still.

They take `represent`, which makes representations `(N, D)` of factors `(N, K)` that they choose:
draw the pictures, encode them, return the means. Factors are whole numbers from 0, independent
and evenly spread; `sizes` says how many values each has.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cvae.readout import LinearReadout

Represent = Callable[[Tensor], Tensor]

BLOCK = 4096  # inputs that are represented at once
REFERENCE = 10_000  # inputs that the spread of a latent is measured on


def draw_factors(sizes: Sequence[int], n: int, generator: torch.Generator | None) -> Tensor:
    """n rows of factors, all values equally likely and independent, `(n, K)`.

    Example:
        >>> draw_factors((3, 40), 5, torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    uniform = torch.rand(n, len(sizes), dtype=torch.float64, generator=generator)
    return (uniform * torch.tensor(sizes)).long()


def beta_vae(
    represent: Represent,
    sizes: Sequence[int],
    *,
    points: int = 1000,
    pairs: int = 64,
    seed: int = 0,
) -> float:
    r"""BetaVAE metric: which factor did all pairs share? Accuracy of a linear classifier.

    .. math:: z_{\mathrm{diff}} = \frac1L \sum_{l=1}^{L} | z^{(1)}_l - z^{(2)}_l |

    over L pairs that agree in one factor; Higgins et al. (2017), section 3. Chance is 1/K. It
    forgives a rotation: the readout may use all latents for a factor. The classifier is
    `LinearReadout`, so that the scale of a latent does not matter either.

    Args:
        represent: factors `(N, K)` -> representations `(N, D)`.
        points: differences to learn from, and as many again to judge by; each costs 2 `pairs`.

    Example:
        >>> beta_vae(torch.Tensor.float, (3, 5, 4), points=50)
        1.0
    """
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randint(len(sizes), (2 * points,), generator=generator)
    rows = shared.repeat_interleave(pairs)[:, None]
    first, second = (draw_factors(sizes, len(rows), generator) for _ in range(2))
    second.scatter_(1, rows, first.gather(1, rows))
    gaps = (encode(represent, first) - encode(represent, second)).abs()
    difference = gaps.view(2 * points, pairs, -1).mean(1)
    readout = LinearReadout(difference[:points], shared[:points])
    return (readout(difference[points:]) == shared[points:]).double().mean().item()


def factor_vae(
    represent: Represent,
    sizes: Sequence[int],
    *,
    points: int = 800,
    group: int = 64,
    dead: float = 0.05,
    seed: int = 0,
) -> float:
    r"""FactorVAE metric: does the stillest latent tell which factor was fixed? Accuracy.

    .. math:: d^* = \arg\min_d \mathrm{Var}_l [ z_{l,d} ] \, / \, \mathrm{Var} [ z_d ]

    over a group of inputs that agree in one factor; the factor most often fixed where d* is the
    stillest is its answer, Kim & Mnih (2018), section 4. Chance is 1/K.

    Args:
        represent: factors `(N, K)` -> representations `(N, D)`.
        points: votes to learn from, and as many again to judge by; each costs a `group`.
        dead: latents of at most this standard deviation have no vote: under a standard normal
            prior they carry nothing, and their small noise would be blown up. For representations
            of another scale pass 0.

    Example:
        >>> factor_vae(torch.Tensor.float, (3, 5, 4), points=50)
        1.0
    """
    generator = torch.Generator().manual_seed(seed)
    variance = encode(represent, draw_factors(sizes, REFERENCE, generator)).var(0)
    alive = (variance.sqrt() > dead).nonzero()[:, 0]
    if len(alive) == 0:
        return 1 / len(sizes)  # all the same to it: chance
    fixed = torch.randint(len(sizes), (2 * points,), generator=generator)
    factors = draw_factors(sizes, 2 * points * group, generator).view(2 * points, group, -1)
    every = torch.arange(2 * points)
    factors[every, :, fixed] = factors[every, 0, fixed][:, None]
    z = encode(represent, factors.flatten(0, 1)).view(2 * points, group, -1)[..., alive]
    still = (z.var(1) / variance[alive]).argmin(1)
    votes = torch.zeros(len(alive), len(sizes), dtype=torch.long)
    votes.index_put_((still[:points], fixed[:points]), torch.ones(()).long(), accumulate=True)
    return (votes.argmax(1)[still[points:]] == fixed[points:]).double().mean().item()


def encode(represent: Represent, factors: Tensor) -> Tensor:
    """Representations of all rows, a block at a time, `(N, D)` float64 on the CPU."""
    with torch.no_grad():
        return torch.cat([represent(part).cpu().double() for part in factors.split(BLOCK)])
