"""What the colorization model is trained on, in nats a picture and in the units of the score."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.colorization.data import CHROMA_SIZE, Augment, Photos
from apps.colorization.terms import PrincipalComponents, RareColours, gradient_error
from cvae.metrics import energy_score
from cvae.model import CVAE


@dataclass(frozen=True)
class Weights:
    """How much each term counts; a term of weight 0 is not computed (so it can be ablated)."""

    noise: float = 0.1  # standard deviation of the likelihood, ab/128
    rare: bool = True  # rare colours count more
    components: float = 10.0
    gradient: float = 0.5
    kl: float = 1.0
    prior: float = 1.0  # negative log-likelihood of the mixture
    nats: float = 0.002  # all of the above, against the energy score
    guess: float = 1.0  # Euclidean error of the tower's own guess
    score: float = 1.0
    answers: int = 2  # drawn a picture for the energy score


class ColourObjective(nn.Module, ABC):
    """What the objectives of colorization share: a measured training set, augmented batches."""

    def __init__(self, model: CVAE, weights: Any, augment: Augment | None, *, rare: Any) -> None:
        super().__init__()
        self.model, self.weights, self.augment = model, weights, augment
        self.rare = rare
        self.principal = PrincipalComponents(size=CHROMA_SIZE)

    def fit(self, photos: Photos, *, seed: int = 0) -> None:
        """Measure the training set: shares of colours and principal components."""
        chroma = photos.some_chroma(seed=seed)
        self.rare.fit(chroma)
        self.principal.fit(chroma)

    def forward(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (lightness, chroma) and what it is made of, means over the batch."""
        grey, chroma = batch
        if self.augment is not None:
            grey, chroma = self.augment(grey, chroma, generator)
        return self.loss(grey, chroma, generator)

    def observed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What diagnostics look at: chroma, and the lightness that it is asked for."""
        grey, chroma = batch
        return chroma, grey

    @abstractmethod
    def loss(
        self, grey: Tensor, chroma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of an augmented batch, and its parts."""


class Objective(ColourObjective):
    r"""Loss of a batch, $\eta\,(\mathrm{ELBO\ terms} - \log p(z \mid G)) + \mathrm{ES}$.

    The VAE reads colours into z under the three reconstruction terms and its KL to N(0, I), which
    whitens the posterior; the mixture is fitted by likelihood to samples of that posterior; and
    the energy score asks of whole decoded answers, drawn from the mixture, to be distributed as
    the truth is. The score is proper, so no term pulls against another. The tower also answers
    for a guess of its own: a regression has the least noisy gradient, and semantics are learnt
    fastest from it.
    """

    def __init__(self, model: CVAE, weights: Weights, augment: Augment | None = None) -> None:
        super().__init__(model, weights, augment, rare=RareColours())

    def loss(
        self, grey: Tensor, chroma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        w, model = self.weights, self.model
        features = model.condition(grey)
        posterior = model.posterior(chroma, features)
        z = posterior.rsample((), generator=generator)
        painted = model.decode(z[None], features)[:, 0].float()
        terms = {
            "reconstruction": self.reconstruction(painted, chroma),
            "kl": w.kl * posterior.kl_standard().sum(-1),
        }
        prior = model.prior(features)
        if w.prior:
            terms["prior"] = -w.prior * prior.log_prob(z.detach())
        loss = w.nats * torch.stack([term.mean() for term in terms.values()]).sum()
        if w.guess:
            terms["guess"] = guess_error(features.guess, chroma)
            loss = loss + w.guess * terms["guess"].mean()
        if w.score:
            answers = prior.rsample((w.answers,), generator=generator)
            terms["score"] = energy_score(model.decode(answers, features), chroma)
            loss = loss + w.score * terms["score"].mean()
        stats = {name: term.mean().detach() for name, term in terms.items()}
        stats["error"] = (painted - chroma).abs().mean().detach()
        return loss, stats

    def reconstruction(self, painted: Tensor, chroma: Tensor) -> Tensor:
        """The three terms, `(B,)`: nats of the weighted Gaussian, and two weighted distances."""
        w = self.weights
        error = painted - chroma
        squares = error.square()
        if w.rare:
            squares = squares * self.rare(chroma)
        total = squares.sum((1, 2, 3)) / (2 * w.noise**2)
        if w.components:
            total = total + w.components * self.principal(error)
        if w.gradient:
            total = total + w.gradient * gradient_error(error) / (2 * w.noise**2)
        return total


def guess_error(guess: Tensor, chroma: Tensor) -> Tensor:
    """Euclidean error of a coarse guess, `(B,)`, in the units of the energy score.

    Shapes: guess `(B, 2, h, w)`, chroma `(B, 2, H, W)`, both ab/128, h dividing H.
    """
    cell = chroma.shape[-1] // guess.shape[-1]
    error = guess.float() - F.avg_pool2d(chroma, cell)
    return cell * (error.square().sum((1, 2, 3)) + 1e-12).sqrt()
