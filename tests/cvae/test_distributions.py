"""The diagonal Gaussian against outside oracles, and its divergence against sampling."""

import pytest
import scipy.stats
import torch
from torch.distributions import Independent, Normal, kl_divergence

from cvae.distributions import DiagonalNormal
from cvae.objective import kl_per_dimension


def some(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def q() -> DiagonalNormal:
    return DiagonalNormal(some(0, 4, 3), some(1, 4, 3))


def other() -> DiagonalNormal:
    return DiagonalNormal(some(2, 4, 3), some(3, 4, 3))


def twin(d: DiagonalNormal) -> Independent:
    return Independent(Normal(d.loc, (0.5 * d.logvar).exp()), 1)


def test_log_prob_is_that_of_scipy(q: DiagonalNormal) -> None:
    z = some(4, 4, 3)
    expected = scipy.stats.norm(q.loc.numpy(), q.logvar.div(2).exp().numpy()).logpdf(z.numpy())
    torch.testing.assert_close(q.log_prob(z), torch.tensor(expected.sum(1)).float())
    torch.testing.assert_close(q.log_prob(z), twin(q).log_prob(z))
    assert (q.batch_shape, q.event_shape) == ((4,), (3,))


def test_log_prob_keeps_leading_dimensions(q: DiagonalNormal) -> None:
    z = some(5, 7, 4, 3)
    assert q.log_prob(z).shape == (7, 4)
    torch.testing.assert_close(q.log_prob(z)[2], q.log_prob(z[2]))


def test_samples_have_the_moments(q: DiagonalNormal) -> None:
    z = q.sample((40_000,), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(z.mean(0), q.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(z.std(0), q.scale, atol=0, rtol=0.03)


def test_samples_follow_the_generator_alone(q: DiagonalNormal) -> None:
    first = q.sample((2,), generator=torch.Generator().manual_seed(7))
    torch.manual_seed(123)
    assert torch.equal(first, q.sample((2,), generator=torch.Generator().manual_seed(7)))
    assert not torch.equal(first, q.sample((2,), generator=torch.Generator().manual_seed(8)))


def test_only_rsample_carries_a_gradient() -> None:
    mean = torch.zeros(2, 3, requires_grad=True)
    logvar = torch.zeros(2, 3, requires_grad=True)
    q = DiagonalNormal(mean, logvar)
    assert not q.sample().requires_grad
    z = q.rsample(generator=torch.Generator().manual_seed(0))
    grads = torch.autograd.grad(z.sum(), (mean, logvar))
    torch.testing.assert_close(grads[0], torch.ones(2, 3))
    torch.testing.assert_close(grads[1], 0.5 * z.detach())  # d sigma / d logvar = sigma / 2


def test_divergences_are_those_of_torch(q: DiagonalNormal) -> None:
    p = other()
    torch.testing.assert_close(kl_per_dimension(q, p).sum(1), kl_divergence(twin(q), twin(p)))
    standard = DiagonalNormal(torch.zeros(4, 3), torch.zeros(4, 3))
    torch.testing.assert_close(q.kl_standard().sum(1), kl_divergence(twin(q), twin(standard)))
    torch.testing.assert_close(q.kl_standard(), kl_per_dimension(q, standard))
    assert kl_per_dimension(q, q).abs().max() < 1e-6


def test_divergences_are_those_of_sampling(q: DiagonalNormal) -> None:
    p = other()
    z = q.sample((40_000,), generator=torch.Generator().manual_seed(1))
    difference = q.log_prob(z) - p.log_prob(z)
    error = difference.std(0) / 200  # of the mean of 40,000
    assert ((difference.mean(0) - kl_per_dimension(q, p).sum(1)).abs() < 5 * error).all()


def test_temperature_scales_the_noise_and_keeps_the_centre(q: DiagonalNormal) -> None:
    cold = q.tempered(0.5)
    torch.testing.assert_close(cold.scale, 0.5 * q.scale)
    assert torch.equal(cold.mean, q.mean)


def test_one_absurd_log_variance_stays_finite() -> None:
    q = DiagonalNormal(torch.zeros(1, 2), torch.tensor([[1e4, -1e4]]))
    parts = [q.kl_standard(), q.log_prob(torch.ones(1, 2)), q.sample()]
    assert all(part.isfinite().all() for part in parts)


def test_half_precision_is_computed_in_full() -> None:
    q = DiagonalNormal(torch.full((1, 2), 3.0).bfloat16(), torch.zeros(1, 2).bfloat16())
    assert q.kl_standard().dtype == q.sample().dtype == torch.float32
    assert q.log_prob(torch.zeros(1, 2).bfloat16()).dtype == torch.float32
