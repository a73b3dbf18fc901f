"""Rows of trained models: their plain draws, and the few answers that each would show."""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from apps.motion import answers, walker
from apps.motion.data import Windows
from apps.motion.dct import from_maps
from apps.motion.posterior import importance_nll
from apps.motion.rows import Pooled, Row
from cvae.model import CVAE
from mdn.modes import principal_points


class Samples(Row):
    """Plain draws of our model, in no order; its density is bounded by importance sampling."""

    def __init__(self, name: str, model: CVAE) -> None:
        super().__init__(name)
        self.model = model.eval()

    def draw(self, frames: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return answers.draw(self.model, frames, k, generator=generator)

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        return importance_nll(self.model, windows, generator=generator)


class Shown(Pooled):
    """What a forecast shows: k answers that stand for many draws, the likeliest first."""

    def __init__(self, name: str, model: CVAE, *, pool: int = answers.POOL) -> None:
        super().__init__(name)
        self.model, self.pool = model.eval(), pool

    def gather(self, frame: Tensor, *, generator: torch.Generator) -> Tensor:
        seed = torch.randint(2**31, (), generator=generator, device=generator.device)
        return answers.pool(self.model, frame, self.pool, seed=int(seed))[0]

    def choose(self, drawn: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return answers.answers(drawn, k)[0]


class Walker(Pooled):
    """The answers of Walker et al. (2016): k clusters of the livelier half of many draws.

    Draws whose mean |motion| is below the median are dropped, k-means finds clusters in the space
    of the ten maps, the largest comes first, and its mean, weakened where draws seldom move, is
    the answer. The original draws 800; here as many as the own model has.
    """

    def __init__(self, name: str, model: CVAE, *, pool: int = answers.POOL) -> None:
        super().__init__(name)
        self.model, self.pool = model.eval(), pool

    def gather(self, frame: Tensor, *, generator: torch.Generator) -> Tensor:
        return livelier(
            answers.draw(self.model, frame, self.pool, generator=generator, read=walker.compose)[0]
        )

    def choose(self, drawn: Tensor, k: int, *, generator: torch.Generator) -> Tensor:
        return from_maps(clusters(drawn, k, generator) * mask(drawn))

    def nll(self, windows: Windows, *, generator: torch.Generator) -> Tensor:
        """Of the model's draws, before any are dropped."""
        width = self.model.get_parameter("generation.logwidth")
        likelihood = partial(walker.log_likelihood, logwidth=width)
        return importance_nll(self.model, windows, generator=generator, likelihood=likelihood)


def livelier(maps: Tensor) -> Tensor:
    """The draws `(n, 10, h, w)` whose mean |motion| is not below the median."""
    liveliness = maps.abs().mean((1, 2, 3))
    return maps[liveliness >= liveliness.quantile(0.5)]


def mask(maps: Tensor) -> Tensor:
    r"""Where the draws `(n, 10, h, w)` move, `(h, w)` from 0 to 1.

    .. math:: \sum_i \sum_j |y_{ij}| / \|y_i\|

    over draws i and maps j, divided by its largest value. (The original divides by the largest
    less the smallest: where nothing is quite still that enlarges all motion.)
    """
    lengths = maps.flatten(1).norm(dim=1).clamp_min(1e-12)
    share = (maps.abs() / lengths[:, None, None, None]).sum((0, 1))
    return share / share.max().clamp_min(1e-12)


def clusters(maps: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Means of k clusters of draws, `(n, ...)` -> `(k, ...)`, the largest first.

    Raises:
        ValueError: k is more than n.
    """
    x = maps.flatten(1)
    x = x - x.mean(0)
    # k-means only asks for distances, and n points span no more than n dimensions
    values, vectors = torch.linalg.eigh((x @ x.T).double())
    points = (vectors * values.clamp_min(0).sqrt()).float()
    _, _, labels = principal_points(points, k, generator=generator)
    members = one_hot(labels, k).to(maps)
    # a cluster without members, where draws are the same, is that of all
    members[:, members.sum(0) == 0] = 1
    means = (members / members.sum(0)).T @ maps.flatten(1)
    return means.unflatten(1, maps.shape[1:])
