"""The mixture against SciPy, quadrature, Monte Carlo and its own special cases."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from mdn.mixture import GaussianMixture

KINDS = ["diagonal", "tied diagonal", "full", "tied"]
K, D = 3, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameters(
    kind: str, *batch: int, dim: int = D, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    g = seeded(7)
    shared = () if kind.startswith("tied") else (K,)
    out = {
        "logits": torch.randn(*batch, K, generator=g, dtype=dtype),
        "loc": 2 * torch.randn(*batch, K, dim, generator=g, dtype=dtype),
    }
    scale = 0.5 + torch.rand(*batch, *shared, dim, generator=g, dtype=dtype)
    if "diagonal" in kind:
        return {**out, "scale": scale}
    lower = torch.randn(*batch, *shared, dim, dim, generator=g, dtype=dtype).tril(-1)
    return {**out, "scale_tril": lower + scale.diag_embed()}


def build(p: dict[str, Tensor]) -> GaussianMixture:
    scale, scale_tril = p.get("scale"), p.get("scale_tril")
    return GaussianMixture(p["logits"], p["loc"], scale=scale, scale_tril=scale_tril)


def mixture(kind: str, *batch: int, dim: int = D) -> GaussianMixture:
    return build(parameters(kind, *batch, dim=dim))


def component_covariances(m: GaussianMixture) -> Tensor:
    tril = m.scale.diag_embed() if m.diagonal else m.scale_tril
    return (tril @ tril.mT).expand(*m.batch_shape, K, -1, -1)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_scipys(kind: str) -> None:
    m = mixture(kind, 4)
    z = 3 * torch.randn(5, 4, D, generator=seeded())
    covariances = component_covariances(m)
    for b in range(4):
        each = np.stack(
            [
                multivariate_normal(m.loc[b, k].numpy(), covariances[b, k].numpy()).logpdf(
                    z[:, b].numpy()
                )
                for k in range(K)
            ],
            axis=-1,
        )
        expected = logsumexp(each + m.logits[b].log_softmax(-1).numpy(), axis=-1)
        np.testing.assert_allclose(m.component_log_prob(z)[:, b], each, rtol=2e-4, atol=1e-4)
        np.testing.assert_allclose(m.log_prob(z)[:, b], expected, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2])
def test_density_integrates_to_one(kind: str, dim: int) -> None:
    m = mixture(kind, dim=dim)
    line = torch.linspace(-20, 20, 1001)
    grid = torch.cartesian_prod(*[line] * dim).reshape(-1, dim)
    total = m.log_prob(grid).double().exp().sum() * (line[1] - line[0]) ** dim
    assert total.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_the_samples(kind: str) -> None:
    m = mixture(kind, 2)
    z = m.sample((200_000,), generator=seeded())  # (S, 2, D)
    assert z.shape == (200_000, 2, D)
    torch.testing.assert_close(m.mean, z.mean(0), atol=0.03, rtol=0)
    centred = (z - z.mean(0)).movedim(0, -1)
    torch.testing.assert_close(m.covariance, centred @ centred.mT / len(z), atol=0.1, rtol=0.02)
    torch.testing.assert_close(m.variance, m.covariance.diagonal(dim1=-2, dim2=-1))


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_density(kind: str) -> None:
    # E_p[q / p] = 1 for every density q; a wrong sampler or a wrong density breaks it.
    m = mixture(kind)
    wide = m.sample((100_000,), generator=seeded())
    narrow = GaussianMixture(m.logits, m.loc, scale=torch.full((K, D), 0.3))
    ratio = (narrow.log_prob(wide) - m.log_prob(wide)).double().exp()
    assert ratio.mean().item() == pytest.approx(1, abs=5 * ratio.std().item() / len(wide) ** 0.5)
    assert ratio.std() < 10


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_repeating_a_shared_scale_changes_nothing(kind: str) -> None:
    shared = parameters("tied diagonal" if kind == "diagonal" else "tied", 4)
    name = "scale" if kind == "diagonal" else "scale_tril"
    repeated = {**shared, name: torch.stack([shared[name]] * K, dim=1)}
    tied, untied = build(shared), build(repeated)
    assert tied.tied and not untied.tied
    z = torch.randn(6, 4, D, generator=seeded())
    torch.testing.assert_close(tied.log_prob(z), untied.log_prob(z))
    torch.testing.assert_close(tied.covariance, untied.covariance)
    torch.testing.assert_close(
        tied.sample((9,), generator=seeded()), untied.sample((9,), generator=seeded())
    )


def test_diagonal_is_full_with_diagonal_factors() -> None:
    p = parameters("diagonal", 3)
    diagonal = build(p)
    full = GaussianMixture(p["logits"], p["loc"], scale_tril=p["scale"].diag_embed())
    z = torch.randn(3, D, generator=seeded())
    torch.testing.assert_close(diagonal.log_prob(z), full.log_prob(z))
    torch.testing.assert_close(
        diagonal.sample((5,), generator=seeded()), full.sample((5,), generator=seeded())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_depends_on_its_generator_alone(kind: str) -> None:
    m = mixture(kind, 2)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = m.sample((20,), generator=seeded(3))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, m.sample((20,), generator=seeded(3)))
    assert not torch.equal(first, m.sample((20,), generator=seeded(4)))


def test_without_a_generator_the_global_seed_counts() -> None:
    m = mixture("full")
    torch.manual_seed(1)
    first = m.sample((5,))
    torch.manual_seed(1)
    assert torch.equal(first, m.sample((5,)))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str) -> None:
    names = list(parameters(kind))
    values = [v.requires_grad_() for v in parameters(kind, 2, dtype=torch.float64).values()]
    z = torch.randn(3, 2, D, generator=seeded(), dtype=torch.float64, requires_grad=True)

    def from_values(*p: Tensor) -> GaussianMixture:
        given = dict(zip(names, p, strict=True))
        if "scale_tril" in given:  # the check also moves what lies above the diagonal
            given["scale_tril"] = given["scale_tril"].tril()
        return build(given)

    def density(z: Tensor, *p: Tensor) -> Tensor:
        return from_values(*p).log_prob(z)

    def draw(*p: Tensor) -> Tensor:
        return from_values(values[0].detach(), *p).rsample((3,), generator=seeded())

    assert torch.autograd.gradcheck(density, (z, *values))
    assert torch.autograd.gradcheck(draw, tuple(values[1:]))


def test_the_choice_of_component_has_no_gradient() -> None:
    p = parameters("full")
    p["logits"].requires_grad_()
    p["loc"].requires_grad_()
    m = build(p)
    draws = m.rsample((50,), generator=seeded())
    grads = torch.autograd.grad(draws.sum(), [p["logits"], p["loc"]], allow_unused=True)
    assert grads[0] is None
    assert grads[1] is not None and grads[1].sum().item() == pytest.approx(50 * D)
    assert not m.sample((2,)).requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(kind: str, dtype: torch.dtype) -> None:
    p = {name: value.to(dtype) for name, value in parameters(kind).items()}
    p["logits"] = torch.tensor([1e4, 0.0, -1e4], dtype=dtype, requires_grad=True)
    m = build(p)
    z = torch.tensor([[0.0, 0.0], [500.0, -500.0]], dtype=dtype)
    log_prob = m.log_prob(z)
    assert log_prob.dtype == torch.float32 and log_prob.isfinite().all()
    (grad,) = torch.autograd.grad(log_prob.sum(), p["logits"])
    assert grad.isfinite().all()
    assert m.responsibilities(z).isfinite().all()
    # The first component has it all, so the moments and the samples are its own.
    torch.testing.assert_close(m.mean, m.loc[0])
    alone = GaussianMixture(torch.zeros(1), m.loc[:1], scale=torch.full((1, D), 5.0))
    assert alone.log_prob(m.sample((1000,), generator=seeded())).min() > -20


def test_half_precision_is_computed_in_float32_under_autocast_too() -> None:
    p = parameters("full")
    z = torch.randn(4, D, generator=seeded())
    expected = build(p)
    with torch.autocast("cpu", torch.bfloat16):
        m = build(p)
        assert torch.equal(m.log_prob(z), expected.log_prob(z))
        assert torch.equal(m.covariance, expected.covariance)
        assert m.covariance.dtype == torch.float32
        draws = m.sample((8,), generator=seeded())
    assert torch.equal(draws, expected.sample((8,), generator=seeded()))


def test_impossible_components_are_never_drawn() -> None:
    logits = torch.tensor([-1e4, 0.0, -1e4])
    m = GaussianMixture(logits, torch.tensor([[-9.0], [0.0], [9.0]]), scale=torch.full((1,), 0.1))
    assert m.sample((100_000,), generator=seeded()).abs().max() < 2


def test_components_are_drawn_by_their_weight() -> None:
    weights = torch.tensor([0.1, 0.6, 0.3])
    loc = torch.tensor([[-9.0], [0.0], [9.0]])
    m = GaussianMixture(weights.log() + 5, loc, scale=torch.full((1,), 0.1))
    z = m.sample((100_000,), generator=seeded()).squeeze(-1)
    share = (z.unsqueeze(-1) - loc.T).abs().argmin(-1).bincount() / len(z)
    torch.testing.assert_close(share, weights, atol=0.008, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_responsibilities_are_bayes(kind: str) -> None:
    m = mixture(kind, 4)
    z = torch.randn(6, 4, D, generator=seeded())
    r = m.responsibilities(z)
    torch.testing.assert_close(r.sum(-1), torch.ones(6, 4))
    joint = (m.component_log_prob(z) + m.logits.log_softmax(-1)).exp()
    torch.testing.assert_close(r, joint / m.log_prob(z).exp().unsqueeze(-1))


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_scales_the_components_alone(kind: str) -> None:
    m = mixture(kind, 2)
    cool = m.temperature(0.5)
    assert (cool.diagonal, cool.tied) == (m.diagonal, m.tied)
    assert torch.equal(cool.logits, m.logits) and torch.equal(cool.loc, m.loc)
    torch.testing.assert_close(component_covariances(cool), component_covariances(m) / 4)
    warm = m.sample((30,), generator=seeded())
    cold = m.temperature(1e-6).sample((30,), generator=seeded())
    halfway = cool.sample((30,), generator=seeded())
    torch.testing.assert_close(halfway, (warm + cold) / 2, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="temperature 0"):
        m.temperature(0)


@pytest.mark.parametrize("kind", KINDS)
def test_indexing_takes_from_the_batch(kind: str) -> None:
    m = mixture(kind, 4, 2)
    z = torch.randn(4, 2, D, generator=seeded())
    one, row = m[3, 1], m[1:3]
    assert one.batch_shape == () and row.batch_shape == (2, 2) and one.tied == m.tied
    torch.testing.assert_close(one.log_prob(z[3, 1]), m.log_prob(z)[3, 1])
    torch.testing.assert_close(row.log_prob(z[1:3]), m.log_prob(z)[1:3])
    with pytest.raises(IndexError):
        m[0, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_broadcast_and_may_be_empty(kind: str) -> None:
    p = parameters(kind, 1)
    m = build({**p, "logits": p["logits"].expand(5, K)})
    assert m.batch_shape == (5,) and m.event_shape == (D,)
    assert m.log_prob(torch.zeros(D)).shape == (5,)
    assert m.log_prob(torch.zeros(2, 3, 5, D)).shape == (2, 3, 5)
    assert m.component_log_prob(torch.zeros(7, 1, D)).shape == (7, 5, K)
    z = torch.randn(5, D, generator=seeded())
    torch.testing.assert_close(mixture(kind, 1).log_prob(z), mixture(kind, 1)[0].log_prob(z))
    assert m.sample().shape == (5, D)
    assert m.sample((0,)).shape == (0, 5, D)
    assert m[:].log_prob(torch.zeros(0, 5, D)).shape == (0, 5)
    assert m.rsample((2, 3)).shape == (2, 3, 5, D)


def test_wrong_parameters_are_named() -> None:
    logits, loc = torch.zeros(K), torch.zeros(K, D)
    with pytest.raises(ValueError, match="same K"):
        GaussianMixture(torch.zeros(4), loc, scale=torch.ones(K, D))
    with pytest.raises(ValueError, match="either"):
        GaussianMixture(logits, loc)
    with pytest.raises(ValueError, match=r"scale \(3, 5\).*\[3, 2\]"):
        GaussianMixture(logits, loc, scale=torch.ones(K, 5))
    with pytest.raises(ValueError, match="scale_tril"):
        GaussianMixture(logits, loc, scale_tril=torch.ones(K, D))
    with pytest.raises(ValueError, match="scale"):
        GaussianMixture(logits, loc, scale=torch.zeros(K, D))
    with pytest.raises(ValueError, match="loc"):
        GaussianMixture(logits, loc / 0, scale=torch.ones(K, D))
