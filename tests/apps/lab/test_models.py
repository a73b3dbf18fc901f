"""Every kind of model of digits, and what it hears of its condition."""

from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.kinds import rebuild
from apps.lab.digits import Digits, hide
from apps.lab.model import (
    KINDS,
    BaselineSize,
    ClassifierSize,
    ConvSize,
    DenseSize,
    QuadrantSize,
)
from apps.lab.objective import Elbo, Objective
from apps.lab.recipe import RECIPES
from cvae.model import CVAE

SMALL: dict[str, Any] = {
    "untold": ("dense", DenseSize(width=16, latent=3)),
    "told": ("dense", DenseSize(width=16, latent=3, told=True)),
    "conv": ("conv", ConvSize(width=8, latent=3)),
    "quadrants": ("quadrants", QuadrantSize(width=16, latent=3, baseline=16)),
}


def model(name: str) -> Any:
    torch.manual_seed(0)
    kind, size = SMALL[name]
    return KINDS[kind].build(size).eval()


def condition(name: str, digits: Digits) -> Tensor:
    x, labels = digits.tensors(slice(0, 2))
    return hide(x, 1) if name == "quadrants" else labels


@pytest.mark.parametrize("name", SMALL)
def test_k_answers_a_condition_that_belong_to_it(name: str, digits: Digits) -> None:
    network, c = model(name), condition(name, digits)
    assert isinstance(network, CVAE)
    with torch.no_grad():
        x = network.sample(c, k=3, generator=torch.Generator().manual_seed(0))
        assert x.shape == (2, 3, 1, 28, 28)
        z = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(1))
        together = network.decode(z, network.condition(c))
        alone = network.decode(z[:, 1:], network.condition(c[1:]))
    assert torch.allclose(together[1], alone[0], atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_posterior_and_prior_are_of_the_same_z(name: str, digits: Digits) -> None:
    network, c = model(name), condition(name, digits)
    x, _ = digits.tensors(slice(0, 2))
    features = network.condition(c)
    q, p = network.posterior(x, features), network.prior(features)
    assert q.mean.shape == p.mean.shape == (2, 3)
    assert not torch.equal(q.mean[0], q.mean[1])  # it sees the picture


def test_only_who_is_told_hears_the_class() -> None:
    z = torch.zeros(1, 10, 3)
    for name, heard in (("untold", False), ("told", True)):
        network = model(name)
        with torch.no_grad():
            answers = network.decode(z, network.condition(torch.arange(10)))[:, 0]
        assert (answers[1:] != answers[:1]).any() == heard, name


def test_the_class_is_learnt_where_it_is_told(digits: Digits) -> None:
    """After a few steps a z decodes to the band of the class that is asked for."""
    torch.manual_seed(0)
    network: Any = KINDS["dense"].build(DenseSize(width=64, latent=3, told=True))
    task = Objective(network, Elbo())
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    batch, generator = digits.tensors(slice(0, 100)), torch.Generator().manual_seed(0)
    for _ in range(50):
        loss, _ = task(batch, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        answers = network.sample(torch.arange(10), k=5, generator=generator).sigmoid()
    bands = answers.mean((1, 2, 4))[:, 4:24].unflatten(1, (10, 2)).mean(2)  # (asked, shown)
    assert torch.equal(bands.argmax(1), torch.arange(10))


def test_quadrants_are_asked_with_the_baselines_guess(digits: Digits) -> None:
    network = model("quadrants")
    x, _ = digits.tensors(slice(0, 2))
    c = hide(x, 2)
    features = network.condition(c)
    guess = network.condition.baseline(c).sigmoid()
    assert torch.equal(features[c >= 0], x[c >= 0])
    assert torch.equal(features[c < 0], guess[c < 0]) and not features.requires_grad
    # recognition, prior and generation all hear what the baseline guesses
    other = features.clone()
    other[c < 0] = 1 - other[c < 0]
    z = torch.zeros(1, 2, 3)
    assert not torch.equal(network.posterior(x, features).mean, network.posterior(x, other).mean)
    assert not torch.equal(network.prior(features).mean, network.prior(other).mean)
    assert not torch.equal(network.decode(z, features), network.decode(z, other))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_built_again_from_what_it_stores(name: str) -> None:
    recipe = RECIPES[name]
    objective: Any = recipe.objective()
    again = rebuild({"model": recipe.model, "size": asdict(recipe.size)}, KINDS)
    again.load_state_dict(objective.model.state_dict(), strict=True)
    assert recipe.after is None or RECIPES[recipe.after].given == recipe.given


def test_comparisons_are_of_one_network_on_the_same_pixels() -> None:
    for one, other in (("vae-static", "iwae-50"), ("vae-dynamic", "ae")):
        a, b = RECIPES[one], RECIPES[other]
        assert (a.model, a.size, a.pixels) == (b.model, b.size, b.pixels) and a.loss != b.loss
    assert replace(RECIPES["cvae"].size, told=False) == RECIPES["vae-dynamic"].size


def test_a_baseline_and_a_classifier_are_no_latent_models(digits: Digits) -> None:
    x, _ = digits.tensors(slice(0, 2))
    baseline = KINDS["baseline"].build(BaselineSize(width=8))
    assert baseline(hide(x, 1)).shape == x.shape
    assert KINDS["classifier"].build(ClassifierSize(width=8))(x).shape == (2, 10)
