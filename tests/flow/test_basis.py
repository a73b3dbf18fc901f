"""The anchored basis: orthonormal, exact on its span, least squares elsewhere."""

import numpy as np
import pytest

from flow.basis import basis, fit, unfit

T = np.arange(1, 31) / 30


@pytest.mark.parametrize("k", [1, 2, 5, 8, 30])
def test_the_basis_is_orthonormal_anchored_and_starts_with_a_line(k: int) -> None:
    b = basis(k)
    np.testing.assert_allclose(b.T @ b / 30, np.eye(k), atol=1e-9)
    np.testing.assert_allclose(basis(k, moments=np.zeros(1)), 0, atol=1e-12)
    np.testing.assert_allclose(b[:, 0] / T, b[-1, 0])
    np.testing.assert_array_equal(basis(k, moments=T), b)


def test_a_longer_basis_begins_with_a_shorter_one() -> None:
    np.testing.assert_allclose(basis(8)[:, :5], basis(5), atol=1e-9)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_there_and_back_is_exact_on_the_span(lead: tuple[int, ...], weighted: bool) -> None:
    rng = np.random.default_rng(0)
    c = rng.normal(0, 20, (*lead, 5, 2, 4, 6)).astype(np.float32)
    d = unfit(c)
    assert d.shape == (*lead, 30, 4, 6, 2) and d.dtype == np.float32
    weights = rng.uniform(0.05, 1, d.shape[:-1]) if weighted else None
    found = fit(d, weights=weights)
    assert found.dtype == np.float32 and found.shape == c.shape
    np.testing.assert_allclose(found, c, atol=1e-3)


def test_squared_coefficients_are_the_mean_squared_displacement() -> None:
    c = np.random.default_rng(0).normal(size=(5, 2, 1, 1))
    np.testing.assert_allclose((unfit(c) ** 2).sum(-1).mean(0), (c**2).sum((0, 1)), rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_fit_is_least_squares(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    d = np.cumsum(rng.normal(size=(2, 30, 3, 2, 2)), 1)
    weights = rng.uniform(0, 1, d.shape[:-1]) * (rng.random(d.shape[:-1]) < 0.8)
    found = fit(d, 4, weights=weights if weighted else None)
    for i, y, x, axis in np.ndindex(2, 3, 2, 2):
        root = np.sqrt(weights[i, :, y, x]) if weighted else np.ones(30)
        truth = np.linalg.lstsq(root[:, None] * basis(4), root * d[i, :, y, x, axis], rcond=None)
        np.testing.assert_allclose(found[i, :, axis, y, x], truth[0], atol=1e-5)


def test_channels_are_a_view_with_x_before_y() -> None:
    d = np.zeros((30, 1, 1, 2))
    d[..., 0, 0, 0], d[..., 0, 0, 1] = 2 * T, 7 * T
    flat = fit(d, 3).reshape(6, 1, 1)[:, 0, 0]
    np.testing.assert_allclose(flat * basis(1)[-1, 0], [2, 7, 0, 0, 0, 0], atol=1e-5)


def test_steps_without_weight_do_not_bend_the_curve() -> None:
    d = np.zeros((30, 1, 1, 2)) + 12 * T[:, None, None, None]
    broken = d.copy()
    broken[20:] = 500
    weights = np.where(np.arange(30) < 20, 1.0, 0.0)[:, None, None]
    np.testing.assert_allclose(unfit(fit(broken, 2, weights=weights)), d, atol=1e-3)
    assert (fit(broken, weights=np.zeros((30, 1, 1))) == 0).all()


def test_between_the_moments_the_curve_goes_on() -> None:
    c = np.random.default_rng(0).normal(size=(5, 2, 2, 2))
    fine = unfit(c, moments=np.linspace(0, 1, 61))
    np.testing.assert_allclose(fine[2::2], unfit(c), atol=1e-5)
    np.testing.assert_allclose(fine[0], 0, atol=1e-9)


def test_bad_input_is_refused() -> None:
    for k in (0, 31):
        with pytest.raises(ValueError, match="1 to 30"):
            basis(k)
    for shape in ((29, 4, 4, 2), (30, 4, 4, 3), (30, 4, 2)):
        with pytest.raises(ValueError, match="displacements"):
            fit(np.zeros(shape))
    for weights in (np.ones((30, 4, 5)), -np.ones((30, 4, 4))):
        with pytest.raises(ValueError, match="weights"):
            fit(np.zeros((30, 4, 4, 2)), weights=weights)
    with pytest.raises(ValueError, match="coefficients"):
        unfit(np.zeros((5, 3, 4, 4)))
