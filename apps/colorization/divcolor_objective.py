"""The losses of Deshpande et al. (2017), as the code that its authors released weighs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.data import Augment
from apps.colorization.divcolor import DEVIATION, DivcolorPrior
from apps.colorization.objective import ColourObjective
from apps.colorization.terms import (
    BIN,
    RareColours,
    gamut_bins,
    gradient_error,
)
from cvae.model import CVAE
from mdn.nearest import nearest_component_nll

BATCH = 32  # the original sums its KL over a batch of 32 and averages the rest: KL counts 32-fold
LEAST = 1e-5  # share below which a bin is not told from unseen by a few thousand pictures


@dataclass(frozen=True)
class DivcolorWeights:
    """How much each term counts, in the original's numbers; 0 leaves a term out."""

    components: float = 0.0  # 0.1 in the original's variant without skip connections
    gradient: float = 1e-3
    kl: float = 1e-2  # rises towards it: in `epochs` even stages, the first without KL
    epochs: int = 10
    steps: int = 1500  # the stages take together; later ones stay at the last


class InverseShares(RareColours):
    """Weight of a pixel by the raw inverse of its bin's share: no smoothing, mix, cap or norm."""

    def fit(self, chroma: Tensor) -> None:
        """Count the colours of chroma `(N, 2, H, W)` in ab/128."""
        row, column = self._bin(chroma)
        counts = torch.bincount((row * 27 + column).flatten(), minlength=27 * 27).view(27, 27)
        self.table.copy_(1 / (counts / counts.sum()).clamp(min=LEAST))


class ChromaClasses(nn.Module):
    """Number of the nearest of the 260 bins of the ab plane: what the features are taught by.

    Shapes: chroma `(B, 2, H, W)` in ab/128 -> `(B, size, size)` of its means over equal cells.
    """

    table: Tensor

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.size = size
        bins = torch.from_numpy(gamut_bins() / BIN)
        side = torch.arange(-13.0, 14.0)
        nearest = torch.cdist(torch.cartesian_prod(side, side), bins).argmin(1)
        self.register_buffer("table", nearest.view(27, 27), persistent=False)

    def forward(self, chroma: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(chroma, self.size)
        bins = (cells * (128 / BIN)).round().clamp(-13, 13).long() + 13
        return self.table[bins[:, 0], bins[:, 1]]


class DivcolorObjective(ColourObjective):
    r"""Loss of a batch: of the VAE, of the mixture, and of the features that the mixture reads.

    .. math:: \|\sqrt w \odot (C - \hat C)\|_2 + 10^{-3} \|\nabla (C - \hat C)\|_2
              + 32\, w_{KL}\, KL(q(z | C) \| N(0, I))

    with norms that are not squared; then $-\log \pi_m + \|z - \mu_m\|^2 / (2 \cdot 0.1)$ of the
    component nearest to z = μ + εσ; and the cross-entropy of chroma bins at 16x16. z does not
    hear of the mixture, nor do the features.

    The original trains the VAE first (Adam) and the mixture after it (SGD); here they share a loop
    and its optimiser, so that the mixture at first follows a moving target.
    """

    seen: Tensor

    def __init__(
        self, model: CVAE, weights: DivcolorWeights, augment: Augment | None = None
    ) -> None:
        super().__init__(model, weights, augment, rare=InverseShares())
        self.classes = ChromaClasses(size=16)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))  # training steps so far

    def loss(
        self, grey: Tensor, chroma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with dropout_from(generator):
            features = self.model.condition(grey)
            posterior = self.model.posterior(chroma, features)
            z = posterior.rsample((), generator=generator)
            painted = self.model.decode(z[None], features)[:, 0].float()
            prior: DivcolorPrior = self.model.prior(features)
        beta = BATCH * self.kl_weight()
        nearest = nearest_component_nll(prior.logits, prior.loc, DEVIATION, z.detach())
        terms = {
            "reconstruction": self.reconstruction(painted, chroma).mean(),
            "kl": posterior.kl_standard().sum(-1).mean(),
            "mixture": nearest.mean(),
            "classes": F.cross_entropy(features.classes.float(), self.classes(chroma)),
        }
        loss = terms["reconstruction"] + beta * terms["kl"] + terms["mixture"] + terms["classes"]
        if self.training:
            self.seen += 1
        stats = {name: term.detach() for name, term in terms.items()}
        stats["error"] = (painted - chroma).abs().mean().detach()
        return loss, stats

    def kl_weight(self) -> Tensor:
        """The original's weight of the summed KL at this step: 0, 1e-3, ... 9e-3."""
        w = self.weights
        stage = (w.epochs * self.seen // w.steps).clamp(max=w.epochs - 1)
        return w.kl / w.epochs * stage

    def reconstruction(self, painted: Tensor, chroma: Tensor) -> Tensor:
        """The terms of the decoder, `(B,)`: two norms, and the Mahalanobis distance if asked."""
        w = self.weights
        error = painted - chroma
        total = root((self.rare(chroma) * error.square()).sum((1, 2, 3)))
        if w.components:
            total = total + w.components * self.principal(error)
        if w.gradient:
            total = total + w.gradient * root(gradient_error(error))
        return total


def root(squares: Tensor) -> Tensor:
    """Square root with a finite slope at 0."""
    return (squares + 1e-12).sqrt()


@contextmanager
def dropout_from(generator: torch.Generator) -> Iterator[None]:
    """Let dropout too follow from the noise of the step, and leave the global noise as it was."""
    device = generator.device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(generator.initial_seed() ^ 0x5EED)
        yield
