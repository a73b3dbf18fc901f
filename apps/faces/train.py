"""Train a recipe on the labelled faces of a folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from apps.faces.attributes import COLUMNS
from apps.faces.copula import Copula
from apps.faces.data import Augment, Faces, find_faces, halves, load_faces
from apps.faces.objective import Judge
from apps.faces.recipe import RECIPES, Recipe, who_measures
from apps.training import begun
from cvae.training import Trainer, train


def train_recipe(
    recipe: Recipe, data: Path, out: Path, *, progress: bool = True, **options: Any
) -> Trainer:
    """Train on the train split of every set in `data`; leave the run in `out`.

    A recipe that measures likeness by a network of another trains that one first, in `out`.
    `options` are those of `train_on`.
    """
    faces = load_faces(find_faces(data, "train"), progress=progress)
    return train_on(recipe, faces, out, firsts=out, progress=progress, **options)


def train_on(
    recipe: Recipe, faces: Faces, out: Path, *, firsts: Path, name: str = "", **options: Any
) -> Trainer:
    """Train on faces in memory; `options` are those of `cvae.training.train`.

    Args:
        firsts: folder of the runs whose networks measure likeness, by the names of their recipes;
            what is not there yet is trained there.
    """
    judge = judge_of(recipe.judge, faces, firsts, **options) if recipe.judge else None
    for_judge, for_critics = halves(faces.faces)
    if recipe.half:
        faces = faces.take({"judge": for_judge, "critics": for_critics}[recipe.half])
        for_critics = torch.arange(len(faces))
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    objective = Augmented(recipe.objective(judge), recipe.augment)
    known = faces.labels[:, COLUMNS]
    stated = (known != 0).all(1)  # the copula wants whole rows
    copula = Copula.fit((known[stated] > 0).numpy()).to_config() if stated.sum() > 1 else None
    config: dict[str, Any] = {
        "domain": "faces",
        "recipe": name,
        "faces": len(faces),
        "model": recipe.model,
        "size": asdict(recipe.size),
        "weights": asdict(recipe.weights) if recipe.weights else None,
        "copula": copula,
    }
    fetch = Pairs(faces, for_critics, balanced=recipe.balanced)
    schedule = recipe.schedule
    return train(
        objective, fetch, size=len(faces), schedule=schedule, out=out, config=config, **options
    )


def judge_of(name: str, faces: Faces, firsts: Path, **options: Any) -> Judge:
    """What the recipe `name` leaves in its run in `firsts` that measures likeness: a reader, or
    of a game the discriminator."""
    run = firsts / name
    own: dict[str, Any] = {**options, "name": name, "resume": begun(run)}
    augmented: Any = train_on(RECIPES[name], faces, run, firsts=firsts, **own).objective
    return who_measures(augmented.objective)


class Pairs:
    """Row numbers -> (x, y) to encode and (x, y) that critics may see, as many of each.

    Critics see their own half of the faces only, in the same proportion of sets.

    Args:
        balanced: share of the rows that stand for a face dealt by `deal` instead.
    """

    def __init__(self, faces: Faces, for_critics: Tensor, *, balanced: float = 0.0) -> None:
        if not len(for_critics):
            raise ValueError(f"got {len(faces)} faces, expected some in the critics' half")
        self.faces = faces
        labels = faces.labels[:, COLUMNS]
        self.rows = deal(labels, balanced)
        self.for_critics = for_critics[deal(labels[for_critics], balanced)]

    def __call__(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        own = self.for_critics[rows % len(self.for_critics)]
        return (*self._of(self.rows[rows]), *self._of(own))

    def _of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        x, labels = self.faces.tensors(rows)
        return x, labels[:, COLUMNS]


def deal(labels: Tensor, share: float, *, seed: int = 0) -> Tensor:
    """The numbers of rows with labels `(N, A)`, a share of them replaced so that the rarer state
    of every attribute comes as often as that of any other; `(N,)`.

    What a model is to know of x given y does not depend on how often y is shown; how soon it
    learns it does.

    Example:
        >>> deal(torch.tensor([[-1], [1], [-1]]), 1.0), deal(torch.tensor([[-1], [1]]), 0.0)
        (tensor([1, 1, 1]), tensor([0, 1]))
    """
    generator = torch.Generator().manual_seed(seed)
    n, attributes = labels.shape
    rows = torch.arange(n)
    replaced = torch.rand(n, generator=generator) < share
    whose = torch.randint(attributes, (n,), generator=generator)
    for a in range(attributes):
        on, off = labels[:, a] > 0, labels[:, a] < 0
        few = torch.nonzero(on if 0 < on.sum() <= off.sum() else off)[:, 0]
        turns = torch.nonzero(replaced & (whose == a))[:, 0]
        if len(few):
            rows[turns] = few[torch.randint(len(few), (len(turns),), generator=generator)]
    return rows


class Augmented(nn.Module):
    """An objective on changed pictures; what is a game stays one."""

    def __init__(self, objective: nn.Module, augment: Augment) -> None:
        super().__init__()
        self.objective, self.augment = objective, augment
        for hook in ("players", "observed"):
            if hasattr(objective, hook):
                setattr(self, hook, getattr(objective, hook))

    @property
    def model(self) -> nn.Module:
        return self.objective.model  # type: ignore[return-value]

    def forward(
        self,
        batch: tuple[Tensor, Tensor, Tensor, Tensor],
        generator: torch.Generator,
        *player: str,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        x, y, real, labels = batch
        x, real = self.augment(x, generator), self.augment(real, generator)
        return self.objective((x, y, real, labels), generator, *player)
