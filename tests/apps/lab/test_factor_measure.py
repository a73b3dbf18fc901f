"""What is measured of models of sprites, where it is known, and how it is shown."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from apps.lab.factor_figures import best_of, curves, traversals
from apps.lab.factor_measure import (
    FactorPlan,
    measure_bound,
    measure_factors,
    measure_scores,
    represent,
)
from apps.lab.factor_tables import RECIPES, THEMSELVES, bound_table, score_table
from apps.lab.factors import SpriteSplit, load_sprites
from apps.lab.model import Untold
from apps.lab.tables import Cells
from cvae.distributions import DiagonalNormal
from cvae.metrics import Interval
from cvae.model import CVAE
from cvae.networks import StandardPrior

PLAN = FactorPlan(sizes=(3, 2, 4, 4, 4), repeats=2, rows=300, pictures=50)


class Where(nn.Module):
    """Posterior means: where the sprite is, columns and rows from 0 to 1, and always 3."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Parameter((torch.arange(64) - 15.0) / 33)

    def forward(self, x: Tensor, features: Tensor) -> DiagonalNormal:
        mass = x[:, 0] / x.sum((1, 2, 3))[:, None, None]
        across, down = mass.sum(1) @ self.grid, mass.sum(2) @ self.grid
        mean = torch.stack([across, down, torch.full_like(across, 3)], 1)
        return DiagonalNormal(mean, torch.full_like(mean, 0.0))


class Level(nn.Module):
    """Every pixel has the first latent as its logit."""

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return z[:, :1, None, None].expand(-1, -1, 64, 64)


class Nothing(nn.Module):
    def forward(self, *ignored: Tensor) -> DiagonalNormal:
        return DiagonalNormal(torch.zeros(len(ignored[0]), 3), torch.zeros(len(ignored[0]), 3))


class Blank(nn.Module):
    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return z.new_zeros(len(z), 1, 64, 64)


def model(recognition: nn.Module, generation: nn.Module) -> CVAE:
    return CVAE(
        condition=Untold(),
        recognition=recognition,
        prior=StandardPrior(3),
        generation=generation,
    )


@pytest.fixture(scope="module")
def held() -> SpriteSplit:
    return load_sprites("test")


def test_representations_are_of_the_pictures_of_the_factors(held: SpriteSplit) -> None:
    network = model(Where(), Level())
    look = represent(network, held.sprites, PLAN.sizes)
    asked = torch.tensor([[2, 1, 3, 3, 0], [0, 0, 0, 1, 2]])
    shown = torch.tensor([[2, 3, 30, 24, 0], [0, 0, 0, 8, 16]])  # evenly over their ranges
    x = held.sprites.render(shown)
    with torch.no_grad():
        direct = network.posterior(x, torch.zeros(2, 0)).mean
    torch.testing.assert_close(look(asked), direct)
    torch.testing.assert_close(look(asked)[:, :2], shown[:, 3:].float() / 33, atol=0.05, rtol=0)


def test_the_bound_of_a_model_that_knows_nothing(held: SpriteSplit) -> None:
    network = model(Nothing(), Blank())
    network.register_parameter("anchor", nn.Parameter(torch.zeros(())))  # it has a device
    found = measure_bound(network, held.first(30))
    torch.testing.assert_close(found.nats, torch.full((30,), 4096 * math.log(2)))
    assert found.kl.shape == (30, 3) and not found.kl.any()


def test_the_bound_is_of_beta_one_with_the_divergence_in_closed_form(held: SpriteSplit) -> None:
    few = held.first(30)
    found = measure_bound(model(Where(), Blank()), few)
    torch.testing.assert_close(found.kl, found.means.square() / 2)
    torch.testing.assert_close(found.nats, 4096 * math.log(2) + found.kl.sum(1))
    assert torch.equal(found.means, measure_bound(model(Where(), Blank()), few, seed=1).means)


def test_factors_themselves_are_perfect_and_place_alone_is_not(held: SpriteSplit) -> None:
    whole: Any = measure_scores(torch.Tensor.float, PLAN)
    perfect = ("beta_vae", "factor_vae", "disentanglement", "informativeness", "efficiency")
    for name in perfect:
        assert whole[name].mean == pytest.approx(1), name
    found = measure_factors(model(Where(), Level()), held, PLAN)
    cells: Any = found
    assert cells["linear"].mean < 0.8 < whole["linear"].mean
    assert 0.3 < cells["mig"].mean < 0.6  # two factors of five
    assert cells["mig"].low <= cells["mig"].mean <= cells["mig"].high
    nats = [float(part) for part in cells["latents"].split()]
    assert nats == sorted(nats, reverse=True) and nats[0] == 4.5
    assert sum(nats) == pytest.approx(cells["kl"].mean, abs=0.02)
    assert cells["active"] == 2


def test_repeated_draws_make_the_interval() -> None:
    look = torch.Tensor.double
    found: Any = measure_scores(look, FactorPlan(sizes=(3, 2, 4, 4, 4), repeats=3, rows=150))
    # too few rows to give the same information twice
    assert found["mig"].low < found["mig"].high


def measured(mig: float) -> Cells:
    return {"mig": Interval(mig, mig - 0.1, mig + 0.1), "latents": "2.00 1.00"}


def test_what_is_absent_is_not_trained() -> None:
    found = {"beta-4": measured(0.3), "tc-4": measured(0.4)}
    scores = score_table(found, PLAN, {"mig": Interval(0.9, 0.9, 0.9)})
    bound = bound_table(found, PLAN)
    assert list(scores.rows) == [*RECIPES.values(), THEMSELVES]
    for table in (scores, bound):
        assert set(RECIPES.values()) - set(table.remarks) == {"β-VAE, β 4", "β-TC-VAE, β 4"}
        assert set(table.remarks.values()) == {"not trained"}
    assert bound.rows["β-TC-VAE, β 4"] == {"latents": "2.00 1.00"}
    text = scores.markdown()
    assert "**.400** .300–.500" in text and " .900 " in text  # the ceiling is no rival
    assert "85.54" in bound.markdown()


def test_the_best_of_the_sweep_is_the_one_with_the_widest_gap() -> None:
    assert (
        best_of({"beta-1": measured(0.1), "tc-2": measured(0.3), "beta-4": measured(0.2)})
        == "tc-2"
    )


def test_both_objectives_begin_at_the_bound() -> None:
    found = {"tc-4": measured(0.4), "beta-1": measured(0.1), "beta-16": measured(0.2)}
    drawn = curves(found, "mig")
    assert list(drawn["β-VAE"].x) == [1, 16] and list(drawn["β-VAE"].y) == [0.1, 0.2]
    assert list(drawn["β-TC-VAE"].x) == [1, 4] and list(drawn["β-TC-VAE"].y) == [0.1, 0.4]
    assert drawn["β-TC-VAE"].high == (0.2, 0.5)


def test_traversals_move_one_latent_at_a_time_the_busiest_first(held: SpriteSplit) -> None:
    pictures = traversals(model(Where(), Level()), held)
    level = pictures.mean((1, 2, 3)).logit().view(3, 10)
    # the third latent, always 3, has the largest divergence and is not heard by the decoder
    assert (level[0] == level[0, 0]).all()
    moved = [row for row in level if row[0] != row[-1]]
    assert len(moved) == 1
    torch.testing.assert_close(moved[0], torch.linspace(-2, 2, 10), atol=1e-3, rtol=0)
