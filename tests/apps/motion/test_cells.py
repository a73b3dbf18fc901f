"""What is said of a cell: a density that integrates, and means that are what they claim."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from apps.motion import cells


def said(*, logit: float, raw: float, v: list[float], widths: list[float]) -> Tensor:
    """One cell `(1, 22, 1, 1)`."""
    return torch.tensor([logit, raw, *v, *widths], dtype=torch.float64)[None, :, None, None]


@pytest.fixture
def one() -> Tensor:
    rng = np.random.default_rng(0)
    v, widths = rng.normal(size=(2, 10)) * [[2.0], [0.3]]
    return said(logit=0.4, raw=1.1, v=v.tolist(), widths=widths.tolist())


def laws(one: Tensor) -> tuple[float, list]:
    """π and SciPy's two laws of the ten coefficients in the order (k, axis)."""
    x = one[0, :, 0, 0].numpy()
    far = 4 * math.log1p(math.exp(x[1]))
    way = x[2:12] / math.sqrt(1 + (x[2:12] ** 2).sum())
    still, moving = 0.5 * np.exp(x[12:17]), 2 * np.exp(x[17:22]) * (1 + far / 3)
    return 1 / (1 + math.exp(-x[0])), [
        stats.multivariate_t(np.zeros(10), np.diag(still.repeat(2) ** 2), df=3),
        stats.multivariate_t(far * way, np.diag(moving.repeat(2) ** 2), df=3),
    ]


def test_density_is_that_of_scipy(one: Tensor) -> None:
    share, (still, moving) = laws(one)
    points = np.random.default_rng(1).normal(size=(20, 10)) * 5
    expected = np.log((1 - share) * still.pdf(points) + share * moving.pdf(points))
    motion = torch.from_numpy(points).reshape(20, 5, 2, 1, 1)
    found = cells.log_density(one.expand(20, -1, 1, 1), motion)
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-9)


def test_expected_is_the_mean_of_the_mixture(one: Tensor) -> None:
    share, (_, moving) = laws(one)
    found = cells.expected(one).flatten().numpy()
    np.testing.assert_allclose(found, share * moving.loc, rtol=1e-9)
    assert np.linalg.norm(moving.loc) < cells.distance(one).item()


def test_weights_leave_cells_out(one: Tensor) -> None:
    many = one.expand(2, -1, 3, 4).contiguous()
    motion = torch.randn(2, 5, 2, 3, 4, dtype=torch.float64)
    weights = torch.zeros(2, 3, 4, dtype=torch.float64)
    weights[:, 1, 2] = 2.0
    expected = 2 * cells.log_density(many, motion)[:, 1, 2]
    assert torch.allclose(cells.log_likelihood(many, motion, weights), expected)
    whole = cells.log_likelihood(many, motion)
    assert torch.allclose(whole, cells.log_density(many, motion).sum((1, 2)))


def test_still_cells_are_dearest_where_nothing_moves() -> None:
    """The law first says whether: for a cell at rest, certainty that it rests scores best."""
    rest = torch.zeros(1, 5, 2, 1, 1, dtype=torch.float64)
    far = rest.clone()
    far[:, 0, 0] = 12.0
    v = [9.0] + [0.0] * 9
    sure, unsure, moving = (
        said(logit=logit, raw=3.0, v=v, widths=[0.0] * 10) for logit in (-6.0, 0.0, 6.0)
    )
    order = [cells.log_density(x, rest).item() for x in (moving, unsure, sure)]
    assert order == sorted(order)
    order = [cells.log_density(x, far).item() for x in (sure, unsure, moving)]
    assert order == sorted(order)


def test_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 22, 1, 2, dtype=torch.float64, requires_grad=True)
    motion = torch.randn(2, 5, 2, 1, 2, dtype=torch.float64) * 3
    assert torch.autograd.gradcheck(lambda x: cells.log_density(x, motion), (x,))
    assert torch.autograd.gradcheck(cells.expected, (x,))
