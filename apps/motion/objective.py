"""What the motion model is trained on, in nats a window and in the pixels of the score."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion import cells
from apps.motion.augment import Augment
from apps.motion.scores import moving_cells, rms
from cvae.metrics import energy_score
from cvae.model import CVAE
from cvae.objective import elbo, warmup

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Weights:
    """How much each term counts; a term of weight 0 is not computed (so it can be ablated)."""

    nats: float = 0.002  # bound and prior, against the score
    kl: float = 1.0
    free_bits: float = 0.02  # nats a dimension
    warmup: int = 1000  # steps
    prior: float = 1.0  # negative log-likelihood of the mixture
    hint: float = 1.0  # of the tower alone: which cells move, and how far
    places: float = 1.0  # energy score of every cell by itself, px
    whole: float = 1.0  # energy score of the motion as a whole, px
    answers: int = 4  # drawn a still for the energy scores
    least: float = 0.2  # what a cell weighs whose flow is not to be trusted


class Objective(nn.Module):
    r"""Loss of a batch, $\eta\,(-\mathrm{ELBO} - \log p(z \mid X)) + H + \mathrm{ES}$.

    The VAE reads motion into z under the likelihood of `apps.motion.cells`, its KL to N(0, I)
    whitens the posterior, and the mixture is fitted by likelihood to samples of it, as in
    colorization. The energy scores ask of whole answers drawn from the mixture, and of every cell
    of them, to be distributed as the truth is; they are proper, so no term pulls against another.
    The tower alone answers for a hint: a plain classifier of what moves has the least noisy
    gradient.
    """

    clock: Tensor

    def __init__(self, model: CVAE, weights: Weights, augment: Augment | None = None) -> None:
        super().__init__()
        self.model, self.weights, self.augment = model, weights, augment
        self.register_buffer("clock", torch.zeros((), dtype=torch.long))

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
        loss, stats = self.loss(*batch, generator)
        self.clock += 1
        return loss, {name: value.detach() for name, value in stats.items()}

    def loss(
        self, frames: Tensor, motion: Tensor, confidence: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        w, model = self.weights, self.model
        sure = w.least + (1 - w.least) * confidence
        scene = model.condition(frames)
        posterior = model.posterior(motion, scene)
        z = posterior.rsample((), generator=generator)
        said = model.decode(z[None], scene)[:, 0]
        likelihood = cells.log_likelihood(said, motion, sure)
        kl = posterior.kl_standard()
        beta = w.kl * warmup(int(self.clock), w.warmup)
        loss = -w.nats * elbo(likelihood, kl, beta=beta, free_bits=w.free_bits)
        stats = {"likelihood": likelihood.mean(), "kl": kl.sum(1).mean()}
        prior = model.prior(scene)
        if w.prior:
            stats["prior"] = -prior.log_prob(z.detach()).mean()
            loss = loss + w.nats * w.prior * stats["prior"]
        if w.hint:
            stats["hint"] = hint_error(scene.hint, motion, sure).mean()
            loss = loss + w.hint * stats["hint"]
        if w.places or w.whole:
            drawn = model.decode(prior.rsample((w.answers,), generator=generator), scene)
            answers = cells.expected(drawn.flatten(0, 1)).unflatten(0, drawn.shape[:2])
            stats["places"], stats["whole"] = energies(answers, motion, sure)
            loss = loss + w.places * stats["places"] + w.whole * stats["whole"]
        return loss, stats


def hint_error(hint: Tensor, motion: Tensor, sure: Tensor) -> Tensor:
    """Nats a cell of moving or not, and by how many powers of e the way is wrong, `(B,)`.

    Shapes: hint `(B, 2, h, w)`, coefficients `(B, 5, 2, h, w)`, weights `(B, h, w)`.
    """
    moves = moving_cells(motion).float()
    told = F.binary_cross_entropy_with_logits(hint[:, 0].float(), moves, reduction="none")
    far = cells.REACH * F.softplus(hint[:, 1].float())
    wrong = (far.log() - rms(motion).clamp_min(0.1).log()).abs() * moves
    return ((told + wrong) * sure).sum((1, 2)) / sure.sum((1, 2))


def energies(answers: Tensor, truth: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """Energy scores in px, batch means: of the cells one by one, and of motions as wholes.

    Lengths are root mean squares over the second, as of `apps.motion.scores.rms`; each cell
    counts by its weight, in the whole by its square root.

    Shapes: `(B, k, 5, 2, h, w)`, `(B, 5, 2, h, w)`, weights `(B, h, w)`.
    """
    share = sure / sure.sum((1, 2), keepdim=True)
    x = answers.flatten(2, 3).flatten(3).permute(0, 3, 1, 2)  # (B, h w, k, 10)
    y = truth.flatten(1, 2).flatten(2).transpose(1, 2)  # (B, h w, 10)
    each = energy_score(x.flatten(0, 1), y.flatten(0, 1)).unflatten(0, x.shape[:2])
    places = (each * share.flatten(1)).sum(1).mean()
    root = share.sqrt()[:, None, None]
    whole = energy_score(answers * root[:, None], truth * root).mean()
    return places, whole
