"""Scores of a representation over known factors: does each factor have a latent of its own?

`mig`, `sap` and `dci` take representations `(N, D)` and factors `(N, K)`, whole numbers from 0, of
inputs drawn at random; `all_scores` adds those of `cvae.interventions` and `cvae.readout`.

Published figures depend on choices that the papers leave open; where it matters the one of
Locatello et al. (2019) is taken, or the difference is said.
"""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cvae.interventions import Represent, beta_vae, draw_factors, encode, factor_vae
from cvae.readout import (
    LinearReadout,
    checked,
    hold_out,
    linear_accuracy,
    statistical_efficiency,
)


def mutual_information(z: Tensor, factors: Tensor, *, bins: int = 20) -> Tensor:
    """Between every latent, cut into bins of equal width, and every factor, `(D, K)` in nats.

    The plain estimate from counts: too high by about (bins - 1)(values - 1) / 2N.

    Example:
        >>> both = torch.cartesian_prod(torch.arange(2), torch.arange(2))
        >>> mutual_information(both.float(), both)
        tensor([[0.6931, 0.0000],
                [0.0000, 0.6931]], dtype=torch.float64)
    """
    z, factors = checked(z, factors)
    low, high = z.amin(0), z.amax(0)
    width = (high - low).where(high > low, 1)
    codes = ((z - low) / width * bins).long().clamp(max=bins - 1)
    return torch.stack(
        [torch.stack([_information(code, factor) for factor in factors.T]) for code in codes.T]
    )


def _information(a: Tensor, b: Tensor) -> Tensor:
    width = int(b.max()) + 1
    joint = (a * width + b).bincount(minlength=(int(a.max()) + 1) * width).view(-1, width)
    p = joint.double() / len(a)
    independent = p.sum(1, keepdim=True) * p.sum(0)
    return torch.special.xlogy(p, p / independent.where(p > 0, 1)).sum().clamp(min=0)


def mig(z: Tensor, factors: Tensor, *, bins: int = 20) -> float:
    r"""Mutual information gap: how far the best latent of a factor is ahead of the second best.

    .. math:: \frac1K \sum_k \frac{1}{H(v_k)}
              \Big( I(z_{j_k}; v_k) - \max_{j \ne j_k} I(z_j; v_k) \Big)

    Chen et al. (2018), Eq. 6, with means of the posterior in `bins` of equal width (Locatello et
    al., 2019). From 0 to 1, but no latent in 20 bins holds all of a factor with 40 values: the
    factors themselves reach about log 20 / log 40 there.

    Shapes: z `(N, D)`, D at least 2; factors `(N, K)`, each with at least two values.

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(4), torch.arange(5))
        >>> round(mig(factors.float(), factors), 6)
        1.0
    """
    z, factors = checked(z, factors)
    best, second = _top_two(mutual_information(z, factors, bins=bins))
    entropy = torch.stack([_information(column, column) for column in factors.T])
    if not (entropy > 0).all():
        raise ValueError("got a factor with one value only, expected at least two of each")
    return ((best - second) / entropy).mean().item()


def _top_two(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The highest and the second highest score of every factor, of `(D, K)`."""
    if len(scores) < 2:
        raise ValueError("got one latent, expected at least two: a gap needs a second")
    best, second = scores.topk(2, dim=0).values
    return best, second


def sap(z: Tensor, factors: Tensor, *, categorical: Collection[int] = (), seed: int = 0) -> float:
    r"""Separated attribute predictability: the gap between the two latents that say most.

    .. math:: \frac1K \sum_k \big( S_{(1) k} - S_{(2) k} \big), \quad
              S_{jk} = \frac{\mathrm{Cov}(z_j, v_k)^2}{\mathrm{Var}(z_j) \mathrm{Var}(v_k)}

    Kumar et al. (2018), section 3. For the factors named in `categorical`, which have no order, S
    is the balanced held-out accuracy of a linear readout from that latent alone; as chance is 1/C
    there, such a factor has a gap of at most 1 - 1/C.

    Shapes: z `(N, D)`, D at least 2; factors `(N, K)`.

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(4), torch.arange(5))
        >>> round(sap(factors.float(), factors), 6)
        1.0
    """
    z, factors = checked(z, factors)
    x, v = z - z.mean(0), factors.double() - factors.double().mean(0)
    spread = x.square().sum(0)[:, None] * v.square().sum(0)
    scores = (x.T @ v).square() / spread.where(spread > 0, 1)
    part = hold_out(z, factors, seed=seed)
    for k in categorical:
        for j in range(z.shape[1]):
            answer = LinearReadout(part.z[:, j : j + 1], part.factors[:, k])
            truth = part.held_factors[:, k]
            right = answer(part.held_z[:, j : j + 1]) == truth
            recalls = [right[truth == value].double().mean() for value in truth.unique()]
            scores[j, k] = torch.stack(recalls).mean()
    best, second = _top_two(scores)
    return (best - second).mean().item()


class DCI(NamedTuple):
    """Up to 1 each: a latent for one factor; a factor in one latent; held-out accuracy."""

    disentanglement: float
    completeness: float
    informativeness: float


def dci(z: Tensor, factors: Tensor, *, trees: int = 10, seed: int = 0) -> DCI:
    r"""Disentanglement, completeness and informativeness, by the importances of forests.

    .. math:: D = \sum_j \rho_j \big( 1 - H_K(P_{j \cdot}) \big), \quad
              C = \frac1K \sum_k \big( 1 - H_D(\tilde P_{\cdot k}) \big)

    with R the importance of latent j for factor k, P its rows and P~ its columns divided by their
    sums, ρ the share of a row in R, H_n the entropy to base n; Eastwood & Williams (2018),
    section 2. R is the impurity that a latent removes in a forest that classifies the factor, and
    informativeness the forests' mean accuracy on a third that is held out. Public figures are from
    boosted trees, which take minutes where this takes seconds: compare with care.

    Needs scikit-learn, which the extra `lab` brings.

    Shapes: z `(N, D)`, D at least 2; factors `(N, K)`, K at least 2.

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(3), torch.arange(4)).repeat(20, 1)
        >>> [round(score, 6) for score in dci(factors.float(), factors, trees=2)]
        [1.0, 1.0, 1.0]
    """
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "scores by forests need scikit-learn: pip install 'perhaps[lab]'"
        ) from error
    part = hold_out(z, factors, seed=seed)
    importance, right = [], []
    for column, truth in zip(part.factors.T, part.held_factors.T, strict=True):
        # every split may use every latent, or the best one would share its credit by lot
        forest = RandomForestClassifier(trees, max_features=None, random_state=seed)
        forest.fit(part.z.numpy(), column.numpy())
        importance.append(torch.from_numpy(forest.feature_importances_))
        right.append(float(forest.score(part.held_z.numpy(), truth.numpy())))
    return DCI(*concentration(torch.stack(importance, 1)), sum(right) / len(right))


def concentration(importance: Tensor) -> tuple[float, float]:
    """Disentanglement and completeness of importances `(D, K)`, as `dci` has them.

    Example:
        >>> concentration(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        (1.0, 1.0)
    """
    if importance.dim() != 2 or min(importance.shape) < 2:
        raise ValueError(f"got {tuple(importance.shape)}, expected 2 or more latents and factors")
    importance = importance.double()
    share = importance / importance.sum().clamp(min=1e-300)
    rows = 1 - _entropy(share) / math.log(share.shape[1])
    columns = 1 - _entropy(share.T) / math.log(share.shape[0])
    return (share.sum(1) * rows).sum().item(), columns.mean().item()


def _entropy(weights: Tensor) -> Tensor:
    """Of every row in nats; of a row of zeros that of equal weights."""
    total = weights.sum(1, keepdim=True)
    p = torch.where(total > 0, weights / total.where(total > 0, 1), 1 / weights.shape[1])
    return torch.special.entr(p).sum(1)


class Scores(NamedTuple):
    """All scores of a representation; every one is better the higher it is."""

    beta_vae: float
    factor_vae: float
    mig: float
    sap: float
    disentanglement: float
    completeness: float
    informativeness: float
    linear: float
    efficiency: float


def all_scores(
    represent: Represent,
    sizes: Sequence[int],
    *,
    categorical: Collection[int] = (),
    n: int = 15_000,
    seed: int = 0,
) -> Scores:
    """Every score of this file and the linear readout's, with its defaults, on n random rows.

    Two thirds of n are learnt from: 10,000 by default, against 100 for the efficiency. Needs
    scikit-learn (extra `lab`); represents about 370,000 inputs.

    Args:
        represent: factors `(N, K)` -> representations `(N, D)`, D at least 2.
        categorical: factors without an order, see `sap`.
    """
    factors = draw_factors(sizes, n, torch.Generator().manual_seed(seed))
    z = encode(represent, factors)
    many = n - n // 3
    return Scores(
        beta_vae(represent, sizes, seed=seed),
        factor_vae(represent, sizes, seed=seed),
        mig(z, factors),
        sap(z, factors, categorical=categorical, seed=seed),
        *dci(z, factors, seed=seed),
        linear_accuracy(z, factors, seed=seed).mean().item(),
        statistical_efficiency(z, factors, many=many, seed=seed),
    )
