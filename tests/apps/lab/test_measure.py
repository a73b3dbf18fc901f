"""Measures on models whose answer is known."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from apps.lab.digits import Digits
from apps.lab.figures import principal
from apps.lab.measure import (
    Codes,
    Plan,
    between,
    encode,
    measure_classes,
    measure_gaps,
    measure_guesses,
    measure_likelihood,
    measure_pictures,
    measure_quadrants,
    measure_separability,
)
from apps.lab.model import (
    BaselineSize,
    DenseSize,
    QuadrantSize,
    build_baseline,
    build_dense,
    build_quadrants,
)

PLAN = Plan(draws=4, many=16, bounded=30, tutorial=3, samples=40)


def silent(network: nn.Module, *, bias: float = 0.0) -> Any:
    """The network with a last layer that says the same of everything."""
    last: Any = network
    with torch.no_grad():
        last[-1].weight.zero_()
        last[-1].bias.fill_(bias)
    return network


class Judge(nn.Module):
    """Gives each picture the class whose number its mean is the tenth of, if it is not dark."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e4))

    def forward(self, x: Tensor) -> Tensor:
        apart = (x.mean((1, 2, 3))[:, None] - (torch.arange(10) + 0.5) / 10).square()
        return -self.scale * apart * (x.mean((1, 2, 3))[:, None] > 0.1)


@pytest.fixture
def blind() -> Any:
    """A VAE that has learnt nothing: its posterior is the prior and every pixel a coin."""
    model: Any = build_dense(DenseSize(width=8, latent=3))
    silent(model.recognition.network)
    silent(model.generation.network)
    return model


def test_a_model_that_knows_nothing_needs_a_bit_a_pixel(blind: Any, digits: Digits) -> None:
    found: dict[str, Any] = measure_likelihood(blind, digits.binarised(), PLAN)
    for bound in (found["few"], found["many"]):
        assert bound.mean == pytest.approx(784 * math.log(2), rel=1e-4)
        assert bound.high - bound.low < 1e-2
    assert found["kl"] == pytest.approx(0, abs=1e-6) and found["active"] == 0


def test_many_draws_bound_tighter_and_stay_beside_all_digits(digits: Digits) -> None:
    torch.manual_seed(0)
    model: Any = build_dense(DenseSize(width=16, latent=3))
    with torch.no_grad():
        model.recognition.network[-1].weight *= 20
    found: dict[str, Any] = measure_likelihood(model, digits.binarised(), PLAN)
    few, many = found["few"], found["many"]
    assert many.low < many.mean < many.high and many.mean < few.mean
    assert many.high - many.low > few.high - few.low
    assert found["active"] == 3 and found["kl"] > 1


@pytest.mark.parametrize("given", [1, 2, 3])
def test_quadrants_are_counted_where_they_are_hidden(digits: Digits, given: int) -> None:
    baseline: Any = build_baseline(BaselineSize(width=8))
    silent(baseline.network)
    expected = pytest.approx((4 - given) * 196 * math.log(2), rel=1e-4)
    assert measure_guesses(baseline, digits, PLAN, given=given).mean == expected
    model: Any = build_quadrants(QuadrantSize(width=8, latent=2, baseline=8))
    for network in (model.recognition, model.prior, model.generation):
        silent(network.network)
    single, tight = measure_quadrants(model, digits, PLAN, given=given)
    assert single.mean == expected and tight.mean == expected


def test_the_mean_of_single_bounds_is_above_the_weighted_one(digits: Digits) -> None:
    torch.manual_seed(0)
    model: Any = build_quadrants(QuadrantSize(width=16, latent=3, baseline=8))
    with torch.no_grad():
        model.recognition.network[-1].weight *= 20
    single, tight = measure_quadrants(model, digits.first(40), PLAN, given=1)
    assert single.mean > tight.mean + 0.5


def codes(n: int, *, spread: float, seed: int) -> Codes:
    """Ten clouds at the corners of a circle."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (n,), generator=generator)
    angle = labels * math.tau / 10
    z = torch.stack([angle.cos(), angle.sin()], 1)
    return Codes(z + spread * torch.randn(n, 2, generator=generator), torch.zeros(n), labels)


def test_separable_codes_are_found_to_be_so_and_shuffled_ones_are_not() -> None:
    learn, held = codes(400, spread=0.02, seed=0), codes(200, spread=0.02, seed=1)
    found: dict[str, Any] = measure_separability(learn, held, PLAN)
    assert found["probe"].mean == found["knn"].mean == 1
    mixed = held._replace(labels=held.labels[torch.randperm(200, generator=PLAN.generator())])
    chance: dict[str, Any] = measure_separability(learn, mixed, PLAN)
    assert chance["probe"].mean < 0.25 and chance["knn"].mean < 0.25


def test_points_between_classes_lie_halfway() -> None:
    corners = codes(300, spread=0.0, seed=0)
    points = between(corners, 100, PLAN.generator())
    assert points.shape == (100, 2)
    assert points.norm(dim=1).max() < 0.96  # none of two of one class, which lie on the circle


def test_gaps_are_where_the_judge_recognises_nothing(blind: Any) -> None:
    """A decoder that lights up on a side: beyond 2, where codes are, and not near 0."""
    generation = blind.generation.network
    with torch.no_grad():
        for layer in (generation[0], generation[2]):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0] = 1.0
        generation[4].weight[:, 0] = 50.0
        generation[4].bias.fill_(-60.0)
    n = 100
    z = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0]]).repeat(n // 2, 1)
    z += 0.1 * torch.randn(n, 3, generator=PLAN.generator())
    known = Codes(z, torch.zeros(n), torch.arange(n) % 2)
    found: dict[str, Any] = measure_gaps(blind, Judge(), known, known, PLAN)
    assert found["between"].mean == 0
    assert found["prior"].mean < 0.15 < found["fitted"].mean < 0.5


def test_pictures_are_recognised_and_as_asked() -> None:
    x = torch.full((30, 1, 28, 28), 0.35)
    found: dict[str, Any] = measure_pictures(Judge(), x, torch.arange(30) % 10, PLAN)
    assert found["recognised"].mean == 1 and found["asked"].mean == pytest.approx(0.1)
    dark: dict[str, Any] = measure_pictures(Judge(), 0 * x, torch.zeros(30), PLAN)
    assert dark["recognised"].mean == 0


def test_classes_are_asked_for_in_turn() -> None:
    """A model that paints the class: its number's tenth in every pixel."""
    model: Any = build_dense(DenseSize(width=16, latent=2, told=True))
    for layer in (0, 2, 4):
        nn.init.zeros_(model.generation.network[layer].weight)
        nn.init.zeros_(model.generation.network[layer].bias)
    with torch.no_grad():
        for label in range(10):
            model.generation.network[0].weight[label, 2 + label] = 30.0
            model.generation.network[2].weight[label, label] = 1.0
            level = torch.tensor((label + 0.5) / 10)
            model.generation.network[4].weight[:, label] = level.logit() / 30
    found: dict[str, Any] = measure_classes(model, Judge(), PLAN)
    assert found["asked"].mean == 1


def test_codes_are_posterior_means(digits: Digits) -> None:
    torch.manual_seed(0)
    model = build_dense(DenseSize(width=8, latent=3)).eval()
    found = encode(model, digits)
    x, labels = digits.tensors(slice(None))
    with torch.no_grad():
        q = model.posterior(x, model.condition(labels))
    assert torch.allclose(found.z, q.mean, atol=1e-5)
    assert torch.allclose(found.kl, q.kl_standard().sum(1), atol=1e-4)
    assert torch.equal(found.labels, digits.labels)


def test_principal_axes_keep_what_varies_most() -> None:
    z = torch.randn(500, 5, generator=PLAN.generator()) * torch.tensor([1.0, 9.0, 0.1, 4.0, 0.5])
    points = principal(z + 7)
    assert torch.allclose(points.mean(0), torch.zeros(2), atol=1e-3)
    for axis, dim in enumerate((1, 3)):
        assert abs(torch.corrcoef(torch.stack([points[:, axis], z[:, dim]]))[0, 1]) > 0.99
