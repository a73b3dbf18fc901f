"""Train the face detector, and say how well it finds faces that it never saw."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.detector import Detector, Found, find_faces, overlap
from apps.faces.detector_data import Scenes, load_sources
from apps.faces.model import KINDS, DetectorSize
from apps.faces.place import LEFT_EYE, RIGHT_EYE, Frame
from apps.kinds import rebuild
from cvae import checkpoint
from cvae.metrics import Interval, bootstrap
from cvae.training import Schedule, Trainer, train

SCENES = 1 << 19  # how many different ones there are; more than any run takes


@dataclass(frozen=True)
class DetectorRecipe:
    """Sizes and schedule; on two CPU cores about a quarter of an hour."""

    size: DetectorSize = DetectorSize()  # noqa: RUF009 - it is frozen
    faces: int = 8000  # pictures of CelebA in memory
    whole: int = 6000  # pictures of LFW
    schedule: Schedule = Schedule(  # noqa: RUF009 - it is frozen
        steps=3000, batch=48, learning_rate=2e-3, decay=0.5, clip=10.0, save_every=250
    )


DETECTORS = {"detector": DetectorRecipe()}


class DetectorObjective(nn.Module):
    r"""Penalty-reduced focal loss of the centres, L1 of the frames (Zhou et al., 2019, Eqs. 1-4).

    At a face's own place $-(1-p)^2 \log p$, elsewhere $-(1-h)^4 p^2 \log(1-p)$ with h the heat
    that `encode` spreads around it; both summed and divided by the number of faces.
    """

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: tuple[Tensor, Tensor, Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        pixels, heat, values, mask = batch
        logits, said = self.model(pixels)
        centres = focal(logits, heat)
        frames = ((said - values).abs() * mask).sum() / mask.sum().clamp(min=1)
        return centres + frames, {"centres": centres.detach(), "frames": frames.detach()}


def focal(logits: Tensor, heat: Tensor) -> Tensor:
    """Focal loss of `(B, 1, h, w)` logits, a face: see `DetectorObjective`."""
    own = (heat == 1).float()
    p = logits.sigmoid()
    hit = own * (1 - p).square() * F.logsigmoid(logits)
    miss = (1 - own) * (1 - heat).pow(4) * p.square() * F.logsigmoid(-logits)
    return -(hit + miss).sum() / own.sum().clamp(min=1)


def train_detector(
    recipe: DetectorRecipe,
    data: Path,
    out: Path,
    *,
    name: str = "detector",
    device: torch.device | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train on the train split of CelebA, LFW and the photos in `data`; leave the run in `out`."""
    seed = recipe.schedule.seed
    sources = load_sources(data, "train", seed=seed, faces=recipe.faces, whole=recipe.whole)
    torch.manual_seed(seed)  # of the first weights only
    return train(
        DetectorObjective(Detector(**asdict(recipe.size))),
        Scenes(sources, seed=seed),
        size=SCENES,
        schedule=recipe.schedule,
        out=out,
        config={
            "domain": "faces",
            "recipe": name,
            "model": "detector",
            "size": asdict(recipe.size),
            "faces": recipe.faces,
            "whole": recipe.whole,
        },
        device=device,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )


def trained_detector(run: Path) -> Detector:
    """The averaged detector of a run, ready to look."""
    state = checkpoint.load(run)
    model: Any = rebuild(state["config"], KINDS)
    model.load_state_dict(state["trainer"]["average"], strict=True)
    return model.eval()


@dataclass(frozen=True)
class Finding:
    """How well a detector does on one kind of picture.

    `recall`: share of faces met by a finding of overlap ≥ ½; `eyes`: mean distance of both eyes to
    where they are, in shares of the frame's side, over the faces that were met; `roll`: mean error
    in degrees over the same; `false`: findings a picture that meet no face.
    """

    pictures: int
    faces: int
    recall: Interval | None
    eyes: Interval | None
    roll: float | None
    false: Interval | None


def evaluate_detector(
    model: Detector, data: Path, *, split: str = "val", scenes: int = 400, seed: int = 1
) -> dict[str, Finding]:
    """Judge on pictures that were not trained on: made scenes, whole LFW frames, bare photos."""
    sources = load_sources(data, split, seed=seed)
    made = Scenes(sources, seed=seed)
    return {
        "scenes": measure(model, [made.scene(n) for n in range(scenes)]),
        "lfw": measure(model, [(pixels, [frame]) for pixels, frame in sources.whole]),
        "photos": measure(model, [(pixels, []) for pixels in sources.photos]),
    }


def measure(model: Detector, pictures: Sequence[tuple[np.ndarray, list[Frame]]]) -> Finding:
    """Find the faces in pictures and compare with where they are."""
    met: list[float] = []
    eyes: list[float] = []
    rolls: list[float] = []
    false: list[float] = []
    for pixels, frames in pictures:
        found = find_faces(model, pixels)
        pairs = match(found, frames)
        met += [float(i in pairs) for i in range(len(frames))]
        eyes += [eye_error(found[j].frame, frames[i]) for i, j in pairs.items()]
        rolls += [abs(found[j].frame.roll - frames[i].roll) for i, j in pairs.items()]
        false.append(float(len(found) - len(pairs)))
    return Finding(
        pictures=len(pictures),
        faces=len(met),
        recall=_interval(met),
        eyes=_interval(eyes),
        roll=float(np.degrees(np.mean(rolls))) if rolls else None,
        false=_interval(false),
    )


def match(found: Sequence[Found], frames: Sequence[Frame]) -> dict[int, int]:
    """Which finding meets which face, each once, the surest first: face -> finding."""
    pairs: dict[int, int] = {}
    for j, one in enumerate(found):
        free = [i for i in range(len(frames)) if i not in pairs]
        best = max(free, key=[overlap(one.frame, f) for f in frames].__getitem__, default=None)
        if best is not None and overlap(one.frame, frames[best]) >= 0.5:
            pairs[best] = j
    return pairs


def eye_error(found: Frame, frame: Frame) -> float:
    """Mean distance of the eyes to where they should be, in shares of the true side.

    Example:
        >>> eye_error(Frame(13, 14, 20), Frame(10, 10, 20))
        0.25
    """
    eyes = (LEFT_EYE, RIGHT_EYE)
    away = np.linalg.norm(found.points(eyes) - frame.points(eyes), axis=1)
    return round(float(away.mean() / frame.side), 12)


def _interval(values: list[float]) -> Interval | None:
    if not values:
        return None
    return bootstrap(torch.tensor(values), generator=torch.Generator().manual_seed(0))
