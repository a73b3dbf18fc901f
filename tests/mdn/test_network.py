"""The head learns what one Gaussian cannot, starts safely and survives saving."""

import pytest
import torch
from torch import Tensor

from mdn.mixture import GaussianMixture
from mdn.network import Covariance, MixtureHead

KINDS: list[Covariance] = ["full", "diagonal", "tied"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_branches(n: int) -> tuple[Tensor, Tensor]:
    """y = x or y = -x by a fair coin, with a little noise."""
    g = seeded(2)
    x = 0.5 + torch.rand(n, 1, generator=g)
    sign = torch.randint(0, 2, (n, 1), generator=g) * 2.0 - 1
    return x, sign * x + 0.05 * torch.randn(n, 1, generator=g)


def fit(head: MixtureHead, x: Tensor, y: Tensor, steps: int = 120) -> float:
    optimiser = torch.optim.Adam(head.parameters(), lr=3e-2)
    for _ in range(steps):
        loss = -head(x).log_prob(y).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


def test_two_components_learn_two_branches() -> None:
    x, y = two_branches(256)
    nll = []
    for components in (1, 2):
        torch.manual_seed(0)
        head = MixtureHead(features=1, dim=1, components=components, hidden=16)
        head.initialise(y, seeded())
        nll.append(fit(head, x, y))
    assert nll[1] < nll[0] - 1
    # Exact: log 2 for the coin and the entropy of the noise, 0.69 - 1.58 = -0.88.
    assert nll[1] == pytest.approx(-0.88, abs=0.15)
    means = head(torch.tensor([[0.6], [1.4]])).loc.squeeze(-1).sort(-1).values
    torch.testing.assert_close(means, torch.tensor([[-0.6, 0.6], [-1.4, 1.4]]), atol=0.1, rtol=0)


@pytest.mark.parametrize("covariance", KINDS)
@pytest.mark.parametrize("hidden", [None, 8])
def test_it_starts_as_spread_unit_gaussians(covariance: Covariance, hidden: int | None) -> None:
    torch.manual_seed(0)
    head = MixtureHead(features=6, dim=3, components=4, covariance=covariance, hidden=hidden)
    m = head(torch.randn(10, 6))
    assert isinstance(m, GaussianMixture)
    assert m.batch_shape == (10,) and m.event_shape == (3,)
    assert m.loc.shape == (10, 4, 3) and m.tied == (covariance == "tied")
    assert m.diagonal == (covariance == "diagonal")
    scale = m.scale if m.diagonal else m.scale_tril.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(scale, torch.ones_like(scale), atol=0.1, rtol=0)
    torch.testing.assert_close(m.logits.softmax(-1), torch.full((10, 4), 0.25), atol=0.05, rtol=0)
    assert torch.pdist(m.loc[0]).min() > 0.3


@pytest.mark.parametrize("covariance", KINDS)
def test_scales_stay_above_the_floor_and_everything_gets_a_gradient(
    covariance: Covariance,
) -> None:
    torch.manual_seed(0)
    head = MixtureHead(features=4, dim=3, components=2, covariance=covariance, floor=0.05)
    for size in (1.0, 1e4):
        m = head(size * torch.randn(32, 4))
        scale = m.scale if m.diagonal else m.scale_tril.diagonal(dim1=-2, dim2=-1)
        assert scale.min() >= 0.05
        if not m.diagonal:
            assert torch.equal(m.scale_tril, m.scale_tril.tril())
        loss = -m.log_prob(torch.randn(32, 3)).mean()
        assert loss.isfinite()
    head.zero_grad()
    (-head(torch.randn(64, 4)).log_prob(torch.randn(64, 3)).mean()).backward()
    assert head.last.bias.grad is not None and (head.last.bias.grad != 0).all()


@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_correlation_is_learnt(covariance: Covariance) -> None:
    torch.manual_seed(0)
    z = torch.randn(200, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]])
    head = MixtureHead(features=1, dim=2, components=1, covariance=covariance)
    fit(head, torch.ones(200, 1), z, steps=200)
    learnt = head(torch.ones(1, 1)).covariance[0]
    torch.testing.assert_close(learnt, z.T.cov(correction=0), atol=0.05, rtol=0)


@pytest.mark.parametrize("covariance", KINDS)
def test_initialise_puts_the_components_on_the_clusters(covariance: Covariance) -> None:
    centres = torch.tensor([[0.0, 5.0], [5.0, 0.0], [-5.0, -5.0]])
    labels = torch.tensor([0] * 300 + [1] * 200 + [2] * 100)
    z = centres[labels] + torch.randn(600, 2, generator=seeded()) * torch.tensor([0.5, 0.2])
    torch.manual_seed(0)
    head = MixtureHead(features=4, dim=2, components=3, covariance=covariance)
    before = -head(torch.zeros(1, 4)).log_prob(z).mean()
    head.initialise(z, seeded())
    m = head(torch.zeros(1, 4))
    torch.testing.assert_close(m.loc[0], centres, atol=0.15, rtol=0)
    torch.testing.assert_close(
        m.logits.softmax(-1)[0], torch.tensor([3, 2, 1]) / 6, atol=0.01, rtol=0
    )
    scale = m.scale if m.diagonal else m.scale_tril.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(scale[0, 0], torch.tensor([0.5, 0.2]), atol=0.05, rtol=0)
    assert -m.log_prob(z).mean() < before - 2


def test_autocast_keeps_the_parameters_exact() -> None:
    torch.manual_seed(0)
    head = MixtureHead(features=4, dim=3)
    x = torch.randn(5, 4)
    with torch.autocast("cpu", torch.bfloat16):
        m = head(x)
    assert torch.equal(m.loc, head(x).loc)
    assert head(x.bfloat16()).loc.dtype == torch.float32


@pytest.mark.parametrize("covariance", KINDS)
@pytest.mark.parametrize("dim", [1, 3])
def test_saving_and_loading_gives_the_same_mixture(covariance: Covariance, dim: int) -> None:
    built = [MixtureHead(features=4, dim=dim, covariance=covariance, hidden=5) for _ in range(2)]
    built[1].load_state_dict(built[0].state_dict())
    x, z = torch.randn(5, 4), torch.randn(5, dim)
    assert torch.equal(built[0](x).log_prob(z), built[1](x).log_prob(z))


def test_a_bad_batch_is_a_loss_that_is_not_finite() -> None:
    head = MixtureHead(features=2, dim=2)
    assert head(torch.full((1, 2), torch.nan)).log_prob(torch.zeros(1, 2)).isnan()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="'diag'"):
        MixtureHead(features=2, dim=2, covariance="diag")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="floor 0"):
        MixtureHead(features=2, dim=2, floor=0)
    head = MixtureHead(features=2, dim=2)
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        head.initialise(torch.zeros(9, 3))
    with pytest.raises(ValueError, match="k = 8 for 3 samples"):
        head.initialise(torch.zeros(3, 2))
