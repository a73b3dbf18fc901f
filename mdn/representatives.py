"""k answers that stand for many draws: between the best guesses and the likeness of a law."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mdn.numerics import EXACT, masses


@torch.no_grad()
def representatives(
    draws: Tensor,
    start: Tensor,
    *,
    weights: Tensor | None = None,
    rounds: int = 4,
    least: float,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Move k answers to where they stand better for N draws, the one with most of them first.

    .. math:: \min_a \sum_n w_n \min_j d(y_n, a_j) + \frac1k \sum_{n,j} w_n d(y_n, a_j)
              - \frac{1}{2 k^2} \sum_{j,l} d(a_j, a_l),
              \quad d(a, b) = \frac1C \sum_c \| a_c - b_c \|

    What the best of k misses by, as principal points have it (Flury, 1990), and the energy score
    of the k as a law, as support points have it (Mak and Joseph, "Support points", 2018). Every
    round bounds each distance from above by a parabola, and each distance with a minus by a
    plane, and goes to the least of that (their section 4.1; Weiszfeld, 1937, with one answer): it
    never makes the sum larger. In every place c an answer is a weighted mean of the draws, pushed
    away from the other answers. After few rounds an answer is still the likeness of the one that
    it began as; after many the k have come as near to each other as the energy score asks.

    Args:
        draws: `(N, C, D)`: C places, D numbers in each.
        start: `(k, C, D)`; medoids, say.
        weights: `(N,)`, not negative, equal by default.
        rounds: 0 only counts whom each stands for.
        least: below it a distance d counts as d² / (2 least) + least / 2 (Huber, 1964): what
            begins on a draw would else never leave it.

    Returns:
        The answers `(k, C, D)`, their shares of the weight `(k,)`, which do not increase and sum
        to 1, and for each draw which of the k is nearest `(N,)`.

    Raises:
        ValueError: shapes that do not go together, or weights that are no weights.

    Example:
        >>> draws = torch.tensor([0.0, 0.1, 0.2, 5.0, 5.2]).view(5, 1, 1)
        >>> answers, shares, _ = representatives(draws, draws[[0, 3]], rounds=50, least=0.01)
        >>> (10 * answers.flatten()).round() / 10, shares
        (tensor([0.1000, 5.0000]), tensor([0.6000, 0.4000]))
    """
    if draws.dim() != 3 or start.dim() != 3 or start.shape[1:] != draws.shape[1:]:
        raise ValueError(
            f"got draws {tuple(draws.shape)} and answers {tuple(start.shape)}, expected (N, C, D) "
            "and (k, C, D)"
        )
    mass = masses(weights, draws)
    y, a = draws.transpose(0, 1).contiguous(), start.transpose(0, 1).contiguous()  # places first
    k = a.shape[1]
    for _ in range(rounds):
        d = torch.cdist(y, a, compute_mode=EXACT)  # (C, N, k)
        pull = mass[:, None] * (one_hot(d.mean(0).argmin(1), k) + 1 / k) / d.clamp_min(least)
        between = a[:, :, None] - a[:, None]  # (C, k, k, D)
        push = (between / between.norm(dim=3, keepdim=True).clamp_min(least)).sum(2) / k**2
        a = (pull.transpose(1, 2) @ y + push) / pull.sum(1)[:, :, None]
    labels = torch.cdist(y, a, compute_mode=EXACT).mean(0).argmin(1)
    shares = mass.new_zeros(k).index_add(0, labels, mass)
    shares, order = shares.sort(descending=True, stable=True)
    return a.transpose(0, 1)[order].contiguous(), shares, order.argsort()[labels]
