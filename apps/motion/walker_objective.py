"""The loss of Walker et al. (2016): squared errors of direction and of magnitude, and a KL."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion.augment import Augment
from apps.motion.dct import BLOCK, FINE, MAPS, to_maps
from apps.motion.objective import Batch
from apps.motion.walker import log_likelihood, split
from cvae.model import CVAE
from cvae.objective import elbo


@dataclass(frozen=True)
class WalkerWeights:
    """How much each term counts.

    The released script gives the KL 0.01 beside squared errors whose own weights, and whether
    they are summed or averaged over a batch, it does not say. With 1, each is what it is in the
    bound of a model Y = μ(X, z) + ε with ε of deviation 1: a direction at right angles, or a
    magnitude about four px off, then costs a nat or less a cell.
    """

    direction: float = 1.0
    magnitude: float = 1.0
    kl: float = 1.0
    least: float = 0.2  # what a cell weighs whose flow is not to be trusted; the original has none


class WalkerObjective(nn.Module):
    r"""Loss of a batch, from the negative bound of a Gaussian likelihood with fixed deviations.

    .. math:: \frac12 \sum_{i \in 16 \times 20} \Big( \frac{1}{16} \sum_{j \in i}
              \|u_j - \hat u_j\|^2 + (m_i - \hat m_i)^2 \Big) + KL(q(z | Y, X) \| N(0, I))

    with u the direction of the true maps at each of the 64 × 80 places and m their length. The
    deviations of ε in px are fitted beside by likelihood; nothing else hears of it.
    """

    def __init__(
        self, model: CVAE, weights: WalkerWeights, augment: Augment | None = None
    ) -> None:
        super().__init__()
        self.model, self.weights, self.augment = model, weights, augment

    def observed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What diagnostics look at: motion, and the still that it is asked for."""
        frames, motion, _ = batch
        return motion, frames

    def forward(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (frames, coefficients, confidence) and what it is made of, batch means."""
        if self.augment is not None:
            batch = self.augment(*batch, generator)
        frames, motion, confidence = batch
        w, model = self.weights, self.model
        features = model.condition(frames)
        posterior = model.posterior(motion, features)
        z = posterior.rsample((), generator=generator)
        said = model.decode(z[None], features)[:, 0]
        way, length = errors(said, motion, w.least + (1 - w.least) * confidence)
        kl = posterior.kl_standard()
        likelihood = -(w.direction * way + w.magnitude * length)
        fit = log_likelihood(said.detach(), motion, model.get_parameter("generation.logwidth"))
        loss = -elbo(likelihood, kl, beta=w.kl) - fit.mean() / motion[0].numel()
        stats = {"direction": way, "magnitude": length, "kl": kl.sum(1), "nll": -fit}
        return loss, {name: value.mean().detach() for name, value in stats.items()}


def errors(said: Tensor, motion: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """Half the squared errors of direction and of magnitude, summed over 16 × 20 cells.

    Shapes: what is said `(B, 11, 64, 80)`, coefficients `(B, 5, 2, h, w)` in px of the working
    frame, weights `(B, h, w)` -> `(B,)` each.
    """
    direction, magnitude = split(to_maps(motion))
    fine = F.interpolate(sure[:, None], FINE, mode="bilinear", align_corners=False)
    way = (said[:, :MAPS] - direction).square().sum(1, keepdim=True) * fine / BLOCK**2
    told = said[:, MAPS:, ::BLOCK, ::BLOCK]  # the same in all 4 x 4 places
    length = (told - magnitude).square() * F.avg_pool2d(fine, BLOCK)
    return way.sum((1, 2, 3)) / 2, length.sum((1, 2, 3)) / 2
