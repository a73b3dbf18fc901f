"""k answers belong to their condition, and a trained model uses it."""

from functools import partial

import torch
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal
from cvae.likelihoods import gaussian
from cvae.metrics import energy_score, pairwise_distance
from cvae.model import CVAE
from cvae.networks import mlp
from cvae.objective import elbo, importance_weighted_nll, kl_per_dimension


class Gaussian(nn.Module):
    """Two vectors, or one, to a distribution over two latents."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.net = mlp([inputs, 32, 4])

    def forward(self, *inputs: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.net(torch.cat(inputs, 1)).chunk(2, 1))


class Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = mlp([4, 32, 2])

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return self.net(torch.cat([z, features.repeat_interleave(len(z) // len(features), 0)], 1))


class Sum(nn.Module):
    """A latent and its condition, kept apart in the answer's two columns."""

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return torch.cat([z, features.repeat_interleave(len(z) // len(features), 0)], 1)


def small(generation: nn.Module) -> CVAE:
    return CVAE(
        condition=nn.Identity(),
        recognition=Gaussian(4),
        prior=Gaussian(2),
        generation=generation,
    )


def test_decode_keeps_answers_with_their_condition() -> None:
    model = small(Sum())
    z = torch.arange(12.0).reshape(4, 3, 1)  # k = 4 answers for each of 3 conditions
    c = torch.tensor([[100.0], [200.0], [300.0]])
    answers = model.decode(z, c)
    assert answers.shape == (3, 4, 2)
    assert torch.equal(answers[..., 0], z[..., 0].T)
    assert torch.equal(answers[..., 1], c.expand(3, 4))


def test_samples_follow_the_generator_and_the_temperature() -> None:
    torch.manual_seed(0)
    model, c = small(Sum()), torch.randn(3, 2)

    def draw(seed: int, temperature: float = 1.0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return model.sample(c, k=50, temperature=temperature, generator=generator).detach()

    assert draw(0).shape == (3, 50, 4)
    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))
    centre = model.prior(c).mean[:, None]
    torch.testing.assert_close(draw(0, 0.5)[..., :2] - centre, (draw(0)[..., :2] - centre) / 2)


def two_sided(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """x is c turned by a quarter, or its opposite, with a little noise: two plausible answers."""
    generator = torch.Generator().manual_seed(seed)
    c = torch.randn(count, 2, generator=generator)
    sign = torch.randint(2, (count, 1), generator=generator) * 2 - 1
    noise = torch.randn(count, 2, generator=generator)
    return sign * torch.stack([-c[:, 1], c[:, 0]], 1) + 0.1 * noise, c


def test_a_trained_model_needs_its_own_condition() -> None:
    torch.manual_seed(0)
    model = small(Decoder())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)
    for step in range(400):
        x, c = two_sided(128, step)
        q = model.recognition(x, c)
        means = model.decode(q.rsample(generator=generator)[None], c)[:, 0]
        loss = -elbo(gaussian(means, x, variance=0.02), kl_per_dimension(q, model.prior(c)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, c = two_sided(300, 10_000)
    wrong = c.roll(1, 0)
    nll = partial(
        importance_weighted_nll,
        model,
        x,
        likelihood=partial(gaussian, variance=0.02),
        samples=64,
        generator=generator,
    )
    assert nll(features=c).mean() + 2 < nll(features=wrong).mean()
    with torch.no_grad():
        answers = model.sample(c, k=8, generator=generator)
        strange = model.sample(wrong, k=8, generator=generator)
    score = energy_score(answers, x).mean()
    assert score + 0.1 < energy_score(strange, x).mean()
    assert score < 0.95 * energy_score(torch.zeros(300, 1, 2), x).mean()  # beats the mean
    assert pairwise_distance(answers).mean() > 0.2  # and the answers are several
