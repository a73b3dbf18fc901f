"""The recipes of motion: the only place where sizes and schedules stand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.motion.augment import Augment
from apps.motion.model import KINDS, Size
from apps.motion.objective import Objective, Weights
from apps.motion.walker import WalkerSize
from apps.motion.walker_objective import WalkerObjective, WalkerWeights
from cvae.training import Schedule

OBJECTIVES: dict[str, Callable[[Any, Any, Augment], Any]] = {
    "mixture": Objective,
    "walker": WalkerObjective,
}


@dataclass(frozen=True)
class Recipe:
    """A model, what it is trained on, and for how long.

    `size` and `weights` are of the types that its `model`, a kind, takes. `backbone` names the
    shipped weights through which its tower looks at a still, None for chance. `group`: no group
    of clips is more than this share of what is trained on.
    """

    size: Any
    schedule: Schedule
    weights: Any = field(default_factory=Weights)
    model: str = "mixture"
    augment: Augment = field(default_factory=Augment)
    backbone: str | None = "imagenet"
    group: float = 0.5

    def objective(self) -> Any:
        """Networks as they start, within the objective that they are to be trained on."""
        return OBJECTIVES[self.model](
            KINDS[self.model].build(self.size), self.weights, self.augment
        )


RECIPES = {
    # one CPU core, less than half an hour
    "small": Recipe(
        Size(width=32),
        Schedule(steps=1200, learning_rate=5e-4, weight_decay=0.05, clip=100.0),
        augment=Augment(crop=0.5),
    ),
    # one large GPU, minutes
    "base": Recipe(
        Size(width=96, spatial=8, rank=32),
        Schedule(steps=6000, batch=128, learning_rate=5e-4, clip=100.0),
    ),
    # Walker et al. at a quarter of their widths; two CPU cores, an hour
    "walker": Recipe(
        WalkerSize(width=24),
        Schedule(steps=3000, learning_rate=5e-4, weight_decay=0.0, clip=1e4),
        WalkerWeights(),
        "walker",
        backbone=None,
    ),
    # the same at their own widths; one large GPU
    "walker-full": Recipe(
        WalkerSize(width=96),
        Schedule(steps=6000, batch=128, learning_rate=3e-4, weight_decay=0.0, clip=1e4),
        WalkerWeights(),
        "walker",
        backbone=None,
    ),
}
