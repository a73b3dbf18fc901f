"""Scores on cases computed by hand, by brute force and by outside oracles."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

from apps.motion import scores
from apps.motion.scores import KS, SHOWN
from flow.basis import fit, unfit

SHAPE = (5, 2, 3, 4)


def drawn(*lead: int, seed: int = 0, size: float = 4.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(*lead, *SHAPE, generator=generator)


def sure(batch: int) -> Tensor:
    return torch.ones(batch, *SHAPE[2:])


def line(x: float, y: float) -> Tensor:
    """Coefficients of a shift that grows evenly to (x, y) px in one second, in every cell."""
    t = np.arange(1, 31).reshape(30, 1, 1, 1) / 30
    return torch.from_numpy(fit(t * np.array([x, y]) * np.ones((1, *SHAPE[2:], 1))))


def plain_ed(a: Tensor, b: Tensor) -> float:
    """ED by the definition, through the basis of `flow` itself."""
    return float(np.linalg.norm(unfit(a.numpy()) - unfit(b.numpy()), axis=-1).mean())


def test_displacements_are_those_of_flow() -> None:
    c = drawn(2)
    expected = torch.from_numpy(unfit(c.numpy())).movedim(-1, -3)
    assert torch.allclose(scores.displacements(c), expected, atol=1e-5)


def test_no_error_scores_nothing() -> None:
    truth = drawn(2)
    sets = {k: truth[:, None].expand(-1, k, *SHAPE) for k in KS}
    found = scores.score(sets, truth, sure(2))
    for name in ("ed1", "moving50", "end5", "sure10", "mean_ed", "energy", "joint_energy", "apd"):
        assert found[name].abs().max() < 1e-5, name
    assert found["direction"].max() < 0.1


def test_a_constant_offset_is_its_length() -> None:
    generator = np.random.default_rng(0)
    truth = torch.from_numpy(generator.normal(size=(1, 30, 3, 4, 2)) * 9)
    samples = truth[:, None] + torch.tensor([3.0, -4.0])
    found = scores.errors(samples, truth, sure(1).double())
    for name in ("ed", "moving", "end", "sure"):
        assert found[name].item() == pytest.approx(5.0), name


def test_an_even_shift_is_half_its_length_on_average() -> None:
    still = torch.zeros(1, 1, *SHAPE)
    truth = line(6, 8)[None]
    found = scores.errors(still, truth, sure(1))
    assert found["ed"].item() == pytest.approx(10 * np.arange(1, 31).mean() / 30, rel=1e-4)
    assert found["end"].item() == pytest.approx(10, rel=1e-4)


def test_coefficients_and_displacements_agree() -> None:
    samples, truth = drawn(2, 3), drawn(2, seed=1)
    plain = [torch.from_numpy(unfit(c.numpy())) for c in (samples, truth)]
    for a, b in ((samples, plain[1]), (plain[0], truth), (plain[0], plain[1])):
        first, second = scores.errors(a, b, sure(2)), scores.errors(samples, truth, sure(2))
        assert all(torch.allclose(first[name], second[name], atol=1e-4) for name in first)


def test_only_cells_beyond_three_pixels_move() -> None:
    truth = torch.zeros(1, *SHAPE)
    truth[0, :, :, 0, 0] = line(3.2, 0)[:, :, 0, 0]
    truth[0, :, :, 1, 1] = line(0, 2.8)[:, :, 0, 0]
    expected = torch.zeros(1, *SHAPE[2:], dtype=torch.bool)
    expected[0, 0, 0] = True
    assert torch.equal(scores.moving_cells(truth), expected)
    found = scores.errors(torch.zeros(1, 1, *SHAPE), truth, sure(1))
    assert found["moving"].item() == pytest.approx(3.2 * 15.5 / 30, rel=1e-3)
    assert scores.errors(drawn(1, 1), torch.zeros(1, *SHAPE), sure(1))["moving"].isnan().all()


def test_confidence_decides_what_counts() -> None:
    truth, confidence = torch.zeros(1, *SHAPE), torch.zeros(1, *SHAPE[2:])
    confidence[0, 0, 0], confidence[0, 2, 3] = 0.75, 0.25
    samples = torch.zeros(1, 1, *SHAPE)
    samples[0, 0, :, :, 2, 3] = line(8, 0)[:, :, 0, 0]
    samples[0, 0, :, :, 1, 1] = line(99, 0)[:, :, 0, 0]
    found = scores.errors(samples, truth, confidence)["sure"].item()
    assert found == pytest.approx(0.25 * 8 * 15.5 / 30, rel=1e-3)


def test_rms_is_the_mean_square_over_the_second() -> None:
    c = drawn(2)
    square = np.square(unfit(c.numpy())).sum(-1).mean(-3)
    assert np.allclose(scores.rms(c), np.sqrt(square), atol=1e-4)


def test_energy_is_that_of_two_loops() -> None:
    samples, truth = drawn(1, 4), drawn(1, seed=1)
    to_truth = np.mean([plain_ed(x, truth[0]) for x in samples[0]])
    apart = np.mean([plain_ed(a, b) for a, b in itertools.combinations(samples[0], 2)])
    assert scores.energy(samples, truth).item() == pytest.approx(to_truth - apart / 2, rel=1e-4)
    assert scores.pair_distance(samples).item() == pytest.approx(apart, rel=1e-4)


def test_joint_energy_is_that_of_two_loops_over_displacements() -> None:
    def length(a: Tensor, b: Tensor) -> float:
        gap = unfit(a.numpy()) - unfit(b.numpy())  # the mean over cells and moments, not the norm
        return float(np.sqrt(np.square(gap).sum(-1).mean()))

    samples, truth = drawn(1, 4), drawn(1, seed=1)
    to_truth = np.mean([length(x, truth[0]) for x in samples[0]])
    apart = np.mean([length(a, b) for a, b in itertools.combinations(samples[0], 2)])
    found = scores.joint_energy(samples, truth).item()
    assert found == pytest.approx(to_truth - apart / 2, rel=1e-4)


def test_one_answer_has_its_error_as_energy() -> None:
    samples, truth = drawn(3, 1), drawn(3, seed=1)
    error = scores.errors(samples, truth, sure(3))["ed"][:, 0]
    assert torch.allclose(scores.energy(samples, truth), error)
    assert torch.equal(scores.pair_distance(samples), torch.zeros(3))


def test_parzen_is_a_mixture_of_gaussians() -> None:
    samples, truth, width = drawn(2, 6, size=0.4), drawn(2, seed=1, size=0.4), 0.7
    dims = math.prod(SHAPE)
    square = np.square((samples - truth[:, None]).numpy()).reshape(2, 6, -1).sum(-1)
    log_kernel = -square / (2 * width**2) - dims / 2 * np.log(2 * np.pi * width**2)
    expected = -(logsumexp(log_kernel, axis=1) - np.log(6))
    squares = scores.squared_distances(samples, truth)
    assert np.allclose(scores.parzen_nll(squares, width, dims=dims), expected, rtol=1e-5)


def test_the_bandwidth_of_one_sample_is_its_error() -> None:
    # one kernel of D dimensions: the likeliest width is the root mean square error a dimension
    dims, rms = 1000, 2.0
    squares = torch.full((3, 1), dims * rms**2)
    found = scores.choose_bandwidth(squares, dims=dims)
    assert found == pytest.approx(rms, rel=0.08)


def test_auc_orders_moving_before_still() -> None:
    truth = torch.zeros(3, *SHAPE)
    truth[:, :, :, 0] = line(9, 0)[:, :, 0]
    right = truth[:1, None]
    wrong = line(9, 0)[None, None] - right
    blind = torch.zeros(1, 1, *SHAPE)
    found = scores.moving_auc(torch.cat([right, wrong, blind]), truth, sure(3))
    assert found.tolist() == [1.0, 0.0, 0.5]
    assert scores.moving_auc(blind, torch.zeros(1, *SHAPE), sure(1)).isnan().all()


def test_auc_forgets_what_is_not_sure() -> None:
    truth = torch.zeros(1, *SHAPE)
    truth[:, :, :, 0] = line(9, 0)[:, :, 0]
    samples, confidence = truth[:, None].clone(), sure(1)
    samples[..., 2, 3] = 50.0  # forecast to move, and does not
    assert scores.moving_auc(samples, truth, confidence).item() == pytest.approx(1 - 1 / 8)
    confidence[0, 2, 3] = 0
    assert scores.moving_auc(samples, truth, confidence).item() == 1.0


def test_direction_is_an_angle_and_rest_is_a_guess() -> None:
    truth = line(10, 0)[None]
    ways = [line(5, 0), line(0, 7), line(-3, 0), line(4, 4), torch.zeros(SHAPE)]
    found = scores.direction_errors(torch.stack(ways)[None], truth, sure(1))[0]
    assert found.tolist() == pytest.approx([0, 90, 180, 45, 90], abs=0.1)


def test_best_of_k_takes_the_first_k_and_the_best_of_each() -> None:
    truth = line(8, 0)[None]
    answers = torch.stack([line(x, 0) for x in (0, 16, 6, *[0] * 6, 8)])[None]
    sets = {1: answers[:, :1], SHOWN: answers[:, :5], 10: answers, 50: answers}
    found = scores.score(sets, truth, sure(1))
    half = 15.5 / 30
    expected = {"ed1": 8 * half, "ed5": 2 * half, "ed10": 0, "ed50": 0, "end5": 2}
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-4), name
    assert found["mean_ed"].item() == pytest.approx(half * (8 * 8 + 2) / 10, rel=1e-4)
