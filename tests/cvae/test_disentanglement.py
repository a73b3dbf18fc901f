"""Scores over known factors, on representations whose answer is known."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cvae.disentanglement import (
    all_scores,
    concentration,
    dci,
    mig,
    mutual_information,
    sap,
)
from cvae.interventions import beta_vae, draw_factors, factor_vae
from cvae.readout import LinearReadout, hold_out, linear_accuracy, statistical_efficiency

SIZES = (3, 4, 6, 5)
CHANCE = sum(1 / size for size in SIZES) / len(SIZES)
FEW = {"points": 200, "pairs": 32}
VOTES = {"points": 200, "group": 32}

Represent = Callable[[Tensor], Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perfect(factors: Tensor) -> Tensor:
    """The factors themselves, each with mean 0 and variance 1."""
    sizes = torch.tensor(SIZES).double()
    return (factors - (sizes - 1) / 2) / ((sizes**2 - 1) / 12).sqrt()


def shuffled(factors: Tensor) -> Tensor:
    """In another order, with other signs."""
    return perfect(factors)[:, [2, 0, 3, 1]] * torch.tensor([-1.0, 1.0, 1.0, -1.0])


def rotated(factors: Tensor) -> Tensor:
    mixed, _ = torch.linalg.qr(torch.randn(4, 4, generator=seeded(5), dtype=torch.float64))
    return perfect(factors) @ mixed


def noise_source() -> Represent:
    """Nothing of the factors: every call draws anew."""
    generator = seeded(4)

    def noise(factors: Tensor) -> Tensor:
        return torch.randn(len(factors), 4, dtype=torch.float64, generator=generator)

    return noise


def padded(factors: Tensor) -> Tensor:
    """Two dimensions that never move, and one that hardly does and says nothing."""
    z = perfect(factors)
    dust = 1e-3 * torch.randn(len(z), 1, dtype=torch.float64, generator=seeded(2))
    return torch.cat([torch.full_like(dust, 7.0), z, dust, torch.zeros_like(dust)], 1)


def whole() -> Tensor:
    """Every combination five times: factors that are independent exactly."""
    return torch.cartesian_prod(*(torch.arange(size) for size in SIZES)).repeat(5, 1)


@pytest.mark.parametrize("represent", [perfect, shuffled])
def test_the_factors_themselves_are_perfect(represent: Represent) -> None:
    factors = whole()
    z = represent(factors)
    assert mig(z, factors) == pytest.approx(1)
    assert sap(z, factors) == pytest.approx(1)
    assert dci(z, factors) == pytest.approx((1, 1, 1))
    assert beta_vae(represent, SIZES, **FEW) == 1
    assert factor_vae(represent, SIZES, **VOTES) == 1
    assert linear_accuracy(z, factors).tolist() == [1] * 4
    assert statistical_efficiency(z, factors, few=100, many=1000) == 1


def test_a_rotation_hides_the_factors_from_single_latents_only() -> None:
    factors = whole()
    z = rotated(factors)
    assert mig(z, factors) < 0.4
    assert sap(z, factors) < 0.5
    found = dci(z, factors)
    assert found.disentanglement < 0.6 and found.completeness < 0.6
    assert linear_accuracy(z, factors).tolist() == [1] * 4
    # these two forgive most rotations: some latent is still the stillest, some line still divides
    assert beta_vae(rotated, SIZES, **FEW) > 0.9
    assert 0.9 < factor_vae(rotated, SIZES, **VOTES) < 1


def test_noise_is_chance() -> None:
    factors, noise = whole(), noise_source()
    z = noise(factors)
    assert mig(z, factors) < 0.02
    assert sap(z, factors) < 0.01
    found = dci(z, factors)
    assert found.disentanglement < 0.1 and found.completeness < 0.1
    assert found.informativeness == pytest.approx(CHANCE, abs=0.05)
    assert linear_accuracy(z, factors).mean().item() == pytest.approx(CHANCE, abs=0.05)
    assert beta_vae(noise, SIZES, **FEW) == pytest.approx(1 / 4, abs=0.12)
    assert factor_vae(noise, SIZES, **VOTES) == pytest.approx(1 / 4, abs=0.12)


def test_dead_dimensions_change_nothing() -> None:
    factors = whole()
    z = padded(factors)
    assert mig(z, factors) > 0.97 and sap(z, factors) > 0.99
    assert dci(z, factors) == pytest.approx((1, 1, 1))
    assert linear_accuracy(z, factors).tolist() == [1] * 4
    assert beta_vae(padded, SIZES, **FEW) == 1
    assert factor_vae(padded, SIZES, **VOTES) == 1


def test_the_scale_and_place_of_a_latent_change_nothing() -> None:
    factors = whole()
    scale, shift = torch.tensor([1000.0, 0.5, -20.0, 3.0]), torch.tensor([0.0, 9.0, -400.0, 1.0])

    def stretched(factors: Tensor) -> Tensor:
        return rotated(factors) * scale + shift

    z, other = rotated(factors), stretched(factors)
    assert mig(other, factors) == pytest.approx(mig(z, factors), abs=0.02)
    assert sap(other, factors) == pytest.approx(sap(z, factors))
    assert torch.equal(linear_accuracy(other, factors), linear_accuracy(z, factors))
    assert factor_vae(stretched, SIZES, **VOTES) == factor_vae(rotated, SIZES, **VOTES)
    assert beta_vae(stretched, SIZES, **FEW) == beta_vae(rotated, SIZES, **FEW)


def test_latents_below_the_threshold_have_no_vote() -> None:
    """A latent that is small but true counts only where it is let."""

    def shrunk(factors: Tensor) -> Tensor:
        return 1e-3 * perfect(factors)

    assert factor_vae(shrunk, SIZES, **VOTES) == 1 / 4
    assert factor_vae(shrunk, SIZES, dead=0, **VOTES) == 1


def test_seeds_decide() -> None:
    factors = whole()
    z = rotated(factors)
    for seed in (0, 1):
        assert dci(z, factors, seed=seed) == dci(z, factors, seed=seed)
        assert sap(z, factors, categorical=[0], seed=seed) == sap(
            z, factors, categorical=[0], seed=seed
        )
        again = [factor_vae(rotated, SIZES, seed=seed, **VOTES) for _ in range(2)]
        assert again[0] == again[1]
    first, second = (hold_out(z, factors, seed=seed).held_factors for seed in (0, 1))
    assert not torch.equal(first, second)


def test_mutual_information_is_that_of_the_counts() -> None:
    factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 0], [1, 1], [1, 1], [0, 0], [1, 2]])
    z = torch.tensor([0.0, 0.1, 1.0, 0.9, 1.0, 0.1, 0.0, 1.0])[:, None]
    code = (z[:, 0] > 0.5).long()
    for k in range(2):
        expected = 0.0
        for a in code.unique():
            for b in factors[:, k].unique():
                both = ((code == a) & (factors[:, k] == b)).double().mean().item()
                apart = (code == a).double().mean() * (factors[:, k] == b).double().mean()
                expected += both * math.log(both / apart.item()) if both else 0
        found = mutual_information(z, factors, bins=2)[0, k].item()
        assert found == pytest.approx(expected)


def test_bins_bound_the_information_gap() -> None:
    """A factor of 40 values in 20 bins is half known: log 20 of log 40."""
    factors = torch.cartesian_prod(torch.arange(40), torch.arange(2))
    gap = mig(factors.double(), factors)
    assert gap == pytest.approx((math.log(20) / math.log(40) + 1) / 2, abs=1e-3)
    assert mig(factors.double(), factors, bins=40) == pytest.approx(1)


def test_two_latents_for_one_factor_leave_no_gap() -> None:
    factors = whole()
    z = perfect(factors)
    twice = torch.cat([z, z], 1)
    assert mig(twice, factors) == sap(twice, factors) == 0
    assert linear_accuracy(twice, factors).tolist() == [1] * 4


def test_a_factor_without_order_is_read_as_classes() -> None:
    """Its numbers mean nothing: any order of them gives the same, and chance is 1/3."""
    factors = whole()
    z = perfect(factors)
    z[:, 0] = torch.tensor([1.0, -5.0, 2.0], dtype=torch.float64)[factors[:, 0]]
    expected = (3 + 1 - 1 / 3) / 4
    assert sap(z, factors, categorical=[0]) == pytest.approx(expected, abs=0.03)
    assert sap(z, factors) < expected


def test_concentration_is_its_formula() -> None:
    importance = torch.tensor([[3.0, 1.0], [0.0, 4.0], [0.0, 0.0]])
    rows = [1 - (0.75 * math.log2(4 / 3) + 0.25 * math.log2(4)), 1.0]
    columns = [1.0, 1 - (0.2 * math.log(5, 3) + 0.8 * math.log(1.25, 3))]
    expected = (rows[0] / 2 + rows[1] / 2, sum(columns) / 2)
    assert concentration(importance) == pytest.approx(expected)
    assert concentration(torch.ones(3, 4)) == pytest.approx((0, 0))
    assert concentration(torch.zeros(3, 4)) == pytest.approx((0, 0))


def test_the_readout_is_bayes_rule_for_gaussians() -> None:
    """Two classes of one covariance: weights and threshold in closed form."""
    n = 20_000
    labels = (torch.rand(n, generator=seeded(), dtype=torch.float64) < 0.2).long()
    root = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)
    means = torch.tensor([[0.0, 0.0], [1.0, -1.0]], dtype=torch.float64)
    z = torch.randn(n, 2, generator=seeded(1), dtype=torch.float64) @ root.T + means[labels]
    readout = LinearReadout(z, labels)
    expected = torch.linalg.solve(root @ root.T, means[1] - means[0])
    weight = readout.weight[:, 1] - readout.weight[:, 0]
    torch.testing.assert_close(weight, expected, rtol=0.06, atol=0.03)
    threshold = expected @ (means[1] + means[0]) / 2 - math.log(0.2 / 0.8)
    found = readout.center @ weight - (readout.bias[1] - readout.bias[0])
    assert found.item() == pytest.approx(threshold.item(), rel=0.06)


def test_the_readout_answers_only_what_it_has_seen() -> None:
    z = torch.tensor([[0.0], [0.2], [5.0], [5.2]])
    readout = LinearReadout(z, torch.tensor([0, 0, 7, 7]))
    assert readout(torch.tensor([[1.0], [4.0], [2.55]])).unique().tolist() == [0, 7]


def test_few_labels_cost_accuracy_where_latents_are_noisy() -> None:
    factors = draw_factors((10, 10), 3000, seeded())
    z = torch.cat([factors.double(), torch.zeros(3000, 20, dtype=torch.float64)], 1)
    z += 0.3 * torch.randn(z.shape, generator=seeded(1), dtype=torch.float64)
    few, many = (linear_accuracy(z, factors, labels=n).mean().item() for n in (60, 2000))
    ratio = statistical_efficiency(z, factors, few=60, many=2000)
    assert ratio == pytest.approx(few / many) and ratio < 0.9


def test_factors_are_drawn_evenly() -> None:
    drawn = draw_factors((2, 5), 10_000, seeded())
    for column, size in zip(drawn.T, (2, 5), strict=True):
        shares = column.bincount(minlength=size) / 10_000
        assert len(shares) == size and (shares - 1 / size).abs().max() < 0.02


def test_all_scores_are_the_single_ones() -> None:
    sizes = (3, 4)

    def represent(factors: Tensor) -> Tensor:
        return factors.float()

    found = all_scores(represent, sizes, n=600)
    assert found.beta_vae == found.factor_vae == found.linear == found.efficiency == 1
    assert found.disentanglement == found.completeness == found.informativeness == 1
    factors = draw_factors(sizes, 600, seeded())
    assert found.mig == mig(factors.float(), factors) < 1
    assert found.sap == sap(factors.float(), factors) < 1


@pytest.mark.parametrize(
    ("z", "factors", "message"),
    [
        (torch.zeros(5), torch.zeros(5, 2).long(), r"expected \(N, D\)"),
        (torch.zeros(5, 2), torch.zeros(4, 2).long(), r"expected \(N, D\)"),
        (torch.zeros(5, 2), torch.zeros(5, 2), "whole numbers"),
        (torch.full((5, 2), math.nan), torch.zeros(5, 2).long(), "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(z: Tensor, factors: Tensor, message: str) -> None:
    for score in (mig, sap, dci, linear_accuracy):
        with pytest.raises(ValueError, match=message):
            score(z, factors)


def test_gaps_need_two_latents_and_values_to_tell_apart() -> None:
    factors = whole()
    with pytest.raises(ValueError, match="at least two"):
        mig(perfect(factors)[:, :1], factors)
    with pytest.raises(ValueError, match="one value only"):
        mig(perfect(factors), factors * 0)
    with pytest.raises(ValueError, match="expected 2 to 1200"):
        linear_accuracy(perfect(factors), factors, labels=1201)
