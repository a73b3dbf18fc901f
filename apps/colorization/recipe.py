"""The recipes of colorization: the only place where sizes and schedules stand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.colorization.data import Augment
from apps.colorization.divcolor import DivcolorSize
from apps.colorization.divcolor_objective import DivcolorObjective, DivcolorWeights
from apps.colorization.gaussian_objective import ConditionalElbo
from apps.colorization.model import KINDS, Size
from apps.colorization.objective import Objective, Weights
from cvae.training import Schedule

OBJECTIVES: dict[str, Callable[[Any, Any, Augment], Any]] = {
    "mixture": Objective,
    "gaussian": ConditionalElbo,
    "divcolor": DivcolorObjective,
}


@dataclass(frozen=True)
class Recipe:
    """A model, what it is trained on, and for how long.

    `size` and `weights` are of the types that its `model`, a kind, takes.
    """

    size: Any
    schedule: Schedule
    weights: Any = field(default_factory=Weights)
    model: str = "mixture"
    augment: Augment = field(default_factory=Augment)

    def objective(self) -> Any:
        """Networks as they start, within the objective that they are to be trained on."""
        return OBJECTIVES[self.model](
            KINDS[self.model].build(self.size), self.weights, self.augment
        )


# The rivals' bounds alone, in the proportions of `Weights`.
ELBO = Weights(prior=0.0, guess=0.0, score=0.0)
# Flips and mild crops, as the other rivals: the test pictures are clean, and ageing would cost it.
MILD = Augment(crop=0.9, old=0.0)

RECIPES = {
    # two CPU cores, under two hours
    "small": Recipe(
        Size(width=32),
        Schedule(steps=10_000, decay=0.5, clip=100.0),
        Weights(answers=4),
        augment=Augment(crop=0.9, old=0.1),
    ),
    # one large GPU, about eight minutes
    "base": Recipe(
        Size(width=96, spatial=8, rank=32), Schedule(steps=12_000, batch=256, clip=100.0)
    ),
    # the networks of `small` with a plain Gaussian prior; two CPU cores, half an hour
    "cvae": Recipe(Size(width=32), Schedule(steps=2500, clip=100.0), ELBO, "gaussian"),
    # Deshpande et al. at a quarter of their widths; two CPU cores, half an hour
    "divcolor": Recipe(
        DivcolorSize(width=32),
        Schedule(steps=1500, learning_rate=5e-4, weight_decay=0.0, clip=1e5),
        DivcolorWeights(steps=1500),
        "divcolor",
        MILD,
    ),
    # the same at their own widths; one large GPU
    "divcolor-full": Recipe(
        DivcolorSize(width=128),
        Schedule(steps=6000, batch=64, learning_rate=3e-4, weight_decay=0.0, clip=1e5),
        DivcolorWeights(steps=6000),
        "divcolor",
        MILD,
    ),
}
