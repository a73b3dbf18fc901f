"""Walks through a latent space: their geometry, and optima against closed forms."""

import math

import pytest
import scipy.stats
import torch
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal
from cvae.latent import direction, linear, manifold, optimise, spherical, traverse

D, SHAPE, NOISE = 4, (2, 3, 5), 0.3


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def standard(*shape: int) -> DiagonalNormal:
    return DiagonalNormal(torch.zeros(shape), torch.zeros(shape))


def test_traverse_sets_one_dimension_and_leaves_the_others() -> None:
    z, values = some(5), [-3.0, 0.0, 2.5]
    found = traverse(z, [3, 0], values)
    assert found.shape == (2, 3, 5)
    for row, dim in zip(found, [3, 0], strict=True):
        assert row[:, dim].tolist() == values
        rest = [other for other in range(5) if other != dim]
        assert torch.equal(row[:, rest], z[rest].expand(3, 4))
    assert torch.equal(z, some(5))  # the latent itself is not written to
    assert torch.equal(traverse(z, [3, 0], torch.tensor(values)), found)


@pytest.mark.parametrize("dims", [[5], [-1], [0, 9]])
def test_traverse_refuses_dimensions_that_are_not_there(dims: list[int]) -> None:
    with pytest.raises(ValueError, match="expected 0 to 4"):
        traverse(some(5), dims, [0.0])
    with pytest.raises(ValueError, match="expected one latent"):
        traverse(some(1, 5), [0], [0.0])


def test_linear_is_even_and_exact_at_its_ends() -> None:
    a, b = some(2, 3, 8), some(2, 3, 8, seed=1)
    way = linear(a, b, 5)
    assert way.shape == (2, 3, 5, 8)
    assert torch.equal(way[..., 0, :], a) and torch.equal(way[..., -1, :], b)
    torch.testing.assert_close(way[..., 2, :], (a + b) / 2)
    strides = way.diff(dim=-2)
    torch.testing.assert_close(strides, ((b - a) / 4)[..., None, :].expand_as(strides))


def angles(way: Tensor) -> Tensor:
    u = way.double() / way.double().norm(dim=-1, keepdim=True)
    return (u[..., 1:, :] * u[..., :-1, :]).sum(-1).clamp(-1, 1).acos()


def test_slerp_keeps_to_the_sphere_at_constant_angular_speed() -> None:
    lengths = torch.tensor([0.5, 1.0, 7.0])[:, None]
    a, b = (lengths * nn.functional.normalize(some(3, 16, seed=s), dim=-1) for s in (0, 1))
    way = spherical(a, b, 9)
    assert way.shape == (3, 9, 16)
    assert torch.equal(way[:, 0], a) and torch.equal(way[:, -1], b)
    torch.testing.assert_close(way.norm(dim=-1), lengths.expand(3, 9))
    turns = angles(way)
    whole = angles(torch.stack([a, b], -2))
    torch.testing.assert_close(turns, (whole / 8).expand_as(turns), atol=1e-6, rtol=1e-5)


def test_slerp_stays_in_the_plane_of_its_ends_and_exact_where_they_differ_in_length() -> None:
    a, b = some(6), 3 * some(6, seed=1)
    way = spherical(a, b, 5)
    assert torch.equal(way[0], a) and torch.equal(way[-1], b)
    assert torch.linalg.matrix_rank(way.double(), tol=1e-5) == 2
    # White's formula, word by word
    theta = torch.acos(torch.dot(a / a.norm(), b / b.norm()))
    quarter = (torch.sin(0.75 * theta) * a + torch.sin(0.25 * theta) * b) / torch.sin(theta)
    torch.testing.assert_close(way[1], quarter)


@pytest.mark.parametrize("factor", [1.0, 2.5, 0.0, -1.0])
@pytest.mark.parametrize("flipped", [False, True])
def test_slerp_goes_straight_where_there_is_no_arc(factor: float, flipped: bool) -> None:
    a = some(5)
    ends = (factor * a, a) if flipped else (a, factor * a)
    torch.testing.assert_close(spherical(*ends, 4), linear(*ends, 4))


def test_slerp_decides_for_each_pair_alone() -> None:
    a = torch.stack([some(5), torch.zeros(5), some(5)])
    b = torch.stack([some(5, seed=1), some(5, seed=1), some(5)])
    way = spherical(a, b, 6)
    assert way.isfinite().all()
    for i in range(3):
        torch.testing.assert_close(way[i], spherical(a[i], b[i], 6), atol=0, rtol=0)


@pytest.mark.parametrize("small", [1e-3, 1e-5, 1e-7])
def test_slerp_is_sound_between_almost_parallel_vectors(small: float) -> None:
    a, away = torch.tensor([1.0, 0.0]), torch.tensor([math.cos(small), math.sin(small)])
    torch.testing.assert_close(spherical(a, away, 5), linear(a, away, 5), atol=1e-6, rtol=0)


def test_slerp_over_almost_half_a_turn_keeps_the_length() -> None:
    away = torch.tensor([-math.cos(1e-4), math.sin(1e-4)])
    way = spherical(torch.tensor([1.0, 0.0]), away, 5)
    torch.testing.assert_close(way.norm(dim=-1), torch.ones(5), atol=1e-3, rtol=0)


def test_slerp_is_a_tensor_of_its_input() -> None:
    assert spherical(some(3), some(3, seed=1), 2).dtype == torch.float32
    assert spherical(some(3).double(), some(3, seed=1).double(), 2).dtype == torch.float64
    for walk in (linear, spherical):
        with pytest.raises(ValueError, match="at least 2"):
            walk(some(3), some(3), 1)


def test_manifold_has_scipys_quantiles_and_cells_of_one_probability() -> None:
    n = 7
    grid = manifold(n).double()
    assert grid.shape == (n, n, 2)
    expected = torch.tensor(scipy.stats.norm.ppf([(i + 0.5) / n for i in range(n)]))
    torch.testing.assert_close(grid[:, 0, 0], expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(grid[..., 0], grid[..., 1].T)
    assert (grid[:, :, 0].diff(dim=1) == 0).all() and (grid[:, :, 0].diff(dim=0) > 0).all()
    shares = torch.tensor(scipy.stats.norm.cdf(grid[:, 0, 0].numpy())).diff()
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / n), atol=1e-6, rtol=0)


def test_manifold_turns_its_two_dimensions_about_a_base() -> None:
    base = some(5)
    grid = manifold(3, (4, 1), base=base)
    assert torch.equal(grid[..., [4, 1]], manifold(3))
    assert torch.equal(grid[..., [0, 2, 3]], base[[0, 2, 3]].expand(3, 3, 3))
    assert torch.equal(base, some(5))
    assert manifold(1).abs().max() == 0
    with pytest.raises(ValueError, match="expected 0 to 1"):
        manifold(3, (0, 2))
    with pytest.raises(ValueError, match="expected 1 or more of two dimensions"):
        manifold(3, (1, 1))


def test_direction_finds_the_planted_one() -> None:
    planted = 3 * some(16)
    found = direction(some(4000, 16, seed=1) + planted, some(3000, 16, seed=2))
    assert (found - planted).norm() < 6 * (16 * (1 / 4000 + 1 / 3000)) ** 0.5 / 2
    with pytest.raises(ValueError, match=r"got negative of \(0, 16\)"):
        direction(some(4, 16), some(0, 16))


def test_direction_leaves_the_others_alone() -> None:
    planted, partners = some(8), some(3, 8, seed=1)
    mixed = planted + torch.tensor([2.0, -1.0, 0.5]) @ partners
    positive, negative = mixed.expand(2, 8), torch.zeros(3, 8)
    found = direction(positive, negative, others=partners)
    assert (found @ partners.T).abs().max() < 1e-5
    # least squares: what remains of the planted one, whatever had been mixed in
    fit = torch.linalg.lstsq(partners.T, planted[:, None]).solution[:, 0]
    torch.testing.assert_close(found, planted - fit @ partners)
    dependent = torch.cat([partners, partners[:1] - 4 * partners[1:2], torch.zeros(1, 8)])
    torch.testing.assert_close(direction(positive, negative, others=dependent), found)
    assert torch.equal(direction(positive, negative), mixed)


class Linear(nn.Module):
    """x = z W + b, as pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(some(D, math.prod(SHAPE), seed=1))
        self.bias = nn.Parameter(some(math.prod(SHAPE), seed=2))

    def forward(self, z: Tensor) -> Tensor:
        return (z @ self.weight + self.bias).unflatten(-1, SHAPE)


@pytest.fixture
def picture() -> Tensor:
    with torch.no_grad():
        return Linear()(some(D, seed=3)) + NOISE * some(*SHAPE, seed=4)


def masks() -> dict[str, Tensor]:
    corner = torch.zeros(1, *SHAPE[1:])
    corner[:, :2, :2] = 1
    soft = torch.rand(1, *SHAPE[1:], generator=seeded(5))
    one = torch.zeros(1, *SHAPE[1:])
    one[0, 1, 1] = 1  # two numbers for four unknowns: the prior decides the rest
    return {"all": torch.ones_like(corner), "corner": corner, "soft": soft, "one": one}


@pytest.mark.parametrize("name", ["all", "corner", "soft", "one"])
def test_the_optimum_of_a_linear_decoder_is_the_posterior_mean(name: str, picture: Tensor) -> None:
    """Ridge regression on the seen pixels, about the mean of the prior and by its precision."""
    mask, decode = masks()[name], Linear()
    prior = DiagonalNormal(some(D, seed=6), some(D, seed=7))
    w, bias = decode.weight.detach().double(), decode.bias.detach().double()
    weights = mask.expand(SHAPE).flatten().double() / NOISE**2
    precision = torch.diag((-prior.logvar).exp()).double()
    pull = (w * weights) @ (picture.flatten().double() - bias) + precision @ prior.loc.double()
    mean = torch.linalg.solve((w * weights) @ w.T + precision, pull).float()

    z, joint = optimise(decode, picture, mask, 2 * some(3, D), prior=prior, noise=NOISE)
    torch.testing.assert_close(z, mean.expand(3, D), atol=2e-3, rtol=1e-3)

    seen = torch.distributions.Normal(decode(mean), NOISE).log_prob(picture)
    expected = (mask * seen).sum() + prior.log_prob(mean)
    torch.testing.assert_close(joint, expected.detach().expand(3), atol=1e-3, rtol=1e-4)


def test_nothing_seen_leaves_the_mode_of_the_prior(picture: Tensor) -> None:
    prior = DiagonalNormal(some(D, seed=6), some(D, seed=7))
    nothing = torch.zeros(1, *SHAPE[1:])
    z, joint = optimise(Linear(), picture, nothing, some(2, D), prior=prior, noise=NOISE)
    torch.testing.assert_close(z, prior.loc.expand(2, D), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(joint, prior.log_prob(prior.loc).expand(2))


def test_what_is_hidden_is_not_read(picture: Tensor) -> None:
    mask = masks()["corner"]
    kept = picture.where(mask > 0, math.nan)
    found, again = (
        optimise(Linear(), x, mask, some(2, D), prior=standard(D), noise=NOISE)
        for x in (picture, kept)
    )
    assert torch.equal(found[0], again[0]) and torch.equal(found[1], again[1])
    with pytest.raises(ValueError, match="not finite"):
        optimise(Linear(), kept, 1 - mask, 2, prior=standard(D), noise=NOISE)


def test_every_start_has_its_own_optimum_and_the_best_comes_first() -> None:
    """x = z^2 / 2 has two roots: off-centre, the prior makes one of them likelier."""

    def decode(z: Tensor) -> Tensor:
        return (0.5 * z.square())[..., None, None]

    x, mask = torch.full((1, 1, 1), 2.0), torch.ones(1, 1, 1)
    prior = DiagonalNormal(torch.tensor([0.4]), torch.zeros(1))
    start = torch.tensor([[-1.5], [2.5], [-3.0], [1.0]])
    z, joint = optimise(decode, x, mask, start, prior=prior, noise=0.05)
    torch.testing.assert_close(z[:, 0], torch.tensor([2.0, 2, -2, -2]), atol=0.01, rtol=0)
    assert joint[0] > joint[2] and (joint.diff() <= 0).all()
    seen = torch.distributions.Normal(2.0, 0.05).log_prob(decode(z).flatten())
    torch.testing.assert_close(joint, seen + prior.log_prob(z), atol=1e-3, rtol=1e-4)
    assert start.tolist() == [[-1.5], [2.5], [-3.0], [1.0]]


def deep() -> nn.Module:
    torch.manual_seed(0)
    widths = nn.Sequential(nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 3 * 64), nn.Tanh())
    return nn.Sequential(widths, nn.Unflatten(1, (3, 8, 8))).eval()


def test_a_network_is_inverted_in_a_hundred_passes() -> None:
    decode, truth = deep(), some(1, 8, seed=3)
    passes = 0

    def counted(z: Tensor) -> Tensor:
        nonlocal passes
        passes += 1
        return decode(z)

    with torch.no_grad():
        x = decode(truth)[0] + 0.02 * some(3, 8, 8, seed=4)
        z, _ = optimise(counted, x, torch.ones(1, 8, 8), 4, prior=standard(8), noise=0.02,
                        generator=seeded())  # fmt: skip
        assert not torch.is_grad_enabled()
    assert passes <= 130
    torch.testing.assert_close(z, truth.expand(4, 8), atol=0.2, rtol=0)
    assert all(p.grad is None for p in decode.parameters()) and not z.requires_grad


def test_draws_of_the_prior_follow_the_generator(picture: Tensor) -> None:
    """Stopped at once, so that the starts still show."""

    def found(seed: int, prior: DiagonalNormal) -> tuple[Tensor, Tensor]:
        return optimise(
            Linear(), picture, masks()["corner"], 3, prior=prior, noise=NOISE, steps=1,
            generator=seeded(seed),
        )  # fmt: skip

    first, again, other = (found(seed, standard(D)) for seed in (1, 1, 2))
    assert first[0].shape == (3, D) and first[1].shape == (3,)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    # the prior of one condition, as a conditional model gives it
    assert torch.equal(found(1, standard(1, D))[0], first[0])


def test_refusals_say_what_was_expected(picture: Tensor) -> None:
    mask, prior = masks()["all"], standard(D)
    for wrong in (mask[0], torch.ones(SHAPE), torch.ones(1, 9, 9)):
        with pytest.raises(ValueError, match="of the same size"):
            optimise(Linear(), picture, wrong, 2, prior=prior, noise=NOISE)
    with pytest.raises(ValueError, match=r"beyond \[0, 1\]"):
        optimise(Linear(), picture, 255 * mask, 2, prior=prior, noise=NOISE)
    for noise in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="standard deviation above 0"):
            optimise(Linear(), picture, mask, 2, prior=prior, noise=noise)
    with pytest.raises(ValueError, match="one for each start"):
        several = standard(2, D)
        optimise(Linear(), picture, mask, some(2, 1, D), prior=several, noise=NOISE)
