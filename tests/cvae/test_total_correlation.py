"""The parts of the divergence, where their values are known."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from cvae.distributions import DiagonalNormal
from cvae.objective import kl_per_dimension
from cvae.total_correlation import aggregate_log_prob, decompose, total_correlation


def posteriors(n: int, spread: Tensor, *, noise: float, seed: int = 0) -> DiagonalNormal:
    """n posteriors N(m, noise² I) whose means are drawn from N(0, spread)."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(n, len(spread), generator=generator) @ torch.linalg.cholesky(spread).T
    return DiagonalNormal(means, torch.full_like(means, 2 * math.log(noise)))


def draw(q: DiagonalNormal, seed: int = 1) -> Tensor:
    return q.rsample(generator=torch.Generator().manual_seed(seed))


def test_gaussians_have_the_parts_of_the_closed_form() -> None:
    spread = torch.tensor([[1.0, 0.8], [0.8, 1.0]])
    noise = 0.5
    q = posteriors(2000, spread, noise=noise)
    found = decompose(q, draw(q), examples=2000)
    whole = spread + noise**2 * torch.eye(2)  # the covariance of the aggregate posterior
    variance = whole.diagonal()
    information = 0.5 * (torch.logdet(whole) - 2 * math.log(noise**2))
    correlation = 0.5 * (variance.log().sum() - torch.logdet(whole))
    dimensions = 0.5 * (variance - 1 - variance.log()).sum()
    expected = [information.item(), correlation.item(), dimensions.item()]
    assert [part.mean().item() for part in found] == pytest.approx(expected, abs=0.05)


def test_independent_dimensions_have_no_total_correlation() -> None:
    q = posteriors(2000, torch.diag(torch.tensor([1.0, 4.0, 0.2])), noise=0.5)
    assert total_correlation(q, draw(q), examples=2000).mean().abs() < 0.02


@pytest.mark.parametrize("examples", [40, 100_000])
def test_the_parts_sum_to_the_divergence(examples: int) -> None:
    q = posteriors(40, torch.eye(3), noise=0.3)
    z = draw(q)
    standard = DiagonalNormal(torch.zeros(40, 3), torch.zeros(40, 3))
    divergence = q.log_prob(z) - standard.log_prob(z)
    found = decompose(q, z, examples=examples)
    torch.testing.assert_close(torch.stack(found).sum(0), divergence, atol=1e-4, rtol=1e-4)
    # and so, over the noise, to the closed form
    many = [torch.stack(decompose(q, draw(q, n), examples=examples)).sum(0) for n in range(400)]
    closed = kl_per_dimension(q, standard).sum(1)
    assert torch.stack(many).mean().item() == pytest.approx(closed.mean().item(), abs=0.05)


def test_a_batch_of_all_examples_gives_the_mixture_itself() -> None:
    q = posteriors(5, torch.eye(2), noise=0.7)
    z = draw(q)
    joint, single = aggregate_log_prob(q, z, examples=5)
    covariance = 0.7**2 * torch.eye(2)
    laws = [MultivariateNormal(mean, covariance) for mean in q.loc]
    mixture = torch.stack([law.log_prob(z).exp() for law in laws]).mean(0).log()
    torch.testing.assert_close(joint, mixture)
    normal = torch.distributions.Normal(q.loc, 0.7)
    ones = normal.log_prob(z[:, None]).exp().mean(1).log()  # row i under all, dimension by itself
    torch.testing.assert_close(single, ones)


def test_batches_are_right_on_the_mean() -> None:
    """Over all batches of three of six that hold the first, its density averages to the truth."""
    q = posteriors(6, torch.eye(2), noise=0.5)
    z = draw(q)
    truth = [found[0].exp() for found in aggregate_log_prob(q, z, examples=6)]
    found = []
    for one in range(1, 6):
        for other in range(one + 1, 6):
            rows = [0, one, other]
            part = DiagonalNormal(q.loc[rows], q.logvar[rows])
            joint, single = aggregate_log_prob(part, z[rows], examples=6)
            found.append((joint[0].exp(), single[0].exp()))
    for expected, estimates in zip(truth, zip(*found, strict=True), strict=True):
        torch.testing.assert_close(torch.stack(estimates).mean(0), expected)


def test_its_gradient_turns_means_towards_independence() -> None:
    q = posteriors(200, torch.tensor([[1.0, 0.9], [0.9, 1.0]]), noise=0.3)

    def correlation(turn: Tensor) -> Tensor:
        rotation = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()]).view(2, 2)
        turned = DiagonalNormal(q.loc @ rotation, q.logvar)
        return total_correlation(turned, draw(turned), examples=200).mean()

    at = torch.tensor(0.3, requires_grad=True)
    (slope,) = torch.autograd.grad(correlation(at), at)
    assert correlation(at - 0.05 * slope.sign()) < correlation(at)
    over = torch.stack([correlation(torch.tensor(n / 10)) for n in range(16)])
    assert int(over.argmin()) == 8  # the nearest to π/4, which makes the means independent


@pytest.mark.parametrize(("rows", "examples"), [(1, 5), (6, 5)])
def test_batches_that_are_none_are_refused(rows: int, examples: int) -> None:
    q = DiagonalNormal(torch.zeros(rows, 2), torch.zeros(rows, 2))
    with pytest.raises(ValueError, match=f"{examples} examples, expected"):
        aggregate_log_prob(q, q.mean, examples=examples)
    with pytest.raises(ValueError, match="expected"):
        aggregate_log_prob(q, q.mean[:, :1], examples=10)
