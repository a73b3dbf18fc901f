"""The recipes of colorization: the only place where sizes and schedules stand."""

from dataclasses import dataclass, field

from apps.colorization.model import Size
from apps.colorization.objective import Weights
from cvae.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """A model, what it is trained on, and for how long."""

    size: Size
    schedule: Schedule
    weights: Weights = field(default_factory=Weights)


RECIPES = {
    # two CPU cores, under two hours
    "small": Recipe(Size(width=32), Schedule(steps=5000, batch=32, clip=100.0)),
    # one large GPU, about eight minutes
    "base": Recipe(
        Size(width=96, spatial=8, rank=32), Schedule(steps=12_000, batch=256, clip=100.0)
    ),
}
