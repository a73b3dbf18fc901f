"""Motion as a choice of forty kinds in every cell: Walker, Gupta and Hebert's classifier.

"Dense optical flow prediction from a static image", 2015, on the tower and grid of this house and
over trajectories in place of flow: a kind is a cluster of the ten coefficients of a cell.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.motion.data import Windows
from apps.motion.dense import CellNetwork, sure_of, train_kept
from apps.motion.objective import Batch
from apps.motion.recipe import Recipe
from apps.motion.rows import BATCH, Row
from apps.motion.scores import moving_cells
from flow.basis import COEFFICIENTS

KINDS = 40
CELLS_READ = 40_000  # moving cells that the kinds are found in
ROUNDS = 30
NAME = "quantised flow"


def find_kinds(windows: Windows, *, kinds: int = KINDS, seed: int = 0) -> Tensor:
    """Centres `(kinds, 10)` in px, the first of them no motion.

    The others are k-means over cells that move and whose motion is sure: still cells, of which
    there are most, have their own.

    Raises:
        ValueError: fewer cells move than there are kinds.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(windows), generator=generator)
    found: list[Tensor] = []
    count = 0
    for rows in order.split(BATCH):
        _, motion, confidence = windows.tensors(rows)
        chosen = moving_cells(motion) & (confidence > 0.5)
        found.append(as_cells(motion)[chosen])
        count += int(chosen.sum())
        if count >= 4 * CELLS_READ:  # of many windows: neighbouring cells are alike
            break
    cells = torch.cat(found)
    if len(cells) < kinds:
        raise ValueError(f"got {len(cells)} moving cells, expected at least {kinds} to cluster")
    cells = cells[torch.randperm(len(cells), generator=generator)[:CELLS_READ]]
    return torch.cat([cells.new_zeros(1, cells.shape[1]), k_means(cells, kinds - 1, generator)])


def k_means(x: Tensor, k: int, generator: torch.Generator, *, rounds: int = ROUNDS) -> Tensor:
    """Centres `(k, D)` of points `(N, D)`.

    Started as k-means++ does (Arthur and Vassilvitskii 2007), then improved by Lloyd's rounds; a
    centre that is nobody's nearest stays.

    Example:
        >>> x = torch.tensor([[0.0], [0.2], [9.0], [9.4]])
        >>> k_means(x, 2, torch.Generator().manual_seed(0)).sort(0).values.flatten()
        tensor([0.1000, 9.2000])
    """
    centres = x[torch.randint(len(x), (1,), generator=generator)]
    apart = (x - centres).square().sum(1)
    for _ in range(k - 1):
        following = x[torch.multinomial(apart + 1e-12, 1, generator=generator)]
        centres = torch.cat([centres, following])
        apart = torch.minimum(apart, (x - following).square().sum(1))
    for _ in range(rounds):
        nearest = torch.cdist(x, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add(0, nearest, x)
        counts = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp_min(1), centres)
    return centres


def as_cells(motion: Tensor) -> Tensor:
    """The ten coefficients of each cell last: `(..., 5, 2, h, w)` -> `(..., h, w, 10)`."""
    return motion.flatten(-4, -3).movedim(-3, -1)


def as_motion(cells: Tensor) -> Tensor:
    """What `as_cells` was made of."""
    return cells.movedim(-1, -3).unflatten(-3, (COEFFICIENTS, 2))


class Choice(nn.Module):
    """Objective of the classifier: cross-entropy to the nearest kind, mean by confidence.

    Args:
        kinds: the centres, `(K, 10)`.
    """

    kinds: Tensor

    def __init__(self, recipe: Recipe, kinds: Tensor) -> None:
        super().__init__()
        self.model = CellNetwork(width=recipe.size.width, channels=len(kinds))
        self.augment, self.least = recipe.augment, recipe.weights.least
        self.register_buffer("kinds", kinds)

    def forward(
        self, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        frames, motion, confidence = self.augment(*batch, generator)
        nearest = torch.cdist(as_cells(motion).flatten(0, 2), self.kinds).argmin(1)
        wanted = nearest.unflatten(0, confidence.shape)
        said = self.model(frames)
        nats = F.cross_entropy(said, wanted, reduction="none")  # (B, h, w)
        loss = (nats * sure_of(confidence, self.least)).sum()
        return loss, {"right": (said.argmax(1) == wanted).float().mean()}


def train_quantised(
    windows: Windows,
    out: Path,
    *,
    recipe: Recipe,
    kinds: int = KINDS,
    device: torch.device | None = None,
    progress: bool = True,
) -> "Quantised":
    """The classifier of the run in `out` (see `train_kept`), its kinds found in `windows`."""
    torch.manual_seed(recipe.schedule.seed)  # of the first weights only
    objective = Choice(recipe, find_kinds(windows, kinds=kinds))
    network = train_kept(
        objective,
        windows,
        out,
        name=f"{NAME}, {kinds} kinds",
        recipe=recipe,
        device=device,
        progress=progress,
    )
    return Quantised(network, objective.kinds)  # of the run, where one was read


class Quantised(Row):
    """The expected motion first, then draws in which every cell chooses by itself.

    A draw is right in every cell and wrong as a whole: neighbours that in truth go one way
    together go ways of their own, which costs in the energy score of motions as wholes and leaves
    little for the best of many draws to gain. What it has no means to say is what a latent is for.
    """

    def __init__(self, network: nn.Module, kinds: Tensor) -> None:
        super().__init__(NAME)
        self.network, self.kinds = network, kinds

    @torch.inference_mode()
    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        logits = self.network(frames.float() / 127.5 - 1)
        shares = logits.softmax(1).movedim(1, -1)  # (B, h, w, K)
        first = as_motion(shares @ self.kinds)[:, None]
        if k == 1:
            return first
        flat = shares.flatten(0, 2)
        chosen = torch.multinomial(flat, k - 1, replacement=True, generator=generator)
        cells = self.kinds[chosen].unflatten(0, shares.shape[:3]).movedim(3, 1)
        return torch.cat([first, as_motion(cells)], 1)
