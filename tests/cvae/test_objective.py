"""The bound, its parts, and the importance-weighted one where the truth is known."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from cvae.distributions import DiagonalNormal
from cvae.likelihoods import gaussian
from cvae.model import CVAE
from cvae.objective import (
    active_units,
    elbo,
    importance_weighted_bound,
    importance_weighted_nll,
    warmup,
)

NOISE = 0.25  # variance of the toy's likelihood
LOADS = torch.tensor([[1.0], [-0.5], [2.0]])  # x = LOADS z + c + noise


class Prior(nn.Module):
    def forward(self, c: Tensor) -> DiagonalNormal:
        return DiagonalNormal(torch.zeros(len(c), 1), torch.zeros(len(c), 1))


class Recognition(nn.Module):
    """The exact posterior, its deviation times `wide` and its mean off by `shift`."""

    def __init__(self, *, wide: float, shift: float) -> None:
        super().__init__()
        self.wide, self.shift = wide, shift

    def forward(self, x: Tensor, c: Tensor) -> DiagonalNormal:
        precision = 1 + LOADS.square().sum() / NOISE
        mean = (x - c) @ LOADS / NOISE / precision
        logvar = torch.full_like(mean, 2 * math.log(self.wide)) - precision.log()
        return DiagonalNormal(mean + self.shift, logvar)


class Generation(nn.Module):
    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return z @ LOADS.T + c.repeat_interleave(len(z) // len(c), 0)


def linear_gaussian(*, wide: float = 1.0, shift: float = 0.0) -> CVAE:
    return CVAE(
        condition=nn.Identity(),
        recognition=Recognition(wide=wide, shift=shift),
        prior=Prior(),
        generation=Generation(),
    )


def data(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """x, c and the true -log p(x | c)."""
    generator = torch.Generator().manual_seed(0)
    c = torch.randn(count, 3, generator=generator)
    z, noise = (torch.randn(count, d, generator=generator) for d in (1, 3))
    x = z @ LOADS.T + c + math.sqrt(NOISE) * noise
    covariance = LOADS @ LOADS.T + NOISE * torch.eye(3)
    return x, c, -MultivariateNormal(torch.zeros(3), covariance).log_prob(x - c)


def nll(model: CVAE, x: Tensor, c: Tensor, samples: int, **options: Any) -> Tensor:
    likelihood = partial(gaussian, variance=NOISE)
    generator = torch.Generator().manual_seed(1)
    return importance_weighted_nll(
        model, x, c, likelihood=likelihood, samples=samples, generator=generator, **options
    )


def test_with_the_exact_posterior_one_draw_gives_the_evidence() -> None:
    x, c, truth = data(50)
    torch.testing.assert_close(nll(linear_gaussian(), x, c, 1), truth, atol=1e-4, rtol=0)


def test_the_bound_tightens_with_draws_down_to_the_evidence() -> None:
    x, c, truth = data(400)
    model = linear_gaussian(wide=2.0, shift=0.3)
    gaps = [(nll(model, x, c, k) - truth).mean().item() for k in (1, 4, 16, 512)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.5 and abs(gaps[-1]) < 0.02


def test_draws_in_several_parts_weigh_the_same() -> None:
    x, c, truth = data(20)
    model = linear_gaussian(wide=1.5)
    parts = nll(model, x, c, 4001, at_once=1000)
    torch.testing.assert_close(parts, truth, atol=0.1, rtol=0)
    assert (parts - truth).abs().max() > 0  # and it was an estimate


def test_one_draw_is_the_elbo() -> None:
    x, c, _ = data(5000)
    model = linear_gaussian(wide=1.5)
    q: Any = model.posterior(x, c)
    z = q.sample(generator=torch.Generator().manual_seed(2))
    bound = elbo(gaussian(model.decode(z[None], c)[:, 0], x, variance=NOISE), q.kl_standard())
    assert nll(model, x, c, 1).mean().item() == pytest.approx(-bound.item(), abs=0.1)


def test_the_bound_is_a_mean_of_weights() -> None:
    joint, log_q = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    expected = (joint - log_q).exp().mean(0).log()
    torch.testing.assert_close(importance_weighted_bound(joint, log_q), expected)
    far = importance_weighted_bound(joint - 5000, log_q)  # densities of pictures underflow
    torch.testing.assert_close(far, expected - 5000)


def test_free_bits_charge_only_what_goes_beyond_them() -> None:
    likelihood = torch.tensor([-1.0, -3.0])
    kl = torch.tensor([[0.0, 2.0], [0.6, 4.0]], requires_grad=True)
    assert elbo(likelihood, kl, free_bits=0.5).item() == pytest.approx(-2 - 0.5 - 3)
    elbo(likelihood, kl, free_bits=0.5).backward()
    # the first dimension is free on the mean of the batch, though its second row is over
    torch.testing.assert_close(kl.grad, torch.tensor([[0.0, -0.5], [0.0, -0.5]]))


def test_beta_weighs_the_divergence() -> None:
    likelihood, kl = torch.tensor([-1.0]), torch.tensor([[1.0, 2.0]])
    assert elbo(likelihood, kl, beta=4).item() == pytest.approx(-13)
    assert elbo(likelihood, kl, beta=0).item() == pytest.approx(-1)
    assert elbo(likelihood, kl, beta=2, free_bits=1.5).item() == pytest.approx(-8)


@pytest.mark.parametrize(
    ("likelihood", "kl"), [((4,), (4,)), ((4, 3), (4, 2)), ((4,), (5, 2)), ((), (4, 2))]
)
def test_forgotten_or_wrong_sums_are_refused(
    likelihood: tuple[int, ...], kl: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"expected \(B,\) and \(B, D\)"):
        elbo(torch.zeros(likelihood), torch.zeros(kl))


def test_warmup_is_linear_and_ends() -> None:
    assert [warmup(n, 4) for n in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert warmup(0, 0) == 1


def test_active_units_are_those_whose_means_move() -> None:
    means = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0))
    means = means * torch.tensor([1.0, 0.2, 0.05]) + torch.tensor([0.0, 0.0, 9.0])
    assert active_units(means) == 2
    assert active_units(means, threshold=0.1) == 1
