"""A Gaussian over whole motions, or over what a regressor leaves of them."""

import torch
from torch import Tensor

from mdn.lowrank import LowRankNormal

COMPONENTS = 64
LEAST = 0.05  # px: less than flow can tell apart


def fit_gaussian(x: Tensor, *, components: int = COMPONENTS) -> LowRankNormal:
    r"""The leading principal components of rows `(N, D)`, and what they leave as a diagonal.

    .. math:: N(\bar x, \; W W^T + \mathrm{diag}(d)), \quad W = U_C \Sigma_C

    with d the variances that the C components do not explain (Tipping and Bishop 1999, with one
    variance a dimension).

    Example:
        >>> x = torch.tensor([[0.0, 0.0, 1.0], [2.0, 4.0, 1.0], [4.0, 8.0, 1.0]])
        >>> normal = fit_gaussian(x, components=1)
        >>> normal.loc, normal.variance.round(decimals=1)
        (tensor([2., 4., 1.]), tensor([ 4., 16.,  0.]))
    """
    mean = x.mean(0)
    count = min(components, len(x) - 1, x.shape[1])
    with torch.random.fork_rng(devices=[]):  # the solver draws from the global generator
        torch.manual_seed(0)
        q = min(count + 16, *x.shape)
        _, singular, basis = torch.svd_lowrank(x - mean, q=q, niter=4)
    factor = (basis * (singular / max(len(x) - 1, 1) ** 0.5))[:, :count]  # (D, C)
    left = x.var(0) - factor.square().sum(1)
    return LowRankNormal(mean, factor, left.clamp_min(LEAST**2))


def draw_common(normal: LowRankNormal, n: int, *, generator: torch.Generator) -> Tensor:
    """n draws `(n, D)` of what the components explain.

    Without the diagonal: every cell would shake by itself, further from any motion.
    """
    factor = normal.cov_factor.to(generator.device)
    noise = torch.randn(n, factor.shape[1], generator=generator, device=generator.device)
    return normal.loc.to(generator.device) + noise @ factor.T
