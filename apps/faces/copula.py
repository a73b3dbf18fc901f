r"""Attributes left open, drawn given the stated ones: p(open | stated) by a Gaussian copula.

A face has latent attributes $e \sim N(0, R)$; attribute i is on where $e_i > \tau_i$. Thresholds
come from the marginals, R from pairwise tetrachoric correlations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import log_ndtr, ndtri, ndtri_exp
from torch import Tensor

_LEAST = 0.01  # smallest eigenvalue of R: rounding and conditioning on all but one stay safe
_POOL = 1024
_MOST = 0.99  # largest correlation in absolute value
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True, eq=False)
class Copula:
    """A joint distribution of A binary attributes with given marginals and pairwise frequencies.

    Shapes: thresholds `(A,)`, correlation `(A, A)`, positive definite with ones on the diagonal.

    Example:
        >>> labels = np.random.default_rng(0).random((500, 3)) < [0.1, 0.5, 0.9]
        >>> copula = Copula.fit(labels)
        >>> drawn = copula.complete(torch.tensor([1.0, 0.0, 0.0]), k=4, seed=0)
        >>> drawn.shape, drawn[:, 0].tolist()
        (torch.Size([4, 3]), [1.0, 1.0, 1.0, 1.0])
    """

    thresholds: np.ndarray
    correlation: np.ndarray

    def __post_init__(self) -> None:
        size = len(self.thresholds)
        if self.correlation.shape != (size, size):
            raise ValueError(
                f"got a correlation of {self.correlation.shape}, expected ({size}, {size})"
            )
        symmetric = np.allclose(self.correlation, self.correlation.T, atol=1e-6)
        if not symmetric or np.linalg.eigvalsh(self.correlation).min() <= 0:
            raise ValueError("got a correlation that is not symmetric and positive definite")

    @classmethod
    def fit(cls, labels: np.ndarray) -> "Copula":
        """Estimate from labels `(N, A)` bool; attributes that never vary survive."""
        labels = np.asarray(labels)
        if labels.ndim != 2 or len(labels) < 2 or labels.dtype != np.bool_:
            raise ValueError(f"got {labels.dtype} {labels.shape}, expected bool (N, A), N > 1")
        n, on = len(labels), labels.astype(np.float64)
        # half a count in every cell: what was never seen is rare and not impossible
        rate = (on.sum(0) + 0.5) / (n + 1)
        joint = (on.T @ on + 0.25) / (n + 1)
        thresholds = -ndtri(rate)
        correlation = nearest_correlation(tetrachoric(thresholds, joint))
        # four digits, as a config keeps them: drawn after loading is what was drawn before
        return cls(thresholds.round(4), correlation.round(4))

    def to_config(self) -> dict[str, Any]:
        """Plain lists, for a config.json."""
        return {
            "thresholds": self.thresholds.tolist(),
            "correlation": self.correlation.tolist(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Sequence[Any]]) -> "Copula":
        """The copula that `to_config` wrote, value for value."""
        return cls(np.array(config["thresholds"]), np.array(config["correlation"]))

    def complete(self, stated: Tensor, *, k: int, seed: int) -> Tensor:
        """Attributes of k faces, float32 `(k, A)` in {-1, 1}, of which some are stated.

        `stated` is `(A,)` in {-1, 0, 1}; stated attributes come back as they are. Row j depends on
        (seed, j, stated) only: its latents e ~ N(0, R) are of (seed, j) alone, and where they have
        the stated signs anyway nothing moves. Elsewhere they move as little as the law of the
        stated ones lets them (see `_visit` and `_leftover`): others change only where the
        correlation forces them. The law is exact for one stated attribute, and for several up to
        what a pool of 1024 draws measures.

        Raises:
            ValueError: `stated` of another shape, or values other than -1, 0 and 1.
        """
        state = self._check(stated)
        seeds = [np.random.SeedSequence(seed, spawn_key=(j,)) for j in range(k)]
        sources = [np.random.default_rng(s) for s in seeds]
        root = np.linalg.cholesky(self.correlation).T
        size = len(state)
        e = np.reshape([source.standard_normal(size) for source in sources], (k, size)) @ root
        order = np.flatnonzero(state)
        order = order[np.argsort(-state[order] * self.thresholds[order], kind="stable")]
        x, log_weight = self._visit(e, state, order)
        if len(order) > 1:
            common = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, 1)))
            pool = self._visit(common.standard_normal((_POOL, size)) @ root, state, order)
            right = ((e > self.thresholds) == (state > 0))[:, order].all(1)
            chance = np.reshape([source.random(2) for source in sources], (k, 2))
            row = _leftover(log_weight, pool[1], chance)
            row[right] = -1
            goal = np.where(row[:, None] < 0, x, pool[0][row])
            x = self._visit(e, state, order, goal)[0]
        drawn = np.where(x > self.thresholds, 1.0, -1.0)
        return torch.from_numpy(np.where(state, state, drawn)).float()

    def _visit(
        self, e: np.ndarray, state: np.ndarray, order: np.ndarray, goal: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        r"""Move latents `(k, A)` to the stated signs, one stated attribute after the other.

        Pathwise conditioning (Matheron's rule, Wilson et al. 2020) takes the rest along,
        $e \leftarrow e + R_{\cdot i|v} R_{ii|v}^{-1} (t_i - e_i)$, v what was visited before.
        $t_i$ comes from the goal, or: a latent on its right side stays, one on the wrong side is
        reflected. Given v, that is the truncated normal exactly; all in all it is the sequential
        draw of Geweke, Hajivassiliou and Keane. Returns it with its log weight `(k,)`, the sum of
        log p(sign of i | v).
        """
        x, mean, covariance = e.copy(), np.zeros_like(e), self.correlation.copy()
        log_weight = np.zeros(len(e))
        for i in order:
            sign, sd = state[i], np.sqrt(covariance[i, i])
            bound = sign * (self.thresholds[i] - mean[:, i]) / sd
            log_weight += log_ndtr(-bound)
            if goal is None:
                t = mean[:, i] + sign * sd * _reflected(sign * (x[:, i] - mean[:, i]) / sd, bound)
            else:
                t = goal[:, i]
            gain = covariance[i] / covariance[i, i]
            # what was visited before has no covariance left, and stays
            x += (t - x[:, i])[:, None] * gain
            mean += (t - mean[:, i])[:, None] * gain
            covariance -= np.outer(covariance[i], gain)
        return x, log_weight

    def _check(self, stated: Tensor) -> np.ndarray:
        state = stated.detach().cpu().double().numpy()
        if state.shape != self.thresholds.shape or not np.isin(state, (-1, 0, 1)).all():
            raise ValueError(
                f"got stated of shape {state.shape}, "
                f"expected {self.thresholds.shape} with values -1, 0 and 1"
            )
        return state


def _reflected(y: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Standard normals y where they exceed the bound, else reflected over it in probability.

    With U uniform below the bound, the tail above the result is U's share of the right side: the
    truncated normal again, and what lay close stays close. In logs, for the far tails.
    """
    share = np.minimum(log_ndtr(y) - log_ndtr(bound), 0.0)  # log U
    moved = np.maximum(-ndtri_exp(share + log_ndtr(-bound)), bound)
    return np.where(y > bound, y, moved)


def _leftover(log_weight: np.ndarray, log_pool: np.ndarray, chance: np.ndarray) -> np.ndarray:
    r"""Which faces `(k,)` must be drawn anew from which row of the pool; -1 keeps a face.

    The maximal coupling of the sequential law q to the exact one, $\pi = q w / p$ with p = E w
    the probability of all signs. Faces that are right anyway (a share p, already by $\pi$) stay,
    so the others follow $q (1 - w)/(1 - p)$ and are kept with chance $\pi$ over that; what they
    leave is the positive part of q (w - p). Stated attributes that go together hardly need it.
    """
    log_p = np.logaddexp.reduce(log_pool) - np.log(len(log_pool))
    with np.errstate(divide="ignore"):
        odds = np.log1p(-np.exp(log_weight)) - log_weight
        kept = np.log(chance[:, 0]) + odds <= np.log1p(-np.exp(log_p)) - log_p
    left = np.cumsum(np.maximum(np.expm1(np.minimum(log_pool - log_p, 700.0)), 0.0))
    if left[-1] <= 0:
        return np.full(len(log_weight), -1)
    row = np.searchsorted(left, chance[:, 1] * left[-1], side="right")
    return np.where(kept, -1, row)


def orthant(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    r"""P(X > h, Y > k) of standard normals with correlation rho, elementwise, |rho| < 1.

    $\Phi(-h)\Phi(-k) + \frac{1}{2\pi}\int_0^{\arcsin\rho}
    \exp\left(-\frac{h^2 + k^2 - 2hk\sin\theta}{2\cos^2\theta}\right) d\theta$ (Drezner and
    Wesolowsky 1990), by 64 Gauss-Legendre nodes: within 1e-7 for |rho| up to 0.99.

    Example:
        >>> zero, half = np.zeros(1), np.full(1, 0.5)
        >>> orthant(zero, zero, half).round(6)  # 1/4 + arcsin(rho) / 2 pi
        array([0.333333])
    """
    top = np.arcsin(rho)[..., None]
    theta = top * (_NODES + 1) / 2
    h, k = h[..., None], k[..., None]
    power = (h * h + k * k - 2 * h * k * np.sin(theta)) / (2 * np.cos(theta) ** 2)
    arc = (np.exp(-power) * _WEIGHTS).sum(-1) * top[..., 0] / 2
    return np.exp(log_ndtr(-h) + log_ndtr(-k))[..., 0] + arc / (2 * np.pi)


def tetrachoric(thresholds: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """The correlation of each pair that gives its joint frequency, `(A, A)`, within ±0.99.

    All pairs at once by bisection: the orthant probability grows with the correlation.
    """
    a, b = np.triu_indices(len(thresholds), 1)
    low, high = np.full(len(a), -_MOST), np.full(len(a), _MOST)
    for _ in range(24):  # to 1e-7
        middle = (low + high) / 2
        more = orthant(thresholds[a], thresholds[b], middle) < joint[a, b]
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    correlation = np.eye(len(thresholds))
    correlation[a, b] = correlation[b, a] = (low + high) / 2
    return correlation


def nearest_correlation(matrix: np.ndarray) -> np.ndarray:
    """Nearest correlation matrix (Frobenius) with eigenvalues of at least 0.01, Higham (2002)."""
    y, correction = matrix, np.zeros_like(matrix)
    for _ in range(200):
        shifted = y - correction
        values, vectors = np.linalg.eigh(shifted)
        x = (vectors * values.clip(min=2 * _LEAST)) @ vectors.T
        correction = x - shifted
        y = x.copy()
        np.fill_diagonal(y, 1.0)
    values, vectors = np.linalg.eigh(y)
    x = (vectors * values.clip(min=_LEAST)) @ vectors.T
    scale = np.sqrt(np.diag(x))
    return x / np.outer(scale, scale)
