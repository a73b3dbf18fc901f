"""The recipes of the lab: the only place where sizes and schedules stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from apps.lab.factors import TRAINED
from apps.lab.model import (
    KINDS,
    BaselineSize,
    ClassifierSize,
    ConvSize,
    DenseSize,
    QuadrantSize,
    SpriteSize,
)
from apps.lab.objective import (
    Autoencoding,
    Classifying,
    Elbo,
    Guessing,
    Importance,
    Loss,
    Objective,
    TotalCorrelation,
)
from cvae.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """A model of digits or sprites, what it is trained on, and for how long.

    `pixels`: grey, or binarised once ("static") or at every step ("dynamic"); `given`: quadrants
    that are the condition; `after` names the recipe that is trained first: of the baseline that a
    model of quadrants starts from. Of `data` sprites are black and white as they are: "static".
    """

    size: Any
    schedule: Schedule
    model: str = "dense"
    loss: Loss = field(default_factory=Elbo)
    pixels: Literal["static", "dynamic", "grey"] = "dynamic"
    given: int = 0
    after: str | None = None
    data: Literal["digits", "sprites"] = "digits"

    def objective(self, guess: Mapping[str, Tensor] | None = None) -> Objective:
        """Networks as they start, within the objective that they are to be trained on.

        Args:
            guess: weights of the trained baseline.
        """
        model: Any = KINDS[self.model].build(self.size)
        if guess is not None:
            model.condition.baseline.load_state_dict(guess)
        return Objective(model, self.loss, given=self.given, dynamic=self.pixels == "dynamic")


# Sums of nats have gradients of tens to thousands: clipping is for what breaks, not for these.
PLAIN = Schedule(steps=20_000, batch=200, learning_rate=1e-3, clip=1e4)
SHORT = replace(PLAIN, steps=5500)
# Pixels that are never drawn twice are not learnt by heart: three times the steps are 1.3 nats on
# val.
LONG = replace(PLAIN, steps=60_000)

# Sprites: one network for all weights β of the divergence, or of the total correlation alone; with
# 1 either is the bound.
SWEEP = replace(PLAIN, steps=24_000, batch=64, weight_decay=0.0)
WEIGHTS = {"beta": (1, 2, 4, 8, 16), "tc": (2, 4, 8)}


def _sprites(loss: Loss) -> Recipe:
    return Recipe(SpriteSize(), SWEEP, "sprites", loss, "static", data="sprites")


# Minutes on one CPU core, the other one busy: vae-static 6, vae-dynamic, ae, cvae and conv 16,
# iwae-50 46, plane 5, classifier 2, a baseline 1, a model of quadrants 4, each of the eight of
# sprites 14 (and 2 to measure it).
RECIPES = {
    # one network and one set of pixels for two bounds (with layers of 200, as Burda et al. have
    # them, twice the passes left it three nats worse on val)
    "vae-static": Recipe(DenseSize(), replace(PLAIN, steps=25_000), pixels="static"),
    "iwae-50": Recipe(
        DenseSize(),
        replace(PLAIN, steps=24_000, batch=100),
        loss=Importance(draws=50),
        pixels="static",
    ),
    # one network for a VAE, an autoencoder, and a CVAE that is told the class
    "vae-dynamic": Recipe(DenseSize(), LONG),
    # (without noise there is no divergence to look at)
    "ae": Recipe(DenseSize(), replace(LONG, diagnose_every=0), loss=Autoencoding()),
    "cvae": Recipe(DenseSize(told=True), LONG),
    # a latent that can be seen whole
    "plane": Recipe(DenseSize(latent=2), PLAIN),
    "conv": Recipe(ConvSize(), replace(PLAIN, steps=10_000, batch=128), "conv"),
    # who recognises what others draw
    "classifier": Recipe(
        ClassifierSize(),
        replace(SHORT, steps=2000, batch=128, clip=1.0),
        "classifier",
        Classifying(),
        "grey",
    ),
    # grey pixels, as in Pyro's tutorial: its figures are cross-entropies of these
    **{
        f"baseline-{n}": Recipe(BaselineSize(), SHORT, "baseline", Guessing(), "grey", n)
        for n in (1, 2, 3)
    },
    **{
        f"quadrants-{n}": Recipe(
            QuadrantSize(), SHORT, "quadrants", pixels="grey", given=n, after=f"baseline-{n}"
        )
        for n in (1, 2, 3)
    },
    **{f"beta-{n}": _sprites(Elbo(beta=n)) for n in WEIGHTS["beta"]},
    **{f"tc-{n}": _sprites(TotalCorrelation(n, examples=TRAINED)) for n in WEIGHTS["tc"]},
}
