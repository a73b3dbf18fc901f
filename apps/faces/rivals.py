"""The models compared with and who judges them: trained once by their recipes, in a cache."""

from pathlib import Path

import torch

from apps.export import export
from apps.faces.data import Faces, find_faces, load_faces
from apps.faces.recipe import RECIPES
from apps.faces.train import judge_of, train_on
from apps.training import begun, finished

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


def rivals(
    data: Path, cache: Path, *, device: torch.device, training: bool, progress: bool = True
) -> dict[str, Path]:
    """Weights by recipe, of `RIVALS` and of the `JUDGE`, for `evaluate`.

    What is not yet trained in `cache` is trained on `data`, or continued where it stopped; without
    `training` it is left out.
    """
    faces: Faces | None = None
    found = {}
    for name in (JUDGE, *RIVALS):
        if not finished(cache / name, RECIPES[name].schedule.steps):
            if not training:
                continue
            faces = faces or load_faces(find_faces(data, "train"), progress=progress)
            _train(name, faces, cache, device=device, progress=progress)
        found[name] = export(cache / name)
    return found


def _train(name: str, faces: Faces, cache: Path, *, device: torch.device, progress: bool) -> None:
    recipe, run = RECIPES[name], cache / name
    judge = None
    if recipe.judge:  # a rival itself, so that its run is here
        judge = judge_of(recipe.judge, faces, cache / recipe.judge, device=device)
    resume = begun(run)
    train_on(
        recipe,
        faces,
        run,
        judge=judge,
        name=name,
        device=device,
        resume=resume,
        progress=progress,
    )
