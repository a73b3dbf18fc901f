"""The recipes of motion: the only place where sizes and schedules stand."""

from dataclasses import dataclass, field

from apps.motion.augment import Augment
from apps.motion.model import Size, build
from apps.motion.objective import Objective, Weights
from cvae.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """A model, what it is trained on, and for how long.

    `tower` names the shipped model whose image tower this one starts from, None for chance: the
    clips show few scenes, photos show many. `group`: no group of clips is more than this share of
    what is trained on.
    """

    size: Size
    schedule: Schedule
    weights: Weights = field(default_factory=Weights)
    augment: Augment = field(default_factory=Augment)
    tower: str | None = "colorization"
    group: float = 0.5

    def objective(self) -> Objective:
        """Networks as they start, within the objective that they are to be trained on."""
        return Objective(build(self.size), self.weights, self.augment)


RECIPES = {
    # two CPU cores, an hour
    "small": Recipe(Size(width=32), Schedule(steps=3000, learning_rate=5e-4, clip=100.0)),
    # one large GPU, minutes
    "base": Recipe(
        Size(width=96, spatial=8, rank=32),
        Schedule(steps=6000, batch=128, learning_rate=5e-4, clip=100.0),
        tower=None,
    ),
}
