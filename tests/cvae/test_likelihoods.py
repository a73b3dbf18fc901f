"""Likelihoods against torch.distributions, and their scales against the maximum."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Laplace, Normal

from cvae.likelihoods import bernoulli, gaussian, laplace, optimal_variance


def some(seed: int) -> Tensor:
    return torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(seed))


def summed(x: Tensor) -> Tensor:
    return x.sum((1, 2, 3))


def test_values_are_those_of_torch() -> None:
    mean, x = some(0), some(1)
    expected = summed(Normal(mean, 0.7).log_prob(x))
    torch.testing.assert_close(gaussian(mean, x, variance=0.49), expected)
    torch.testing.assert_close(gaussian(mean, x, variance=torch.tensor(0.49)), expected)
    torch.testing.assert_close(laplace(mean, x, scale=0.7), summed(Laplace(mean, 0.7).log_prob(x)))
    bits = (x > 0).float()
    torch.testing.assert_close(
        bernoulli(mean, bits), summed(Bernoulli(logits=mean).log_prob(bits))
    )


@pytest.mark.parametrize(
    ("likelihood", "name", "best"),
    [(gaussian, "variance", optimal_variance), (laplace, "scale", None)],
)
def test_the_scale_left_out_is_the_most_probable_one(
    likelihood: Callable[..., Tensor], name: str, best: Callable[..., Tensor] | None
) -> None:
    mean, x = some(0), some(1)
    scale = (best(mean, x) if best else (x - mean).abs().mean()).item()
    fitted = likelihood(mean, x).sum().item()
    held = [likelihood(mean, x, **{name: scale * f}).sum().item() for f in (0.9, 1.0, 1.1)]
    assert fitted == pytest.approx(held[1], rel=1e-5)
    assert held[1] > max(held[0], held[2])


def test_the_fitted_scale_weighs_the_error_like_a_held_one() -> None:
    """At its optimum the scale has no gradient of its own: σ-VAE needs no stop-gradient."""
    x = some(1)
    grads = []
    for held in (False, True):
        mean = some(0).requires_grad_()
        variance = optimal_variance(mean.detach(), x) if held else None
        gaussian(mean, x, variance=variance).sum().backward()
        grads.append(mean.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("likelihood", [gaussian, laplace])
def test_a_perfect_copy_stays_finite(likelihood: Callable[..., Tensor]) -> None:
    mean = some(0).requires_grad_()
    value = likelihood(mean, some(0)).sum()
    value.backward()
    assert value.isfinite() and mean.grad is not None and mean.grad.isfinite().all()


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4]])
    torch.testing.assert_close(bernoulli(logits, torch.tensor([[1.0, 0.0]])), torch.zeros(1))
    assert bernoulli(logits, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(-2e4)


@pytest.mark.parametrize("likelihood", [gaussian, laplace, bernoulli])
def test_sums_are_taken_in_full_precision(likelihood: Callable[..., Tensor]) -> None:
    assert likelihood(some(0).bfloat16(), some(1).sigmoid().bfloat16()).dtype == torch.float32
