"""The models compared with and who judges them: trained once by their recipes, in a cache."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from apps.faces.data import Faces, find_faces, load_faces
from apps.faces.recipe import RECIPES, Recipe
from apps.faces.train import train_on
from apps.training import trained_once

JUDGE = "evaluator"
# by recipe, the names of the table's rows; whose discriminator another measures by comes first
RIVALS = {
    "attr2img": "attr2img",
    "discvae": "disCVAE",
    "vae": "VAE",
    "dcgan": "DCGAN",
    "vae-dis": "VAE_Dis",
    "vae-gan": "VAE/GAN",
}


def rivals(data: Path, cache: Path, **options: Any) -> dict[str, Path]:
    """Weights by recipe, of `RIVALS` and of the `JUDGE`, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, as `trained_once` tells, whose
    `options` these are. The faces are read once, and only if something is to be trained.
    """

    @lru_cache
    def faces() -> Faces:
        return load_faces(find_faces(data, "train"), progress=options.get("progress", True))

    def fit(recipe: Recipe, _: Path, run: Path, **how: Any) -> None:
        train_on(recipe, faces(), run, firsts=cache, **how)

    return trained_once((JUDGE, *RIVALS), RECIPES, fit, data, cache, **options)
