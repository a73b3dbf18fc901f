"""The low-rank Gaussian against the dense one."""

import pytest
import torch
from torch.distributions import MultivariateNormal

from mdn.lowrank import LowRankNormal


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*batch: int, dtype: torch.dtype = torch.float32) -> LowRankNormal:
    g = seeded(5)
    return LowRankNormal(
        torch.randn(*batch, 5, generator=g).to(dtype),
        torch.randn(*batch, 5, 2, generator=g).to(dtype),
        (0.1 + torch.rand(*batch, 5, generator=g)).to(dtype),
    )


def test_log_prob_is_the_dense_one() -> None:
    n = normal(3)
    z = torch.randn(4, 3, 5, generator=seeded())
    dense = MultivariateNormal(n.loc, n.covariance_matrix)
    torch.testing.assert_close(n.log_prob(z), dense.log_prob(z), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("t", [1.0, 0.5])
def test_samples_have_the_moments(t: float) -> None:
    n = normal(2)
    z = n.temperature(t).sample((200_000,), generator=seeded())
    assert z.shape == (200_000, 2, 5)
    torch.testing.assert_close(z.mean(0), n.loc, atol=0.03, rtol=0)
    centred = (z - n.loc).movedim(0, -1)
    torch.testing.assert_close(
        centred @ centred.mT / len(z), n.covariance_matrix * t**2, atol=0.06, rtol=0
    )


def test_sampling_depends_on_its_generator_alone() -> None:
    n = normal(2)
    before = torch.get_rng_state()
    first = n.sample((6,), generator=seeded(1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, n.sample((6,), generator=seeded(1)))
    assert not torch.equal(first, n.sample((6,), generator=seeded(2)))
    assert n.sample().shape == (2, 5)


def test_draws_carry_gradients() -> None:
    n = normal()
    values = tuple(p.double().requires_grad_() for p in (n.loc, n.cov_factor, n.cov_diag))

    def draw(loc: torch.Tensor, factor: torch.Tensor, diag: torch.Tensor) -> torch.Tensor:
        return LowRankNormal(loc, factor, diag).rsample((3,), generator=seeded())

    assert torch.autograd.gradcheck(draw, values)
    assert draw(*values).requires_grad
    assert not LowRankNormal(values[0], values[1], values[2]).sample().requires_grad


def test_half_precision_and_autocast_are_computed_in_float32() -> None:
    z = torch.randn(5, generator=seeded())
    assert normal(dtype=torch.bfloat16).log_prob(z.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        n = normal()
        log_prob, draw = n.log_prob(z), n.sample(generator=seeded())
    assert torch.equal(log_prob, normal().log_prob(z))
    assert torch.equal(draw, normal().sample(generator=seeded()))


def test_a_bad_temperature_is_named() -> None:
    with pytest.raises(ValueError, match="temperature -1"):
        normal().temperature(-1)
