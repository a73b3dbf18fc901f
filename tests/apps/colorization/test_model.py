"""The networks and the prior: shapes at any size, density, sampling, gradients."""

import pytest
import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

from apps.colorization.model import Size, build
from cvae.model import CVAE
from mdn.prior import WholeAndPlaces

SIZE = Size(width=8, palette=3, spatial=2, components=4, rank=2)


@pytest.fixture
def model() -> CVAE:
    torch.manual_seed(0)
    model = build(SIZE)
    with torch.no_grad():  # away from the quiet start, so that every path matters
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    return model.eval()


def prior_of(model: CVAE, grey: Tensor) -> WholeAndPlaces:
    return model.prior(model.condition(grey))


@pytest.mark.parametrize("height,width", [(128, 128), (128, 192), (256, 128), (16, 48)])
def test_any_multiple_of_sixteen(model: CVAE, height: int, width: int) -> None:
    grey = torch.rand(2, 1, height, width) * 2 - 1
    assert model.sample(grey, k=3).shape == (2, 3, 2, height // 2, width // 2)
    features = model.condition(grey)
    chroma = torch.randn(2, 2, height // 2, width // 2)
    z = model.posterior(chroma, features).rsample()
    assert z.shape == (2, *prior_of(model, grey).event_shape)
    assert torch.isfinite(prior_of(model, grey).log_prob(z)).all()


def test_log_prob_is_mixture_times_gaussian(model: CVAE) -> None:
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    prior = prior_of(model, grey)
    z = torch.randn(2, 3 + 2 * 4)
    g, s = z[:, :3], z[:, 3:]
    mix = prior.whole
    parts = MultivariateNormal(mix.loc, scale_tril=mix.scale_tril).log_prob(g[:, None])
    palette = torch.logsumexp(torch.log_softmax(mix.logits, -1) + parts, -1)
    places = prior.places(g, prior.coarse)
    dense = places.covariance_matrix
    expected = palette + MultivariateNormal(places.loc, dense).log_prob(s)
    assert torch.allclose(prior.log_prob(z), expected, atol=1e-3)


def test_samples_follow_the_density(model: CVAE) -> None:
    """E[-log p(z)] over samples of p is its entropy; over samples of a wider law it is larger."""
    grey = torch.rand(1, 1, 16, 16) * 2 - 1
    prior = prior_of(model, grey)
    z = prior.sample((4000,), generator=torch.Generator().manual_seed(0))[:, 0]
    many: WholeAndPlaces = model.prior(model.condition(grey).repeat(4000))
    own = many.log_prob(z)
    wide = many.tempered(1.5).log_prob(z)
    narrow = many.tempered(0.7).log_prob(z)
    assert own.mean() > wide.mean() and own.mean() > narrow.mean()
    places = many.places(z[:, :3], many.coarse)
    s = z[:, 3:] - places.loc
    expected = places.covariance_matrix.mean(0)
    assert torch.allclose(torch.cov(s.T), expected, atol=0.12)


def test_sampling_is_by_generator_alone(model: CVAE) -> None:
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    prior = prior_of(model, grey)
    state = torch.get_rng_state()
    a = prior.sample((3,), generator=torch.Generator().manual_seed(1))
    b = prior.sample((3,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(a, b) and torch.equal(state, torch.get_rng_state())
    assert a.shape == (3, 2, 3 + 2 * 4)


def test_answers_belong_to_their_picture(model: CVAE) -> None:
    """Decoding two pictures at once is decoding each by itself."""
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    z = torch.randn(3, 2, 3 + 2 * 4)
    together = model.decode(z, model.condition(grey))
    for i in range(2):
        alone = model.decode(z[:, i : i + 1], model.condition(grey[i : i + 1]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_every_parameter_learns(model: CVAE) -> None:
    grey, chroma = torch.rand(2, 1, 32, 32), torch.randn(2, 2, 16, 16)
    features = model.condition(grey)
    posterior = model.posterior(chroma, features)
    prior = model.prior(features)
    z = posterior.rsample()
    loss = model.decode(z[None], features).square().sum() - prior.log_prob(z.detach()).sum()
    loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_low_rank_prior_is_what_torch_says(model: CVAE) -> None:
    prior = prior_of(model, torch.rand(2, 1, 32, 32))
    places = prior.places(torch.randn(2, 3), prior.coarse)
    other = LowRankMultivariateNormal(places.loc, places.cov_factor, places.cov_diag)
    s = torch.randn(2, 8)
    assert torch.allclose(places.log_prob(s), other.log_prob(s), atol=1e-4)
