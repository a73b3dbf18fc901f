"""What a model must beat: ways to colour that need no training beyond linear algebra."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.colorization.data import CHROMA_SIZE, Photos
from apps.colorization.rows import SHAPE, Row
from apps.colorization.truth import Truth

PENALTIES = tuple(10.0**n for n in range(7))
BATCH = 512
RESIDUALS = 4000  # pictures that the covariance of a residual is measured on


def small(grey: Tensor) -> Tensor:
    """Lightness `(B, 1, 128, 128)` as 32 x 32 numbers, `(B, 1024)`."""
    return F.avg_pool2d(grey, 4).flatten(1)


def batches(photos: Photos) -> Iterator[tuple[Tensor, Tensor]]:
    """Lightness and chroma of all photos as network tensors, a part at a time."""
    for start in range(0, len(photos), BATCH):
        yield photos.tensors(slice(start, start + BATCH))


class Constant(Row):
    """The same chroma `(2, 64, 64)` for every picture."""

    def __init__(self, name: str, chroma: Tensor) -> None:
        super().__init__(name)
        self.chroma = chroma

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return self.chroma.to(grey.device).expand(len(grey), 1, *self.chroma.shape)


def grey_row() -> Constant:
    """No colour at all."""
    return Constant("grey", torch.zeros(SHAPE))


def mean_row(train: Photos) -> Constant:
    """The mean chroma of the training photos."""
    total = sum((chroma.sum(0) for _, chroma in batches(train)), torch.zeros(SHAPE))
    return Constant("mean image", total / len(train))


class RandomChroma(Row):
    """The chroma of training photos picked blindly: right as a set, blind to the picture."""

    def __init__(self, train: Photos) -> None:
        super().__init__("random training chromas")
        self.chroma = train.chroma

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        shape, device = (len(grey), k), generator.device
        rows = torch.randint(len(self.chroma), shape, generator=generator, device=device)
        return self.chroma[rows.cpu()].to(grey.device).float() / 128


class Neighbours(Row):
    """The chroma of the training photos whose grey is most alike, the nearest first.

    Alike by the correlation of lightness at 32 x 32, so that exposure and contrast do not count.
    """

    def __init__(self, train: Photos) -> None:
        super().__init__("grey-kNN")
        self.features = torch.cat([self._normalised(grey) for grey, _ in batches(train)])
        self.chroma = train.chroma

    @staticmethod
    def _normalised(grey: Tensor) -> Tensor:
        x = small(grey)
        return F.normalize(x - x.mean(1, keepdim=True))

    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        likeness = self._normalised(grey.cpu()) @ self.features.T
        rows = likeness.topk(min(k, len(self.features)), dim=1).indices
        return self.chroma[rows].to(grey.device).float() / 128


@dataclass(frozen=True)
class Ridge:
    r"""Linear regression of chroma on grey, $y = \bar y + (x - \bar x) W$."""

    x_mean: Tensor
    y_mean: Tensor
    weight: Tensor
    penalty: float

    def __call__(self, grey: Tensor) -> Tensor:
        x = small(grey)
        parts = (part.to(x) for part in (self.x_mean, self.weight, self.y_mean))
        x_mean, weight, y_mean = parts
        return ((x - x_mean) @ weight + y_mean).unflatten(1, SHAPE)


def fit_ridge(train: Photos, val: Truth, penalties: Sequence[float] = PENALTIES) -> Ridge:
    r"""Ridge regression, its penalty the one with the least squared error on `val`.

    With $X = U S V^T$, $W = V (S^2 + \lambda)^{-1} S U^T Y$: one decomposition for all penalties.
    """
    x = torch.cat([small(grey) for grey, _ in batches(train)])
    x_mean = x.mean(0)
    u, s, vt = torch.linalg.svd(x - x_mean, full_matrices=False)
    turned = torch.zeros(len(s), 2 * CHROMA_SIZE**2)  # U^T Y
    y_mean = torch.zeros(2 * CHROMA_SIZE**2)
    for part, (_, chroma) in zip(u.split(BATCH), batches(train), strict=True):
        y = chroma.flatten(1)
        turned += part.T @ y
        y_mean += y.sum(0) / len(train)
    seen, wanted = (small(val.grey) - x_mean) @ vt.T, val.chroma.flatten(1) - y_mean
    errors = {
        penalty: ((seen * s / (s.square() + penalty)) @ turned - wanted).square().mean().item()
        for penalty in penalties
    }
    penalty = min(penalties, key=errors.__getitem__)
    weight = (vt.T * s / (s.square() + penalty)) @ turned
    return Ridge(x_mean, y_mean, weight, penalty)


@dataclass(frozen=True)
class ResidualGaussian:
    """A Gaussian over whole chroma fields on its leading principal components.

    Shapes: mean `(D,)`, factor `(C, D)`, D = 2 * 64 * 64: $e = \\bar e + T \\epsilon F$.
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, residuals: Tensor, *, components: int = 64) -> "ResidualGaussian":
        """Fit to residuals `(N, 2, 64, 64)`."""
        x = residuals.flatten(1)
        mean = x.mean(0)
        count = min(components, *x.shape)
        with torch.random.fork_rng(devices=[]):  # the solver draws from the global generator
            torch.manual_seed(0)
            _, singular, basis = torch.svd_lowrank(x - mean, q=min(count + 16, *x.shape), niter=4)
        factor = (basis * (singular / max(len(x) - 1, 1) ** 0.5)).T[:count]
        return cls(mean, factor)

    def draw(
        self, batch: int, k: int, *, temperature: float, generator: torch.Generator
    ) -> Tensor:
        """Errors `(B, k, 2, 64, 64)`."""
        device = generator.device
        noise = torch.randn(batch, k, len(self.factor), generator=generator, device=device)
        drawn = temperature * noise @ self.factor.to(device)
        return (drawn + self.mean.to(device)).unflatten(-1, SHAPE)


class Regression(Row):
    """A conditional mean alone: one answer."""

    def __init__(self, name: str, mean: Ridge | torch.nn.Module) -> None:
        super().__init__(name)
        self.mean = mean

    @torch.inference_mode()
    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        return self.mean(grey)[:, None]


class RegressionAndGaussian(Row):
    """A conditional mean, and around it the same Gaussian for every picture."""

    sampled = True

    def __init__(
        self, name: str, mean: Ridge | torch.nn.Module, residual: ResidualGaussian
    ) -> None:
        super().__init__(name)
        self.mean, self.residual = mean, residual

    @torch.inference_mode()
    def draw(
        self, grey: Tensor, k: int, *, generator: torch.Generator, temperature: float = 1.0
    ) -> Tensor:
        errors = self.residual.draw(len(grey), k, temperature=temperature, generator=generator)
        return self.mean(grey)[:, None] + errors.to(grey.device)


@torch.inference_mode()
def fit_residual(
    mean: Ridge | torch.nn.Module, train: Photos, *, device: torch.device, seed: int = 0
) -> ResidualGaussian:
    """The Gaussian of what `mean` leaves open on (at most `RESIDUALS` of) the training photos."""
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    errors = []
    for rows in order[:RESIDUALS].split(BATCH // 4):
        grey, chroma = train.tensors(rows)
        errors.append(chroma - mean(grey.to(device)).float().cpu())
    return ResidualGaussian.fit(torch.cat(errors))


def linear_rows(train: Photos, val: Truth) -> list[Row]:
    """Everything that linear algebra gives."""
    ridge = fit_ridge(train, val)
    gaussian = fit_residual(ridge, train, device=torch.device("cpu"))
    return [
        grey_row(),
        mean_row(train),
        Regression("ridge mean", ridge),
        RandomChroma(train),
        Neighbours(train),
        RegressionAndGaussian("linear-Gaussian", ridge, gaussian),
    ]
