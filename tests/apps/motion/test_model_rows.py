"""Rows of trained models: draws, what is shown of them, and the clusters of Walker et al."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from apps.motion import answers, model_rows, walker
from apps.motion.data import Windows
from apps.motion.dct import from_maps, to_maps
from apps.motion.model import Size, build
from apps.motion.model_rows import Samples, Shown, Walker, clusters, livelier, mask
from apps.motion.posterior import importance_nll
from apps.motion.rows import SHAPE
from apps.motion.scores import energy
from apps.motion.walker import WalkerSize, build_walker
from apps.runtime import key
from cvae.model import CVAE
from cvae.networks import StandardPrior
from mdn.medoids import medoids

SMALL = Size(width=8, whole=3, spatial=2, components=2, rank=2)


def lot(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stills(n: int = 2) -> Tensor:
    return torch.randint(256, (n, 3, 160, 208), generator=lot(), dtype=torch.uint8)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound by two draws instead of many."""
    monkeypatch.setattr(model_rows, "importance_nll", partial(importance_nll, draws=2))


@pytest.fixture(scope="module")
def ours() -> CVAE:
    torch.manual_seed(0)
    model = build(SMALL)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return model.eval()


class Told(nn.Module):
    """Says what is planned for z: right by 8 px, up by 4, or about nothing."""

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        c = torch.zeros(len(z), 5, 2, 20, 26)
        right, up = z[:, 0] > 0.5, z[:, 0] < -1.2
        c[right, 0, 0] = 8.0
        c[up, 0, 1] = -4.0
        rest = ~(right | up)
        c[rest, 0, 0] = 1e-3 * z[rest, 1, None, None]
        maps = to_maps(c + 1e-5 * z[:, 2, None, None, None, None])
        length = maps.norm(dim=1, keepdim=True)
        return torch.cat([maps / length, length], 1)


class Nothing(nn.Module):
    def forward(self, frames: Tensor) -> Tensor:
        return frames.new_zeros(len(frames), 1)


@pytest.fixture
def told() -> CVAE:
    return CVAE(
        condition=Nothing(),
        recognition=nn.Identity(),
        prior=StandardPrior(10),
        generation=Told(),
    )


def test_draws_of_a_model_are_its_samples(ours: CVAE) -> None:
    row, n = Samples("ours", ours), answers.BATCH + 3  # more than are decoded at once
    found = row.draw(stills(), n, generator=lot())
    assert found.shape == (2, n, *SHAPE) and row.nested
    assert torch.pdist(found[0].flatten(1)).min() > 0  # none twice
    assert torch.allclose(found, answers.draw(ours, stills(), n, generator=lot()), atol=1e-4)
    assert not torch.allclose(found, row.draw(stills(), n, generator=lot(2)), atol=1e-2)


def test_shown_stand_for_draws(ours: CVAE) -> None:
    row = Shown("ours, as shown", ours, pool=12)
    frames = stills()
    found = row.draw(frames, 3, generator=lot())
    assert found.shape == (2, 3, *SHAPE) and not row.nested
    seed = int(torch.randint(2**31, (), generator=lot()))
    pool = answers.pool(ours, frames[:1], 12, seed=seed)
    settled, shares = answers.answers(pool[0], 3)
    assert torch.allclose(found[0], settled, atol=1e-4)
    assert (shares.diff() <= 0).all() and shares.sum().item() == pytest.approx(1)
    assert torch.pdist(settled.flatten(1)).min() > 1e-3  # three, not one thrice
    chosen, _, _ = medoids(answers.apart(pool[0]), 3)
    drawn, begun, ended = pool[0], pool[0][chosen], settled
    scores = [torch.stack([energy(a[None], y[None]) for y in drawn]) for a in (begun, ended)]
    assert scores[1].mean() < scores[0].mean()  # as forecasts of the draws they gained


def test_half_of_the_draws_are_of_the_mirror_image(ours: CVAE) -> None:
    frames = stills(1)
    pool = answers.pool(ours, frames, 8, seed=5)
    assert torch.equal(pool[:, :4], answers.draw(ours, frames, 4, generator=lot(5)))
    there = pool[:, 4:].flip(-1)
    there[:, :, :, 0] *= -1
    assert torch.equal(there, answers.draw(ours, frames.flip(-1), 4, generator=lot(key(5, 1))))
    assert answers.pool(ours, frames, 7, seed=5).shape == (1, 7, *SHAPE)


def test_walker_answers_with_the_motions_that_are_lively(told: CVAE) -> None:
    """31 % go right, 12 % up, and of the rest, which hardly moves, most is dropped."""
    row = Walker("walker", told, pool=200)
    found = row.draw(stills(1), 3, generator=lot())
    assert found.shape == (1, 3, *SHAPE) and not row.nested
    right, up, still = found[0]
    # px of the working frame; where all draws move alike the mask weakens nothing
    assert right[0, 0].mean().item() == pytest.approx(8, rel=0.02)
    assert up[0, 1].mean().item() == pytest.approx(-4, rel=0.02)
    assert right[:, 1].abs().max() < 0.1 and up[:, 0].abs().max() < 0.1
    assert still.abs().max() < 0.1
    one = row.draw(stills(1), 1, generator=lot())
    assert one.shape == (1, 1, *SHAPE)
    # the mean of all that stay: of 50 in 100 about 31 go right
    assert one[0, 0, 0, 0].mean().item() == pytest.approx(8 * 0.31 / 0.5, rel=0.2)


def test_the_calmer_half_is_dropped() -> None:
    maps = torch.randn(10, 10, 8, 8, generator=lot()).sign()  # |motion| is the factor below
    factors = torch.tensor([3.0, 1, 9, 7, 2, 8, 10, 4, 6, 5])
    kept = livelier(maps * factors[:, None, None, None])
    assert kept.abs().mean((1, 2, 3)).tolist() == pytest.approx([9, 7, 8, 10, 6])
    assert len(livelier(torch.ones(4, 10, 8, 8))) == 4  # all alike: none is below


def test_the_mask_says_where_draws_move() -> None:
    maps = torch.zeros(2, 10, 4, 4)
    maps[0, 3, 1, 1], maps[0, 3, 2, 2] = 3.0, -4.0
    maps[1, 5, 1, 1] = -10.0  # of length 1, as the other
    found = mask(maps)
    expected = torch.zeros(4, 4)
    expected[1, 1], expected[2, 2] = 1.0, 0.8 / 1.6
    assert torch.allclose(found, expected)
    assert not mask(torch.zeros(2, 10, 4, 4)).any()


def test_clusters_are_means_and_the_largest_comes_first() -> None:
    noise = 0.01 * torch.randn(12, 10, 8, 8, generator=lot())
    centres = torch.randn(3, 10, 8, 8, generator=lot(2))
    labels = torch.tensor([0, 1, 1, 2, 1, 2, 1, 2, 1, 0, 2, 1])
    found = clusters(centres[labels] + noise, 3, lot())
    for answer, number in zip(found, (1, 2, 0), strict=True):
        members = (centres[labels] + noise)[labels == number]
        assert torch.allclose(answer, members.mean(0), atol=1e-5)
    same = clusters(torch.ones(4, 10, 8, 8), 3, lot())
    assert torch.allclose(same, torch.ones(3, 10, 8, 8))
    with pytest.raises(ValueError, match="got k = 5 for 4 samples"):
        clusters(torch.ones(4, 10, 8, 8), 5, lot())


@pytest.mark.usefixtures("few")
def test_walker_draws_from_its_networks(make_windows: Callable[..., Windows]) -> None:
    torch.manual_seed(0)
    model = build_walker(WalkerSize(width=3))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    row = Walker("walker", model, pool=12)
    frames = stills(1)
    found = row.draw(frames, 6, generator=lot())
    assert found.shape == (1, 6, *SHAPE)
    assert torch.equal(found, row.draw(frames, 6, generator=lot()))
    # as many clusters as draws that stay: they are these, under the mask
    pool = answers.draw(model, frames, 12, generator=lot(), read=walker.compose)[0]
    kept = livelier(pool)
    expected = from_maps(kept * mask(kept))
    gap = torch.cdist(found[0].flatten(1), expected.flatten(1))
    assert len(kept) == 6 and gap.amin(1).max() < 1e-3 and gap.amin(0).max() < 1e-3
    near, far = row.nll(make_windows(*near_and_far()), generator=lot()).tolist()
    assert 0.9 * 5200 < near < far - 1000  # nats: deviations are 1 px before training


def near_and_far() -> tuple[Tensor, Tensor]:
    """One still twice, once at rest and once as it never moves."""
    motion = torch.stack([torch.zeros(SHAPE), torch.full(SHAPE, 50.0)])
    return motion, stills(1).expand(2, -1, -1, -1)


def test_our_density_is_that_of_the_model(
    ours: CVAE, make_windows: Callable[..., Windows]
) -> None:
    near, far = Samples("ours", ours).nll(make_windows(*near_and_far()), generator=lot()).tolist()
    assert near < far - 1000
