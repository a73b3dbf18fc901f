"""The three terms of the reconstruction, each with the statistics of the training set it needs.

Deshpande et al. (2017), section 3.1 ("decoder loss"): rare colours count more, the leading
principal components count by their variance, and edges are kept.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.data import to_lab

BIN = 10.0  # side of a bin of the ab plane, Lab units


def gamut_bins() -> np.ndarray:
    """Centres of the bins of the ab plane that sRGB can reach, `(Q, 2)` in Lab units.

    The grid of Zhang et al. (2016), section 2.1. They list Q = 313 bins, a rim that no 8-bit sRGB
    value falls into included; counted exactly there are 260.
    """
    level = np.linspace(0, 255, 52).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(level, level, level), -1).reshape(-1, 1, 3)
    bins = np.round(to_lab(cube)[..., 1:].reshape(-1, 2) / BIN)
    return np.unique(bins, axis=0).astype(np.float32) * BIN


class RareColours(nn.Module):
    r"""Weight of a pixel by how rare its colour is, mean 1 over the training set.

    $w \propto ((1-\lambda) \tilde p + \lambda / Q)^{-1}$ with the smoothed share $\tilde p$ of its
    bin (Zhang et al., 2016, Eq. 4), at most `cap` times the mean so that a few pixels cannot lead.

    Shapes: chroma `(B, 2, H, W)` in ab/128 -> `(B, 1, H, W)`.
    """

    table: Tensor

    def __init__(self, *, mix: float = 0.5, cap: float = 5.0) -> None:
        super().__init__()
        self.mix, self.cap = mix, cap
        self.register_buffer("table", torch.ones(27, 27))

    def fit(self, chroma: Tensor) -> None:
        """Count the colours of chroma `(N, 2, H, W)` in ab/128."""
        row, column = self._bin(chroma)
        counts = torch.bincount((row * 27 + column).flatten(), minlength=27 * 27).view(27, 27)
        kernel = torch.exp(-0.5 * (torch.arange(-2, 3).float() / 0.5).square())
        kernel = torch.outer(kernel, kernel)
        smooth = F.conv2d(counts[None, None].float(), kernel[None, None], padding=2)[0, 0]
        inside = torch.zeros(27, 27)
        bins = torch.from_numpy(gamut_bins() / BIN).long() + 13
        inside[bins[:, 0], bins[:, 1]] = 1
        share = smooth / smooth.sum()
        weight = 1 / ((1 - self.mix) * share + self.mix / inside.sum())
        seen = counts / counts.sum()
        for _ in range(8):  # the cap moves the mean and the mean the cap: this settles both
            weight = weight / (weight * seen).sum()
            weight = weight.clamp(max=self.cap)
        self.table.copy_(weight / (weight * seen).sum())

    def forward(self, chroma: Tensor) -> Tensor:
        row, column = self._bin(chroma)
        return self.table[row, column][:, None]

    def _bin(self, chroma: Tensor) -> tuple[Tensor, Tensor]:
        bins = (chroma * (128 / BIN)).round().clamp(-13, 13).long() + 13
        return bins[:, 0], bins[:, 1]


class PrincipalComponents(nn.Module):
    r"""Mahalanobis distance on the k leading components, plus the residual beside them.

    $\sum_{i \le k} (p_i^T e)^2 / \lambda_i + \|e - P P^T e\|^2 / \lambda_k$ of the error e: the
    loss of Deshpande et al. (2017), Eq. 2, as the original's code weighs it.

    Shapes: error `(B, 2, H, W)` -> `(B,)`.
    """

    basis: Tensor
    variance: Tensor

    def __init__(self, *, size: int, components: int = 20) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(2 * size * size, components))
        self.register_buffer("variance", torch.ones(components))

    def fit(self, chroma: Tensor) -> None:
        """Principal components of chroma `(N, 2, H, W)`; a few thousand pictures are enough."""
        x = chroma.flatten(1)
        x = x - x.mean(0)
        k = self.variance.numel()
        _, singular, basis = torch.svd_lowrank(x, q=min(k + 10, *x.shape), niter=4)
        variance = singular[:k].square() / max(len(x) - 1, 1)
        # few or flat pictures leave components without variance, which would weigh without bound
        variance = variance.clamp(min=max(1e-3 * variance[0].item(), 1e-6))
        self.basis.zero_()[:, : len(variance)] = basis[:, :k]
        self.variance.fill_(variance[-1].item())[: len(variance)] = variance

    def forward(self, error: Tensor) -> Tensor:
        e = error.flatten(1)
        along = e @ self.basis
        beside = e.square().sum(1) - along.square().sum(1)  # Pythagoras: the basis is orthonormal
        return (along.square() / self.variance).sum(1) + beside / self.variance[-1]


def gradient_error(error: Tensor) -> Tensor:
    """Squared forward differences of the error `(B, C, H, W)`, summed: `(B,)`."""
    down = (error[:, :, 1:] - error[:, :, :-1]).square().sum((1, 2, 3))
    right = (error[..., 1:] - error[..., :-1]).square().sum((1, 2, 3))
    return down + right
