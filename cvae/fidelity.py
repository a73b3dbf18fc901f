"""How real a set of samples is: sets compared in a feature space, scores of a judge, sharpness.

Features `(N, F)` are whatever a network of the caller's makes of the samples; the figures mean
something only beside those of real against real, from the same network and as many samples.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1024  # rows a side whose distances are in memory at once
BAND = 0.25  # cycles per pixel, half of what pixels can carry (the Nyquist frequency is 0.5)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def frechet_distance(a: Tensor, b: Tensor) -> float:
    r"""Squared Fréchet distance between two sets as if each were Gaussian; 0 is the best.

    .. math:: \lVert \mu_a - \mu_b \rVert^2
              + \mathrm{tr}(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2})

    Dowson & Landau (1982), Heusel et al. (2017). The trace of the root is computed as the sum of
    singular values of $\Sigma_a^{1/2} \Sigma_b^{1/2}$, with symmetric roots: real, and stable
    also where fewer samples than features make a covariance singular. The estimate is biased
    upwards, the more the fewer the samples: compare sets of one size.

    Shapes: a `(N, F)`, b `(M, F)`, both N and M at least 2; in squared units of the features.

    Example:
        >>> a = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> round(frechet_distance(a, a + torch.tensor([3.0, 0.0, 4.0])), 4)
        25.0
    """
    _same_features(a, b, least=2)
    roots = [_root(torch.atleast_2d(x.double().T.cov())) for x in (a, b)]
    shift = (a.double().mean(0) - b.double().mean(0)).square().sum()
    traces = roots[0].square().sum() + roots[1].square().sum()
    shared = torch.linalg.svdvals(roots[0] @ roots[1]).sum()
    return max((shift + traces - 2 * shared).item(), 0.0)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root; what rounding has made negative is 0."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def _same_features(a: Tensor, b: Tensor, *, least: int) -> None:
    fit = a.dim() == b.dim() == 2 and a.shape[1] == b.shape[1]
    if not fit or min(len(a), len(b)) < least:
        raise ValueError(
            f"got features {tuple(a.shape)} and {tuple(b.shape)}, expected (N, F) and (M, F) "
            f"with at least {least} rows each"
        )
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("got features that are not finite, expected numbers only")


class DensityCoverage(NamedTuple):
    """Fidelity and diversity of a set: both near 1 for samples of the real distribution."""

    density: float
    coverage: float


def density_coverage(real: Tensor, fake: Tensor, k: int = 5) -> DensityCoverage:
    r"""How deep fakes lie among the real, and how much of the real has a fake nearby.

    .. math:: \mathrm{density} = \frac{1}{kM} \sum_{j=1}^{M} \sum_{i=1}^{N} 1_{Y_j \in B_i},
              \quad \mathrm{coverage} = \frac1N \sum_{i=1}^{N} 1_{\exists j: Y_j \in B_i}

    with B_i the ball around real sample X_i that reaches to its k-th nearest real neighbour;
    Naeem et al. (2020), Eqs. 3 and 4. For samples of the real distribution density is 1 in
    expectation and may exceed 1; coverage is about 1 - 2^-k where N = M, and at most 1.

    Shapes: real `(N, F)`, fake `(M, F)`, N above k.

    Example:
        >>> real = torch.arange(10.0)[:, None]
        >>> density_coverage(real, real[:5], k=1)
        DensityCoverage(density=2.8, coverage=0.6)
    """
    _same_features(real, fake, least=1)
    if not 1 <= k < len(real):
        raise ValueError(f"got k={k}, expected 1 to {len(real) - 1}: fewer than real samples")
    radius = _smallest(real, real, k + 1)[0][:, -1]  # the nearest of all is the sample itself
    inside = torch.zeros(len(real), dtype=torch.long, device=real.device)
    for rows, _, distance in _blocks(real, fake):
        inside[rows] += (distance <= radius[rows, None]).sum(1)
    density = inside.sum().item() / (k * len(fake))
    return DensityCoverage(density, (inside > 0).double().mean().item())


class Nearest(NamedTuple):
    """For every row of a, `(N,)` each: how far its nearest row of b is, and which row that is."""

    distance: Tensor
    row: Tensor


def nearest(a: Tensor, b: Tensor) -> Nearest:
    """The nearest row of b for every row of a, by Euclidean distance.

    Against memorised training data: fakes that are nearer to training rows than held-out rows
    are to them have been copied. A copy has a distance of exactly 0.

    Shapes: a `(N, F)`, b `(M, F)` -> `(N,)` float64 distances and `(N,)` row numbers of b.

    Example:
        >>> nearest(torch.tensor([[0.0], [7.0]]), torch.tensor([[5.0], [1.0]])).row
        tensor([1, 0])
    """
    _same_features(a, b, least=1)
    row = _smallest(a, b, 1)[1][:, 0]
    # once more without the rounding of the fast way, which leaves a copy at a small distance
    parts = zip(a.split(BLOCK), row.split(BLOCK), strict=True)
    exact = [(part.double() - b[rows].double()).norm(dim=1) for part, rows in parts]
    return Nearest(torch.cat(exact), row)


def _smallest(a: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest distances from every row of a to rows of b, `(N, k)`, and their indices."""
    best = torch.full((len(a), k), math.inf, dtype=torch.float64, device=a.device)
    index = torch.zeros((len(a), k), dtype=torch.long, device=a.device)
    for rows, columns, distance in _blocks(a, b):
        numbers = torch.arange(columns.start, columns.stop, device=a.device)
        both = torch.cat([best[rows], distance], 1)
        where = torch.cat([index[rows], numbers.expand_as(distance)], 1)
        best[rows], picked = both.topk(k, largest=False)
        index[rows] = where.gather(1, picked)
    return best, index


def _blocks(a: Tensor, b: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows of a, rows of b and the distances between them, so that memory stays small."""
    for i in range(0, len(a), BLOCK):
        rows = slice(i, min(i + BLOCK, len(a)))
        part = a[rows].double()
        for j in range(0, len(b), BLOCK):
            columns = slice(j, min(j + BLOCK, len(b)))
            yield rows, columns, torch.cdist(part, b[columns].double())


def auc(scores: Tensor, labels: Tensor) -> float:
    r"""Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    .. math:: \frac{\sum_{i: y_i = 1} r_i - P (P + 1) / 2}{P\,Q}

    with r the ranks of the scores (equal ones share their mean rank), P positives and Q
    negatives; the Mann-Whitney statistic, Hanley & McNeil (1982).

    Shapes: scores `(N,)`, labels `(N,)` of 0 and 1 or booleans, both present.

    Example:
        >>> auc(torch.tensor([0.1, 0.4, 0.4, 0.8]), torch.tensor([0, 0, 1, 1]))
        0.875
    """
    values, positive = _two_groups(scores, labels)
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0) - (counts - 1) / 2  # of every distinct score
    p = int(positive.sum())
    wins = ranks.double()[place][positive].sum().item() - p * (p + 1) / 2
    return wins / (p * (len(values) - p))


def balanced_accuracy(scores: Tensor, labels: Tensor, threshold: float) -> float:
    """Mean of the two shares that `score >= threshold` gets right: of positives, of negatives.

    Chance is 0.5, however rare the attribute.

    Shapes: scores `(N,)`, labels `(N,)` of 0 and 1 or booleans, both present.

    Example:
        >>> balanced_accuracy(torch.tensor([0.1, 0.6, 0.7]), torch.tensor([0, 0, 1]), 0.5)
        0.75
    """
    values, positive = _two_groups(scores, labels)
    said = values >= threshold
    right, spared = said[positive], ~said[~positive]
    return (right.double().mean().item() + spared.double().mean().item()) / 2


def balanced_threshold(scores: Tensor, labels: Tensor) -> float:
    """The threshold with the highest `balanced_accuracy`, halfway between two scores.

    To be picked on validation data and used on others. Of equally good ones it is the lowest;
    where no threshold beats chance it is the lowest score, which calls everything positive.

    Shapes: scores `(N,)`, labels `(N,)` of 0 and 1 or booleans, both present.

    Example:
        >>> balanced_threshold(torch.tensor([1.0, 2.0, 5.0, 9.0]), torch.tensor([0, 0, 1, 1]))
        3.5
    """
    values, positive = _two_groups(scores, labels)
    distinct, place = values.unique(return_inverse=True)
    hits, alarms = (
        place[group].bincount(minlength=len(distinct)) / group.sum().double()
        for group in (positive, ~positive)
    )
    # Youden's index of a threshold just below each distinct score: hits less false alarms
    youden = (hits - alarms).flip(0).cumsum(0).flip(0)
    best = int((youden >= youden.max() - 1e-12).nonzero()[0])
    return distinct[max(best - 1, 0) : best + 1].mean().item()


def _two_groups(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores in double precision, and which are positive."""
    if scores.dim() != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"got scores {tuple(scores.shape)} and labels {tuple(labels.shape)}, expected (N,)"
        )
    if not scores.isfinite().all():
        raise ValueError("got scores that are not finite, expected numbers only")
    positive = labels == 1
    if not (positive | (labels == 0)).all() or positive.all() or not positive.any():
        raise ValueError(
            f"got labels {labels.unique().tolist()[:5]}, expected 0 and 1, at least one of each"
        )
    return scores.double(), positive


def sharpness(x: Tensor) -> Tensor:
    r"""Power of the fine detail of pictures: variance of luminance above half of Nyquist.

    .. math:: \sum_{|f| \ge 1/4} \frac{|F[w (l - \bar l)](f)|^2}{H W \sum w^2}

    with f in cycles per pixel (pixels carry 0.5 along an axis), l the luma (BT.601) and w a Hann
    window, without which the picture's edges would count as detail. White noise of variance
    s² has about 0.8 s²; blurring takes it away. Scales with the square of contrast.

    Shapes: `(B, 3, H, W)` or `(B, 1, H, W)` in [-1, 1], H and W at least 8 -> `(B,)` float32.

    Example:
        >>> stripes = torch.ones(1, 1, 32, 32)
        >>> stripes[..., ::2] = -1
        >>> sharpness(torch.cat([stripes, 0.5 * stripes, torch.ones(1, 1, 32, 32)]))
        tensor([1.0000, 0.2500, 0.0000])
    """
    if x.dim() != 4 or x.shape[1] not in (1, 3) or min(x.shape[2:]) < 8:
        raise ValueError(f"got {tuple(x.shape)}, expected (B, 1 or 3, H, W) of at least 8 x 8")
    x = x.float()
    grey = x[:, 0] if x.shape[1] == 1 else torch.einsum("bchw,c->bhw", x, x.new_tensor(LUMA))
    height, width = grey.shape[1:]
    rows, columns = (torch.hann_window(n, periodic=False).to(x) for n in (height, width))
    window = rows[:, None] * columns
    detail = window * (grey - grey.mean((1, 2), keepdim=True))
    power = torch.fft.fft2(detail).abs().square() / (height * width * window.square().sum())
    vertical, horizontal = (torch.fft.fftfreq(n).to(x) for n in (height, width))
    fine = torch.hypot(vertical[:, None], horizontal) >= BAND
    return (power * fine).sum((1, 2))


def sharpness_ratio(fake: Tensor, real: Tensor) -> float:
    """Mean `sharpness` of fakes over that of real pictures: 1 is as sharp, a blur is near 0.

    Shapes: both as `sharpness` takes them, of the same height and width.

    Example:
        >>> noise = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> round(sharpness_ratio(0.5 * noise, noise), 3)
        0.25
    """
    if fake.shape[2:] != real.shape[2:]:
        raise ValueError(f"got {tuple(fake.shape)} and {tuple(real.shape)}, expected one size")
    scale = sharpness(real).mean().item()
    if not scale > 0:
        raise ValueError("got real pictures without detail, expected some to compare with")
    return sharpness(fake).mean().item() / scale
