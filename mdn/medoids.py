"""k answers out of the samples themselves: k-medoids over any distance."""

import torch
from torch import Tensor

from mdn.numerics import masses


@torch.no_grad()
def medoids(
    distances: Tensor, k: int, *, weights: Tensor | None = None, swaps: int = 100
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The k samples that stand best for all, the one that stands for most first.

    .. math:: \min_{M \subset \{1 \dots N\}, |M| = k} \sum_i w_i \min_{j \in M} d(i, j)

    Kaufman and Rousseeuw, "Clustering by means of medoids", 1987: built up greedily, then
    improved by the best exchange of a medoid for another sample until none helps. A medoid is a
    sample as it was drawn: where a mean of several motions would blur, it cannot. No chance is
    involved.

    Args:
        distances: `(N, N)`, symmetric, not negative.
        k: 1 to N.
        weights: `(N,)`, not negative, equal by default.
        swaps: at most so many exchanges.

    Returns:
        Numbers of the medoids `(k,)`, their shares of the weight `(k,)`, which do not increase
        and sum to 1, and for each sample which of the k stands for it `(N,)`.

    Example:
        >>> x = torch.tensor([0.0, 0.1, 0.2, 5.0, 5.1])
        >>> medoids((x[:, None] - x).abs(), 2)
        (tensor([1, 3]), tensor([0.6000, 0.4000]), tensor([0, 0, 0, 1, 1]))
    """
    d, mass = _checked(distances, k, weights)
    chosen = _build(d, mass, k)
    for _ in range(swaps):
        gain, out, into = _best_exchange(d, mass, chosen)
        if not gain > 1e-9 * float(mass @ d[:, chosen].amin(1)):
            break
        chosen[out] = into
    labels = d[:, chosen].argmin(1)
    labels[chosen] = torch.arange(k, device=d.device)  # also where two samples are the same
    shares = torch.zeros(k, dtype=mass.dtype, device=d.device).index_add(0, labels, mass)
    shares, order = shares.sort(descending=True, stable=True)
    return chosen[order], (shares / shares.sum()).float(), order.argsort()[labels]


def _checked(distances: Tensor, k: int, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    n = len(distances)
    if distances.dim() != 2 or distances.shape[1] != n or not bool((distances >= 0).all()):
        raise ValueError(
            f"got distances {tuple(distances.shape)}, expected (N, N), finite and none negative"
        )
    if not 1 <= k <= n:
        raise ValueError(f"got k = {k} for {n} samples, expected 1 to {n}: draw more samples")
    d = distances.double()
    return d, masses(weights, d)


def _build(d: Tensor, mass: Tensor, k: int) -> Tensor:
    """One by one, always the sample that helps most."""
    nearest = torch.full_like(mass, torch.inf)
    chosen: list[int] = []
    for _ in range(k):
        cost = mass @ torch.minimum(nearest[:, None], d)  # (N,), if each were the next
        cost[chosen] = torch.inf
        chosen.append(int(cost.argmin()))
        nearest = torch.minimum(nearest, d[:, chosen[-1]])
    return torch.tensor(chosen, device=d.device)


def _best_exchange(d: Tensor, mass: Tensor, chosen: Tensor) -> tuple[float, int, int]:
    """What the best exchange saves, which of the medoids goes and which sample comes."""
    now = d[:, chosen]  # (N, k)
    total = mass @ now.amin(1)
    best = (0.0, 0, 0)
    for out in range(len(chosen)):
        rest = now.clone()
        rest[:, out] = torch.inf
        cost = mass @ torch.minimum(rest.amin(1)[:, None], d)
        cost[chosen] = torch.inf
        into = int(cost.argmin())
        gain = float(total - cost[into])
        if gain > best[0]:
            best = (gain, out, into)
    return best
