"""Attributes left open: their law given the stated ones, and how little a toggle moves."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from apps.faces import copula
from apps.faces.copula import Copula

K = 4000
NOISE = 4 * 0.5 / K**0.5  # four standard errors of a frequency


@pytest.fixture(scope="module")
def correlation() -> np.ndarray:
    """Four that hang together, one against them, and a pair (5, 6) of its own."""
    r = np.eye(7)
    r[:4, :4] = 0.6
    r[:4, 4] = r[4, :4] = -0.5
    r[5, 6] = r[6, 5] = 0.7
    np.fill_diagonal(r, 1.0)
    return r


@pytest.fixture(scope="module")
def world(correlation: np.ndarray) -> Copula:
    return Copula(-norm.ppf([0.4, 0.1, 0.5, 0.8, 0.3, 0.05, 0.5]), correlation)


@pytest.fixture(scope="module")
def labels(world: Copula) -> np.ndarray:
    """A large population of that world, drawn by somebody else."""
    rng = np.random.default_rng(1)
    e = rng.multivariate_normal(np.zeros(7), world.correlation, size=200_000)
    return e > world.thresholds


def vector(*stated: float) -> torch.Tensor:
    return torch.tensor([*stated, *[0.0] * (7 - len(stated))])


def test_orthants_match_an_outside_oracle() -> None:
    rng = np.random.default_rng(0)
    h, k = rng.normal(size=(2, 40)) * 1.5
    rho = rng.uniform(-0.99, 0.99, 40)
    expected = [
        multivariate_normal.cdf([-a, -b], cov=[[1, r], [r, 1]])
        for a, b, r in zip(h, k, rho, strict=True)
    ]
    assert np.abs(copula.orthant(h, k, rho) - expected).max() < 1e-6


def test_tetrachoric_inverts_the_orthant(world: Copula, correlation: np.ndarray) -> None:
    t = world.thresholds
    grid = np.broadcast_arrays(t[:, None], t[None], correlation - 1e-9 * np.eye(7))
    found = copula.tetrachoric(t, copula.orthant(*grid))
    assert np.abs(found - correlation).max() < 1e-5


def test_the_nearest_correlation_is_one_and_is_near() -> None:
    wrong = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    assert np.linalg.eigvalsh(wrong).min() < 0
    near = copula.nearest_correlation(wrong)
    assert np.allclose(np.diag(near), 1) and np.allclose(near, near.T)
    assert np.linalg.eigvalsh(near).min() >= 0.0099
    # by symmetry the nearest one shrinks all three alike, to the edge at one half
    assert np.abs(near[np.triu_indices(3, 1)] - [0.5, -0.5, 0.5]).max() < 0.02
    fine = np.array([[1, 0.3], [0.3, 1]])
    assert np.allclose(copula.nearest_correlation(fine), fine)


def test_fitting_finds_the_world(world: Copula, labels: np.ndarray) -> None:
    fitted = Copula.fit(labels)
    assert np.abs(fitted.thresholds - world.thresholds).max() < 0.03
    assert np.abs(fitted.correlation - world.correlation).max() < 0.03


def test_marginals_and_pairs_of_draws_match_the_labels(labels: np.ndarray) -> None:
    drawn = (Copula.fit(labels).complete(vector(), k=K, seed=0) > 0).double().numpy()
    on = labels.astype(float)
    pairs = drawn.T @ drawn / K - on.T @ on / len(on)
    assert np.abs(pairs).max() < NOISE


@pytest.mark.parametrize(
    "stated",
    [
        (1.0,),
        (0.0, 1.0),
        (-1.0, 1.0),
        (1.0, 0.0, -1.0, 0.0, 1.0),  # against what hangs together
        (-1.0, 1.0, -1.0),
    ],
)
def test_conditional_frequencies_match_the_population(
    world: Copula, labels: np.ndarray, stated: tuple[float, ...]
) -> None:
    wanted = vector(*stated).numpy()
    share = labels[np.all((wanted == 0) | ((wanted > 0) == labels), axis=1)]
    drawn = (world.complete(vector(*stated), k=K, seed=3) > 0).numpy()
    assert len(share) > 200
    noise = NOISE + 4 * 0.5 / len(share) ** 0.5
    assert np.abs(drawn.mean(0) - share.mean(0)).max() < noise
    pairs = drawn.T.astype(float) @ drawn / K - share.T.astype(float) @ share / len(share)
    assert np.abs(pairs).max() < noise


def test_requests_against_each_other_still_follow_the_law() -> None:
    """Where the sequential draw alone is far off: a close pair stated apart."""
    r = np.array([[1.0, 0.9, 0.8], [0.9, 1.0, 0.5], [0.8, 0.5, 1.0]])
    close = Copula(np.zeros(3), r)
    stated = torch.tensor([1.0, -1.0, 0.0])
    drawn = (close.complete(stated, k=K, seed=0)[:, 2] > 0).double().mean().item()
    corners = [multivariate_normal.cdf(np.zeros(3), cov=r * np.outer(s, s)) for s in _SIGNS]
    assert abs(drawn - corners[0] / sum(corners)) < NOISE


_SIGNS = ([-1, 1, -1], [-1, 1, 1])  # P(+, -, +) and P(+, -, -) as probabilities below zero


@pytest.mark.parametrize("stated", [(), (1.0,), (1.0, 0.0, -1.0, 0.0, 1.0)])
def test_a_row_depends_on_its_number_and_the_seed_alone(
    world: Copula, stated: tuple[float, ...]
) -> None:
    many = world.complete(vector(*stated), k=50, seed=7)
    assert torch.equal(many, world.complete(vector(*stated), k=50, seed=7))
    for k in (0, 1, 16):
        assert torch.equal(world.complete(vector(*stated), k=k, seed=7), many[:k])
    assert not torch.equal(world.complete(vector(*stated), k=50, seed=8), many)
    assert len(torch.unique(many, dim=0)) > 3


def test_stated_values_are_kept(world: Copula) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        stated = torch.from_numpy(rng.integers(-1, 2, 7)).float()
        drawn = world.complete(stated, k=20, seed=1)
        assert drawn.shape == (20, 7) and drawn.dtype == torch.float32
        assert set(drawn.unique().tolist()) <= {-1.0, 1.0}
        assert (drawn[:, stated != 0] == stated[stated != 0]).all()


def test_saying_what_a_face_has_anyway_changes_nothing(world: Copula) -> None:
    open_ones = world.complete(vector(), k=200, seed=2)
    for stated in (vector(1.0), vector(1.0, -1.0, 1.0), vector(-1.0, 0.0, 0.0, 1.0, -1.0)):
        has = ((open_ones == stated) | (stated == 0)).all(1)
        assert has.sum() > 10
        drawn = world.complete(stated, k=200, seed=2)
        assert torch.equal(drawn[has], open_ones[has])


def test_a_toggle_moves_as_few_as_the_law_lets_it(world: Copula) -> None:
    """Nothing can change less often than by the change of its frequency; here, by little more."""
    on = world.complete(vector(1.0), k=K, seed=4)
    off = world.complete(vector(-1.0), k=K, seed=4)
    changed = (on != off).double().mean(0)[1:]
    least = (on - off).mean(0).abs()[1:] / 2
    assert changed.mean() < 0.3
    assert torch.all(changed <= least + 0.01)
    assert torch.equal(on[:, 5:], off[:, 5:])  # what does not correlate never moves


def test_toggles_leave_alone_what_does_not_correlate(world: Copula) -> None:
    plain = world.complete(vector(), k=300, seed=5)
    for stated in (vector(1.0), vector(-1.0, 1.0), vector(1.0, 0.0, -1.0, 0.0, 1.0)):
        assert torch.equal(world.complete(stated, k=300, seed=5)[:, 5:], plain[:, 5:])


def test_what_never_varies_survives() -> None:
    rng = np.random.default_rng(0)
    labels = np.stack([np.ones(400), np.zeros(400), rng.random(400) < 0.5], 1).astype(bool)
    fitted = Copula.fit(labels)
    assert np.isfinite(fitted.thresholds).all()
    drawn = fitted.complete(torch.zeros(3), k=500, seed=0)
    assert (drawn[:, 0] > 0).double().mean() > 0.98 and (drawn[:, 1] < 0).double().mean() > 0.98
    against = fitted.complete(torch.tensor([-1.0, 1.0, 0.0]), k=50, seed=0)
    assert (against[:, :2] == torch.tensor([-1.0, 1.0])).all()
    assert 5 < (against[:, 2] > 0).sum() < 45


def test_far_tails_stay_finite() -> None:
    """Requests that next to no face answers: strongly tied, stated against each other."""
    r = np.full((6, 6), 0.98)
    np.fill_diagonal(r, 1.0)
    far = Copula(np.array([-6.0, 6.0, 0.0, 0.0, 0.0, 0.0]), r)
    for stated in ([-1, 1, 0, 0, 0, 0], [-1, 1, 1, -1, 1, 0], [1, 1, 1, 1, -1, 0]):
        drawn = far.complete(torch.tensor(stated).float(), k=20, seed=0)
        assert drawn.abs().eq(1).all()
        assert (drawn[:, :2] == torch.tensor(stated[:2])).all()


def test_a_config_carries_it(labels: np.ndarray) -> None:
    fitted = Copula.fit(labels)
    text = json.dumps(fitted.to_config())
    assert len(text) < 1000
    back = Copula.from_config(json.loads(text))
    assert np.array_equal(back.thresholds, fitted.thresholds)
    assert torch.equal(
        back.complete(vector(1.0), k=64, seed=0), fitted.complete(vector(1.0), k=64, seed=0)
    )


def test_mistakes_say_what_was_expected(world: Copula) -> None:
    with pytest.raises(ValueError, match="values -1, 0 and 1"):
        world.complete(vector(0.5), k=1, seed=0)
    with pytest.raises(ValueError, match=r"expected \(7,\)"):
        world.complete(torch.zeros(40), k=1, seed=0)
    with pytest.raises(ValueError, match="expected bool"):
        Copula.fit(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
        Copula(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="positive definite"):
        Copula(np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]))
