"""The CVAE with a plain Gaussian prior: its prior, its bound, and that it uses z and grey."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from apps.colorization.data import Photos
from apps.colorization.gaussian_objective import ConditionalElbo
from apps.colorization.model import Size, build, build_gaussian
from apps.colorization.recipe import ELBO
from cvae.distributions import DiagonalNormal
from cvae.metrics import energy_score
from cvae.model import CVAE
from cvae.training import Schedule, train

SIZE = Size(width=8, palette=3, spatial=2)


@pytest.fixture
def model() -> CVAE:
    torch.manual_seed(0)
    model = build_gaussian(SIZE)
    with torch.no_grad():  # away from the quiet start, so that every path matters
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    return model.eval()


@pytest.mark.parametrize("height,width", [(128, 128), (128, 192), (16, 48)])
def test_any_multiple_of_sixteen(model: CVAE, height: int, width: int) -> None:
    grey = torch.rand(2, 1, height, width) * 2 - 1
    assert model.sample(grey, k=3, temperature=0.5).shape == (2, 3, 2, height // 2, width // 2)
    features = model.condition(grey)
    z = model.posterior(torch.randn(2, 2, height // 2, width // 2), features).rsample()
    prior: DiagonalNormal = model.prior(features)
    assert z.shape == prior.mean.shape == (2, 3 + 2 * (height // 16) * (width // 16))
    expected = Normal(prior.mean, prior.scale).log_prob(z).sum(-1)
    assert torch.allclose(prior.log_prob(z), expected, rtol=1e-4)


def test_only_the_prior_differs_from_ours() -> None:
    ours, plain = build(SIZE).state_dict(), build_gaussian(SIZE).state_dict()
    shared = {name: v.shape for name, v in ours.items() if not name.startswith("prior.")}
    assert shared == {n: v.shape for n, v in plain.items() if not n.startswith("prior.")}


def test_starts_as_a_standard_normal_and_then_reads_the_grey(model: CVAE) -> None:
    grey = torch.rand(2, 1, 32, 32) * 2 - 1
    new = build_gaussian(SIZE)
    prior = new.prior(new.condition(grey))
    assert not prior.mean.any() and torch.equal(prior.scale, torch.ones_like(prior.scale))
    prior = model.prior(model.condition(grey))
    assert not torch.allclose(prior.mean[0], prior.mean[1])


def test_places_of_the_prior_are_places_of_the_posterior(model: CVAE) -> None:
    """Both lay z out as a palette, then channel by channel over the map."""
    grey = torch.zeros(1, 1, 32, 64)
    grey[..., :16] = 1.0  # the left quarter is bright
    features = model.condition(grey)
    mean = model.prior(features).mean[0, 3:].unflatten(0, (2, 2, 4))
    x = model.get_submodule("prior.block")(model.get_submodule("prior.enter")(features.coarse))
    expected: Tensor = model.get_submodule("prior.spatial")(x)[0, :2]
    assert torch.allclose(mean, expected, atol=1e-6)


def test_loss_is_the_bound(model: CVAE) -> None:
    objective = ConditionalElbo(model, ELBO)
    grey, chroma = torch.rand(3, 1, 128, 128), torch.randn(3, 2, 64, 64) * 0.1
    objective.rare.fit(chroma)
    objective.principal.fit(chroma)
    loss, stats = objective((grey, chroma), torch.Generator().manual_seed(0))
    features = model.condition(grey)
    q: DiagonalNormal = model.posterior(chroma, features)
    p = model.prior(features)
    z = q.rsample((), generator=torch.Generator().manual_seed(0))
    kl = kl_divergence(Normal(q.mean, q.scale), Normal(p.mean, p.scale)).sum(-1)
    painted = model.decode(z[None], features)[:, 0]
    nats = objective.reconstruction(painted, chroma) + kl
    assert torch.allclose(loss, ELBO.nats * nats.mean(), rtol=1e-4)
    assert torch.allclose(stats["kl"], kl.mean(), rtol=1e-4)
    loss.backward()
    silent = [n for n, param in model.named_parameters() if not param.grad.any()]  # type: ignore[union-attr]
    assert silent == []


def test_kl_teaches_both_posterior_and_prior(model: CVAE) -> None:
    weights = replace(ELBO, kl=0.0)
    batch = torch.rand(2, 1, 128, 128), torch.randn(2, 2, 64, 64) * 0.1
    found = []
    for weight in (weights, ELBO):
        model.zero_grad()
        ConditionalElbo(model, weight)(batch, torch.Generator().manual_seed(0))[0].backward()
        prior = model.get_parameter("prior.palette.bias").grad
        posterior = model.get_parameter("recognition.palette.bias").grad
        assert prior is not None and posterior is not None
        found.append((prior.clone(), posterior.clone()))
    assert not found[0][0].any() and found[1][0].any()
    assert not torch.allclose(found[0][1], found[1][1])


def test_it_uses_z_and_grey(world: Photos, tmp_path: Path) -> None:
    torch.manual_seed(0)
    photos = world
    objective = ConditionalElbo(build_gaussian(replace(SIZE, spatial=1)), ELBO)
    objective.fit(photos)
    schedule = Schedule(steps=150, batch=8, learning_rate=2e-3, warmup=10, clip=100, ema=0.9)
    fetch, size = photos.tensors, len(photos)
    train(objective, fetch, size=size, schedule=schedule, out=tmp_path, progress=False)
    model = objective.model.eval()
    grey, chroma = photos.tensors(slice(0, 16))
    bright = grey[:, 0, 0, 0] > 0
    with torch.no_grad():
        features = model.condition(grey)
        z = model.posterior(chroma, features).mean
        told = model.decode(z[None], features)[:, 0]
        untold = model.decode(model.prior(features).mean[None], features)[:, 0]
        answers = model.sample(grey, k=8, generator=torch.Generator().manual_seed(0))
        moved = model.sample(
            torch.where(bright, -0.53, 0.57)[:, None, None, None].expand_as(grey),
            k=8,
            generator=torch.Generator().manual_seed(0),
        )
    error = (told - chroma).abs().mean()
    assert error < 0.3 * (untold - chroma).abs().mean()  # z says which of the two it is
    ours = energy_score(answers, chroma).mean()
    assert ours < 0.8 * chroma.flatten(1).norm(dim=1).mean()  # what no colour scores
    assert energy_score(moved, chroma).mean() > 1.3 * ours  # grey says which pair it is of
    assert answers.mean((3, 4)).std(1).mean() > 0.02  # after so few steps it hesitates to leap
