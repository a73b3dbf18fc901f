"""k distinct, ordered answers: the modes of a mixture, or the principal points of samples."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from mdn.numerics import EXACT, full, masses, no_autocast

if TYPE_CHECKING:
    from mdn.mixture import GaussianMixture


@torch.no_grad()
def mixture_modes(mixture: "GaussianMixture", steps: int = 50) -> tuple[Tensor, Tensor]:
    r"""Local maxima of a mixture's density, climbed to from the mean of every component.

    .. math:: z \leftarrow \Big(\sum_k r_k(z)\, \Sigma_k^{-1}\Big)^{-1}
              \sum_k r_k(z)\, \Sigma_k^{-1} \mu_k

    with the responsibilities r. It is the fixed point of Carreira-Perpiñán, "Mode-finding for
    mixtures of Gaussian distributions", 2000: it has no step size and never goes down. Two ends
    are the same mode if the density between them never dips; this also discards saddles and
    ends that `steps` left short of their top.

    `mixture` has no batch (take one with `mixture[i]`), K components and D dimensions. Returns
    the modes (M, D), 1 ≤ M ≤ K, densest first, and their log-densities (M,).

    >>> from mdn.mixture import GaussianMixture
    >>> loc = torch.tensor([[-3.0], [3.0], [3.5]])
    >>> points, log_density = mixture_modes(
    ...     GaussianMixture(torch.zeros(3), loc, scale=torch.ones(3, 1)))
    >>> points
    tensor([[ 3.2500],
            [-3.0000]])
    """
    if mixture.batch_shape:
        raise ValueError(
            f"got a batch of mixtures {tuple(mixture.batch_shape)}; each has its own number of "
            "modes, so take them one by one: mixture_modes(mixture[i])"
        )
    points = mixture.loc.clone()  # (K, D)
    with no_autocast(points):
        precision = _precisions(mixture).expand(len(points), -1, -1)  # (K, D, D)
        pull = (precision @ points.unsqueeze(-1)).squeeze(-1)  # (K, D)
        for _ in range(steps):
            weights = mixture.responsibilities(points)  # (M, K)
            total = (weights @ precision.flatten(1)).unflatten(1, precision.shape[1:])
            points = torch.linalg.solve(total, weights @ pull)
    density = mixture.log_prob(points)
    density, order = density.sort(descending=True, stable=True)
    points = points[order]
    kept = [0]
    for i in range(1, len(points)):
        if _dips(mixture, points[i], points[kept]):
            kept.append(i)
    return points[kept], density[kept]


def _precisions(mixture: "GaussianMixture") -> Tensor:
    if mixture.diagonal:
        return mixture.scale.square().reciprocal().diag_embed()  # (K or 1, D, D)
    return torch.cholesky_inverse(mixture.scale_tril)


def _dips(mixture: "GaussianMixture", point: Tensor, others: Tensor, slack: float = 1e-3) -> bool:
    # Whether a valley parts `point` from every one of the `others`, all at least as dense as it.
    # `slack`, in nats, is above rounding and below any dip worth the name.
    t = torch.linspace(0, 1, 33, dtype=point.dtype, device=point.device)[1:-1]
    between = point + t[:, None, None] * (others - point)  # (T, M, D)
    lowest = mixture.log_prob(between).amin(0)
    return bool((lowest < mixture.log_prob(point) - slack).all())


@torch.no_grad()
def principal_points(
    samples: Tensor,
    k: int,
    *,
    weights: Tensor | None = None,
    iterations: int = 25,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""The k points that stand best for a set of samples, the one with most of them first.

    .. math:: \min_{a_1, \dots, a_k} \mathbb{E} \min_j \lVert z - a_j \rVert^2

    Flury, "Principal points", 1990: these are the k answers with the least expected squared
    error of the best of k. Found by k-means++ (Arthur and Vassilvitskii, 2007) and at most
    `iterations` rounds of Lloyd's algorithm; a point that loses its last sample moves to the
    sample farthest from its own point.

    `samples` (N, D) with N ≥ k; `weights` (N,), not negative, equal by default. Returns the
    points (k, D), their shares (k,) of the weight, which do not increase and sum to 1, and for
    each sample its point (N,). There are always k points: with fewer than k distinct samples
    some of them are the same, and the spare ones have share 0. The same `generator` state gives
    the same answer.

    >>> samples = torch.tensor([[0.0], [0.2], [5.0], [5.1], [5.2]])
    >>> points, shares, labels = principal_points(
    ...     samples, 2, generator=torch.Generator().manual_seed(0))
    >>> points.squeeze(1), shares, labels
    (tensor([5.1000, 0.1000]), tensor([0.6000, 0.4000]), tensor([1, 1, 0, 0, 0]))
    """
    x, mass = _checked(samples, k, weights)
    centre = x.mean(0)
    x = x - centre  # so that the distances by matrix product below lose no digits
    norm = x.square().sum(1)
    points = _seed(x, mass, k, generator)
    labels = x.new_full((len(x),), -1, dtype=torch.long)
    with no_autocast(x):
        for _ in range(iterations):
            previous, (labels, best) = labels, _nearest(x, points)
            if torch.equal(labels, previous):
                break
            members = one_hot(labels, k).to(x.dtype) * mass.unsqueeze(1)  # (N, k)
            total = members.sum(0)
            points = members.T @ x / total.clamp_min(torch.finfo(x.dtype).tiny).unsqueeze(1)
            empty = (total == 0).nonzero().squeeze(1)
            distance = (best + norm).clamp_min(0) * (mass > 0)
            points[empty] = x[distance.topk(len(empty)).indices]
        labels, _ = _nearest(x, points)
        shares = mass @ one_hot(labels, k).to(mass)
    shares, order = shares.sort(descending=True, stable=True)
    return points[order] + centre, shares / shares.sum(), order.argsort()[labels]


def central(samples: Tensor, share: float) -> Tensor:
    """The samples that lie most among the others, to be kept when the rest is trimmed away.

    A mixture's rare wide component throws single draws far out, and each would take one of the k
    points for itself alone; hence trimmed k-means (García-Escudero et al., 2008).

    Args:
        samples: (N, D).
        share: how much to keep, in (0, 1].

    Returns:
        Row numbers `(n,)` in increasing order, n = N times `share`, rounded: those of least mean
        distance to all samples.

    >>> central(torch.tensor([[0.0], [9.0], [0.1], [-0.1]]), 0.75)
    tensor([0, 2, 3])
    """
    if samples.dim() != 2 or not 0 < share <= 1:
        raise ValueError(
            f"got samples {tuple(samples.shape)} and share {share}; expected (N, D) and in (0, 1]"
        )
    distance = torch.cdist(samples, samples).mean(1)
    kept = max(1, round(share * len(samples)))
    return distance.topk(kept, largest=False).indices.sort().values


def _checked(samples: Tensor, k: int, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    if samples.dim() != 2:
        raise ValueError(f"got samples of shape {tuple(samples.shape)}; expected (N, D)")
    if not 1 <= k <= len(samples):
        raise ValueError(
            f"got k = {k} for {len(samples)} samples; expected 1 to {len(samples)}: "
            "draw more samples or ask for fewer points"
        )
    x = full(samples)
    return x, masses(weights, x)


def _seed(x: Tensor, mass: Tensor, k: int, generator: torch.Generator | None) -> Tensor:
    # k-means++: every further point is a sample drawn in proportion to its squared distance from
    # the points so far. By plain differences, so that a sample's own copies are at distance 0.
    device = x.device if generator is None else generator.device
    distance = torch.ones_like(mass)
    chosen = []
    for _ in range(k):
        odds = distance * mass
        odds = torch.where(odds.sum() > 0, odds, mass)  # every distinct sample is taken
        chosen.append(torch.multinomial(odds.to(device), 1, generator=generator).to(x.device))
        step = torch.cdist(x, x[chosen[-1]], compute_mode=EXACT).square().squeeze(1)
        distance = step if len(chosen) == 1 else torch.minimum(distance, step)
    return x[torch.cat(chosen)]


def _nearest(x: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    # The nearest point to each sample, and its squared distance less ‖x‖², by one matrix product.
    best, labels = (points.square().sum(1) - 2 * (x @ points.T)).min(1)
    return labels, best
