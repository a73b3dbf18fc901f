"""Scores for answers that come as sets: proper scores, best-of-k, and intervals around them."""

import torch
from torch import Tensor


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    r"""Energy score of k answers, $\frac1k\sum_i\|x_i-y\| - \frac{1}{2k(k-1)}\sum_{i\ne j}\|x_i-x_j\|$.

    Gneiting & Raftery (2007), Eq. 22, with the unbiased estimate of the spread. Proper: smallest
    in expectation for samples of the true distribution; lower is better. With k = 1 it is the
    Euclidean error.

    Shapes: samples `(B, k, ...)`, truth `(B, ...)` -> `(B,)`, in the units of the data.
    Differentiable, also where two answers agree.

    Example:
        >>> energy_score(torch.tensor([[[0.0], [2.0]]]), torch.tensor([[1.0]]))
        tensor([0.])
    """
    x = samples.flatten(2).float()
    y = truth.flatten(1).float()
    k = x.shape[1]
    error = _norm(x - y[:, None]).mean(1)
    if k == 1:
        return error
    first, second = torch.triu_indices(k, k, offset=1, device=x.device)
    spread = _norm(x[:, first] - x[:, second]).mean(1)
    return error - 0.5 * spread


def _norm(x: Tensor) -> Tensor:
    # the small constant keeps the gradient finite where two answers are the same
    return (x.square().sum(-1) + 1e-12).sqrt()


def best_of(errors: Tensor, k: int) -> Tensor:
    """Error of the best of the first k answers, `(B, n)` -> `(B,)`, whole answers only.

    Example:
        >>> best_of(torch.tensor([[3.0, 1.0, 0.5]]), 2)
        tensor([1.])
    """
    if not 1 <= k <= errors.shape[1]:
        raise ValueError(f"got k={k}, expected 1 to {errors.shape[1]}, the number of answers")
    return errors[:, :k].amin(1)
