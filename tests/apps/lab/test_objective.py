"""What digits are learnt by, against what the papers write."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from apps.lab.digits import Digits, hidden, hide
from apps.lab.model import (
    BaselineSize,
    ClassifierSize,
    DenseSize,
    QuadrantSize,
    build_baseline,
    build_classifier,
    build_dense,
    build_quadrants,
)
from apps.lab.objective import (
    Autoencoding,
    Classifying,
    Elbo,
    Guessing,
    Importance,
    Objective,
    Shown,
    likelihood_of,
)
from cvae.likelihoods import bernoulli


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def vae() -> Any:
    """A VAE whose posterior is far from the prior, as a trained one's is."""
    torch.manual_seed(0)
    model = build_dense(DenseSize(width=16, latent=3))
    network: Any = model.recognition
    with torch.no_grad():
        network.network[-1].weight *= 20
        network.network[-1].bias[3:] = -1.0
        for layer in (0, 2, 4):
            model.generation.network[layer].weight *= 3  # type: ignore[index, union-attr]
    return model


@pytest.fixture
def batch(digits: Digits) -> tuple[Tensor, Tensor]:
    return digits.binarised().tensors(slice(0, 60))


def shown(batch: tuple[Tensor, Tensor], *, step: int = 0, seed: int = 0) -> Shown:
    return Shown(*batch, bernoulli, step, noise(seed))


def test_the_bound_is_reconstruction_less_divergence(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    loss, stats = Elbo()(vae, shown(batch))
    q = vae.posterior(batch[0], vae.condition(batch[1]))
    assert torch.isclose(stats["kl"], q.kl_standard().sum(1).mean())
    assert torch.isclose(loss, stats["nll"] + stats["kl"])
    assert stats["nll"] > 100  # summed over pixels, not averaged


def test_beta_warm_up_and_free_bits_weigh_the_divergence(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    _, stats = Elbo()(vae, shown(batch))
    nll, kl = stats["nll"], stats["kl"]
    for loss, step, weight in (
        (Elbo(beta=4.0), 0, 4.0),
        (Elbo(beta=0.0), 0, 0.0),
        (Elbo(warmup=10), 0, 0.0),
        (Elbo(beta=2.0, warmup=10), 5, 1.0),
        (Elbo(warmup=10), 30, 1.0),
    ):
        assert torch.isclose(loss(vae, shown(batch, step=step))[0], nll + weight * kl), loss
    free, _ = Elbo(free_bits=100.0)(vae, shown(batch))
    assert torch.isclose(free, nll + 300)


def test_importance_with_one_draw_is_the_bound_of_that_draw(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    loss, stats = Importance(draws=1)(vae, shown(batch))
    x, labels = batch
    features = vae.condition(labels)
    q = vae.posterior(x, features)
    z = q.rsample(generator=noise())
    nats = bernoulli(vae.generation(z, features), x)
    expected = nats + vae.prior(features).log_prob(z) - q.log_prob(z)
    assert torch.isclose(loss, -expected.mean())
    assert torch.isclose(loss, stats["nll"] + stats["kl"])


def test_importance_with_one_draw_is_the_elbo_on_the_mean(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    with torch.no_grad():
        pairs = [
            (
                Importance(draws=1)(vae, shown(batch, seed=s))[0],
                Elbo()(vae, shown(batch, seed=s))[0],
            )
            for s in range(49)
        ]
    apart = torch.tensor([a - b for a, b in pairs])  # the same draws: only the divergence differs
    assert apart.std() > 0 and apart.mean().abs() < 4 * apart.std() / 7


def test_more_draws_are_no_worse(vae: Any, batch: tuple[Tensor, Tensor]) -> None:
    with torch.no_grad():
        bounds = [
            torch.stack([Importance(draws=k)(vae, shown(batch, seed=s))[0] for s in range(8)])
            for k in (1, 5, 50)
        ]
    means = [bound.mean().item() for bound in bounds]
    assert means[0] > means[1] + 0.1 and means[1] > means[2] + 0.1


def test_the_gradient_weighs_draws_by_their_importance(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    """Burda et al. (2016), Eq. 14, for the last bias of the generation network."""
    bias = vae.generation.network[-1].bias
    Importance(draws=4)(vae, shown(batch))[0].backward()
    found = bias.grad.clone()
    x, labels = batch
    features = vae.condition(labels)
    with torch.no_grad():
        q = vae.posterior(x, features)
        z = q.rsample((4,), generator=noise())
        means = vae.decode(z, features).transpose(0, 1)  # (k, B, ...)
        nats = torch.stack([bernoulli(mean, x) for mean in means])
        weights = (nats + vae.prior(features).log_prob(z) - q.log_prob(z)).softmax(0)
        slopes = (means.sigmoid() - x).flatten(2)  # of -log p to the logits
        expected = (weights[..., None] * slopes).sum(0).mean(0)
    assert torch.allclose(found, expected, atol=1e-5)


def test_an_autoencoder_has_neither_noise_nor_divergence(
    vae: Any, batch: tuple[Tensor, Tensor]
) -> None:
    loss, stats = Autoencoding()(vae, shown(batch, seed=0))
    other, _ = Autoencoding()(vae, shown(batch, seed=1))
    assert list(stats) == ["nll"] and torch.equal(loss, other)
    x, labels = batch
    features = vae.condition(labels)
    mean = vae.posterior(x, features).mean
    assert torch.isclose(loss, -bernoulli(vae.generation(mean, features), x).mean())
    loss.backward()
    slope = vae.recognition.network[-1].weight.grad
    assert slope[:3].any() and not slope[3:].any()  # of the means, not of the spreads


def test_the_likelihood_parts_into_quadrants(digits: Digits) -> None:
    x, _ = digits.tensors(slice(0, 5))
    logits = torch.randn(x.shape, generator=noise())
    whole = likelihood_of(0)(logits, x)
    parts = [likelihood_of(n)(logits, x) for n in (1, 2, 3)]
    assert (whole < parts[0]).all() and (parts[0] < parts[1]).all() and (parts[1] < parts[2]).all()
    for n in (1, 2, 3):
        seen = bernoulli(logits[..., ~hidden(n)], x[..., ~hidden(n)])
        assert torch.allclose(parts[n - 1] + seen, whole, rtol=1e-5)


@pytest.mark.parametrize("given", [1, 2, 3])
def test_quadrants_are_judged_only_where_they_are_hidden(given: int) -> None:
    torch.manual_seed(0)
    task = Objective(build_baseline(BaselineSize(width=8)), Guessing(), given=given)
    last: Any = task.model.network[-1]  # type: ignore[index]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    loss, _ = task((torch.ones(8, 1, 28, 28), torch.zeros(8)), noise())
    assert loss.item() == pytest.approx((4 - given) * 196 * math.log(2), rel=1e-4)
    loss.backward()
    assert torch.equal(last.bias.grad.unflatten(0, (28, 28)) != 0, hidden(given))


def test_the_cvae_of_quadrants_is_told_only_what_is_given(digits: Digits) -> None:
    asked: list[Tensor] = []

    def spy(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        asked.append(inputs[0])

    torch.manual_seed(0)
    model = build_quadrants(QuadrantSize(width=8, latent=2, baseline=8))
    model.condition.register_forward_pre_hook(spy)
    task = Objective(model, Elbo(), given=2)
    x, labels = digits.tensors(slice(0, 8))
    loss, stats = task((x, labels), noise())
    assert torch.equal(asked[0], hide(x, 2)) and torch.isclose(loss, stats["nll"] + stats["kl"])
    loss.backward()
    learning = {
        name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None
    }
    assert learning == {"recognition", "prior", "generation"}  # the baseline learns no more


def test_dynamic_pixels_are_drawn_from_the_noise_of_the_step(vae: Any, digits: Digits) -> None:
    batch = digits.tensors(slice(0, 8))
    grey = Objective(vae, Autoencoding())
    drawn = Objective(vae, Autoencoding(), dynamic=True)
    with torch.no_grad():
        assert torch.equal(grey(batch, noise(0))[0], grey(batch, noise(1))[0])
        assert torch.equal(drawn(batch, noise(0))[0], drawn(batch, noise(0))[0])
        assert not torch.equal(drawn(batch, noise(0))[0], drawn(batch, noise(1))[0])


def test_the_objective_counts_its_steps(vae: Any, batch: tuple[Tensor, Tensor]) -> None:
    task = Objective(vae, Elbo(warmup=2))
    with torch.no_grad():
        losses = [task(batch, noise())[0] for _ in range(4)]
    _, stats = Elbo()(vae, shown(batch))
    expected = [stats["nll"] + share * stats["kl"] for share in (0, 0.5, 1, 1)]
    assert torch.allclose(torch.stack(losses), torch.stack(expected))
    assert task.state_dict()["step"] == 4


def test_the_classifier_is_told_nothing_but_the_picture(digits: Digits) -> None:
    torch.manual_seed(0)
    task = Objective(build_classifier(ClassifierSize(width=8)), Classifying())
    optimizer = torch.optim.Adam(task.parameters(), lr=0.01)
    for _ in range(15):
        loss, stats = task(digits.tensors(slice(0, 160)), noise())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        _, held = task(digits.tensors(slice(160, 220)), noise())
    assert held["accuracy"] > 0.9 and stats["accuracy"] > 0.9
