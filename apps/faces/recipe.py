"""The recipes of the faces: the only place where sizes and schedules stand."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from apps.faces.attr2img import Attr2ImgObjective, Attr2ImgSize
from apps.faces.classifier import ClassifierObjective
from apps.faces.data import Augment
from apps.faces.layered import LayeredObjective, LayeredSize
from apps.faces.model import KINDS, EvaluatorSize, ReaderSize, Size
from apps.faces.objective import FaceObjective, Judge, Weights
from cvae.training import Schedule


@dataclass(frozen=True)
class Recipe:
    """A model, what it is trained on, and for how long.

    `judge` names the recipe whose trained network measures likeness, held still; `half` is the
    half of the train split to learn from: "judge" for who evaluates, "critics" for who takes part
    in training, None for all of it. `balanced` is the share of faces that are dealt by their rare
    attributes; whoever reads labels learns them as often as they are.
    """

    size: Any
    schedule: Schedule
    model: str = "faces"
    weights: Weights | None = None
    judge: str | None = None
    half: str | None = None
    balanced: float = 0.5
    augment: Augment = field(default_factory=Augment)

    def objective(self, judge: Judge | None = None) -> nn.Module:
        """Networks as they start, within the objective that they are to be trained on."""
        model: Any = KINDS[self.model].build(self.size)
        if self.weights is not None:
            size = self.size
            widths = (size.width, 2 * size.width, 4 * size.width)
            parts = {"attributes": size.attributes, "latent": size.latent, "widths": widths}
            return FaceObjective(model, self.weights, judge=judge, **parts)
        objectives: dict[str, Any] = {
            "attr2img": Attr2ImgObjective,
            "layered": LayeredObjective,
            "reader": ClassifierObjective,
            "evaluator": ClassifierObjective,
        }
        return objectives[self.model](model)


def who_measures(objective: Any) -> Judge:
    """Of a recipe that is named as a judge: the discriminator of a game, else the model itself."""
    return getattr(objective, "discriminator", objective.model)


# A game wants less momentum and no decay of weights; its gradients are bounded by R1.
GAME = Schedule(
    steps=14_000, learning_rate=3e-4, pursuit=2.0, weight_decay=0.0, momentum=0.5, clip=100.0
)
PLAIN = Weights(
    kl=1.0,
    attributes=0.0,
    toggled=0.0,
    held=0.0,
    still=0.0,
    natural=0.0,
    information=0.0,
    known=0.0,
    alone=0,
)
PIXELS = replace(PLAIN, features=0.0, adversarial=0.0)
FEATURES = replace(PLAIN, pixels=0.0, adversarial=0.0)
LARSEN = replace(PLAIN, pixels=0.0, r1=0.0, augmented=0.0, toggles=0.0)
GAN = replace(LARSEN, features=0.0, kl=0.0)
# Adam at the authors' rate, and as many steps as all others have.
YAN = Schedule(steps=GAME.steps, learning_rate=3e-4, weight_decay=0.004, clip=1e6)

RECIPES = {
    # one CPU core that multiplies in bfloat16, about three hours
    "small": Recipe(Size(width=32), GAME, weights=Weights(), judge="reader"),
    # one large GPU, about nine minutes
    "base": Recipe(
        Size(width=96),
        Schedule(
            steps=20_000, batch=64, learning_rate=3e-4, weight_decay=0.0, momentum=0.0, clip=100.0
        ),
        weights=Weights(augmented=0.5),
        judge="reader",
    ),
    # the comparison of the lectures: the networks and steps of `small`, one objective each
    "vae": Recipe(Size(width=32), GAME, weights=PIXELS),
    # it has no encoder to look at
    "dcgan": Recipe(Size(width=32), replace(GAME, diagnose_every=0), weights=GAN),
    "vae-dis": Recipe(Size(width=32), GAME, weights=FEATURES, judge="dcgan"),
    "vae-gan": Recipe(Size(width=32), GAME, weights=LARSEN),
    # Yan et al. at a quarter of their widths, and at their own
    "attr2img": Recipe(Attr2ImgSize(width=16), YAN, "attr2img"),
    "attr2img-full": Recipe(Attr2ImgSize(), YAN, "attr2img"),
    "discvae": Recipe(LayeredSize(width=16), YAN, "layered"),
    # who reads uploads, and who judges faces; minutes each
    "reader": Recipe(
        ReaderSize(),
        Schedule(steps=4000, learning_rate=1e-3),
        "reader",
        half="critics",
        balanced=0.0,
    ),
    "evaluator": Recipe(
        EvaluatorSize(),
        Schedule(steps=2500, learning_rate=5e-4),
        "evaluator",
        half="judge",
        balanced=0.0,
    ),
}
