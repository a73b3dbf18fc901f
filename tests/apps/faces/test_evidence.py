"""Reconstructions and bounds against what they are where everything can be computed."""

import math

import pytest
import torch
from torch import Tensor, nn

from apps.faces import evidence
from apps.faces.frame import to_network
from apps.faces.layered import LayeredSize, build_layered
from apps.faces.rows import Row
from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.networks import StandardPrior
from tests.apps.faces import planted

N = 6


class Blind(nn.Module):
    """A posterior that says nothing of the face."""

    def forward(self, x: Tensor, y: Tensor) -> DiagonalNormal:
        return DiagonalNormal(torch.zeros(len(x), 8), torch.zeros(len(x), 8))


def blind() -> Row:
    """A model that ignores z, too: every bound is the likelihood itself."""
    model = CVAE(
        condition=nn.Identity(),
        recognition=Blind(),
        prior=StandardPrior(8),
        generation=Grey(),
    )
    return Row("blind", model, device=planted.CPU)


class Grey(nn.Module):
    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.zeros(len(z), 3, 64, 64)


def test_a_model_that_knows_z_gives_the_face_back_up_to_its_grain() -> None:
    states = planted.labels(N)
    pixels = planted.faces(states)
    found = evidence.reconstruct(planted.row(), pixels, states, seed=0)
    assert found.pixels.shape == pixels.shape and found.pixels.dtype == torch.uint8
    assert (found.mae < 0.05).all() and (found.drawn > found.mse).all()
    assert found.means.shape == found.kl.shape == (N, 8) and (found.kl > 1).all()
    x = to_network(pixels)
    painted = to_network(found.pixels)
    assert torch.allclose(found.mae, (painted - x).abs().mean((1, 2, 3)), atol=0.005)
    wrong = evidence.reconstruct(planted.row(), pixels, -states, seed=0)
    assert (wrong.mse > 10 * found.mse).all()


def test_a_blind_model_has_no_rate() -> None:
    pixels = planted.faces(planted.labels(N))
    found = evidence.reconstruct(blind(), pixels, planted.labels(N), seed=0)
    assert not found.kl.any()
    x = to_network(pixels)
    assert torch.allclose(found.mae, x.abs().mean((1, 2, 3)))
    assert torch.allclose(found.mse, x.square().mean((1, 2, 3)))
    assert torch.allclose(found.drawn, found.mse)


@pytest.mark.parametrize("samples", [1, 20])
def test_bits_are_of_the_gaussian_in_levels_of_eight_bits(samples: int) -> None:
    pixels = planted.faces(planted.labels(N))
    found = evidence.bits(
        blind(), pixels, planted.labels(N), variance=0.09, samples=samples, seed=0
    )
    levels = pixels.double() - 127.5
    deviation = 0.3 * 127.5
    density = torch.distributions.Normal(0.0, deviation).log_prob(levels)
    expected = -density.mean((1, 2, 3)) / math.log(2)
    assert torch.allclose(found, expected, atol=1e-4)


def test_more_draws_tighten_the_bound_of_a_model_that_uses_z() -> None:
    states = planted.labels(N)
    pixels = planted.faces(states)
    bounds = [
        evidence.bits(planted.row(), pixels, states, variance=0.001, samples=k, seed=0).mean()
        for k in (1, 32)
    ]
    assert bounds[1] < bounds[0]


def test_layers_have_a_rate_a_dimension() -> None:
    torch.manual_seed(0)
    row = Row("layers", build_layered(LayeredSize(width=4, front=6, back=2)), device=planted.CPU)
    states = planted.labels(2)
    found = evidence.reconstruct(row, planted.faces(states), states, seed=0)
    assert found.kl.shape == (2, 8) and found.kl.min() >= 0
