"""The nearest-component loss: its definition and its bound."""

import math

import pytest
import torch

from mdn.mixture import GaussianMixture
from mdn.nearest import nearest_component_nll

SCALE, DIM = 0.3, 4


def constant() -> float:
    return DIM * math.log(SCALE) + 0.5 * DIM * math.log(2 * math.pi)


def test_it_bounds_the_exact_negative_log_likelihood() -> None:
    g = torch.Generator().manual_seed(0)
    logits, loc = torch.randn(20, 5, generator=g), torch.randn(20, 5, DIM, generator=g)
    z = torch.randn(20, DIM, generator=g)
    exact = -GaussianMixture(logits, loc, scale=torch.full((20, DIM), SCALE)).log_prob(z)
    nearest = nearest_component_nll(logits, loc, SCALE, z) + constant()
    assert (nearest >= exact - 1e-4).all()
    assert (nearest > exact + 1e-3).any()


def test_with_one_component_within_reach_it_is_exact() -> None:
    loc = torch.stack([torch.zeros(DIM), torch.full((DIM,), 50.0)])
    logits, z = torch.tensor([0.2, 1.4]), torch.full((DIM,), 0.1)
    exact = -GaussianMixture(logits, loc, scale=torch.full((DIM,), SCALE)).log_prob(z)
    torch.testing.assert_close(nearest_component_nll(logits, loc, SCALE, z) + constant(), exact)


def test_distance_alone_chooses_and_only_that_component_learns() -> None:
    # The second component is far likelier, the first a little nearer.
    logits = torch.tensor([-20.0, 0.0], requires_grad=True)
    loc = torch.tensor([[0.0], [1.0]], requires_grad=True)
    loss = nearest_component_nll(logits, loc, 1.0, torch.tensor([0.4]))
    assert loss.item() == pytest.approx(20 + 0.4**2 / 2, abs=1e-4)
    (grad,) = torch.autograd.grad(loss, loc)
    torch.testing.assert_close(grad, torch.tensor([[-0.4], [0.0]]))


def test_extremes_stay_finite_and_a_bad_scale_is_named() -> None:
    logits = torch.tensor([1e4, -1e4]).bfloat16()
    loss = nearest_component_nll(logits, torch.zeros(2, 3), 0.1, torch.full((3,), 1e3))
    assert loss.isfinite() and loss.dtype == torch.float32
    with pytest.raises(ValueError, match="scale 0"):
        nearest_component_nll(logits, torch.zeros(2, 3), 0, torch.zeros(3))
