"""The anchor: its maps against scipy, its networks, its loss by hand, and that it learns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import fft
from torch import Tensor

from apps.kinds import rebuild
from apps.motion import dct
from apps.motion.augment import Augment
from apps.motion.data import Windows
from apps.motion.dct import from_maps, to_maps
from apps.motion.model import KINDS
from apps.motion.recipe import RECIPES, Recipe
from apps.motion.train import train_on
from apps.motion.walker import WalkerSize, build_walker, compose, log_likelihood, motion, split
from apps.motion.walker_objective import WalkerObjective, WalkerWeights, errors
from cvae import checkpoint
from cvae.model import CVAE
from cvae.training import Schedule
from flow.basis import fit, unfit
from flow.grid import resample

SIZE = WalkerSize(width=3)


@pytest.fixture
def model() -> CVAE:
    torch.manual_seed(0)
    model = build_walker(SIZE)
    with torch.no_grad():  # away from the quiet start, so that every path matters
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    return model.eval()


def batch(n: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(n, 3, 160, 208, generator=generator) * 2 - 1,
        torch.randn(n, 5, 2, 20, 26, generator=generator) * 4,
        torch.rand(n, 20, 26, generator=generator),
    )


def test_maps_are_cosine_coefficients_of_shares_of_the_frame() -> None:
    """The same everywhere, so that grids do not matter: x in widths, y in heights, x first."""
    c = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)) * 5
    maps = to_maps(c[None, :, :, None, None].expand(1, 5, 2, 20, 26))
    assert maps.shape == (1, 10, 64, 80)
    steps = unfit(c[:, :, None, None].numpy())[:, 0, 0] / np.array([208, 160])  # (30, 2)
    expected = fft.dct(steps, axis=0, norm="ortho")[:5].T.ravel() * 10
    for place in ((0, 0), (31, 40), (63, 79)):
        assert maps[0, :, *place].numpy() == pytest.approx(expected, abs=1e-5)


def test_functions_are_those_of_scipy() -> None:
    assert dct.cosines(30) == pytest.approx(fft.idct(np.eye(30), axis=0, norm="ortho"), abs=1e-12)


def test_back_is_the_projection_in_px() -> None:
    """What five cosines say, on the house's functions by least squares."""
    values = torch.randn(10, generator=torch.Generator().manual_seed(0))
    found = from_maps(values[None, :, None, None].expand(1, 10, 64, 80))
    said = np.zeros((30, 2))
    said[:5] = values.reshape(2, 5).T.numpy()
    steps = fft.idct(said, axis=0, norm="ortho") * np.array([208, 160]) / 10
    expected = fit(steps[:, None, None])[..., 0, 0]
    assert found[0, :, :, 7, 9].numpy() == pytest.approx(expected, abs=1e-4)
    assert torch.allclose(found, found[..., :1, :1].expand_as(found), atol=1e-4)


def test_grids_are_resampled_as_the_house_does() -> None:
    """Bilinear towards more cells, the mean of what a cell covers towards fewer."""
    field = torch.randn(20, 26, generator=torch.Generator().manual_seed(0))
    one = torch.zeros(1, 5, 2, 20, 26)
    one[0, 0, 0] = field
    scale = to_maps(torch.ones_like(field).expand(20, 26) * torch.eye(5, 2)[0, 0] * one.ne(0))
    maps = to_maps(one)[0, 0]
    assert maps.numpy() == pytest.approx(
        resample(field.numpy(), (64, 80)) * scale[0, 0, 0, 0].item(), abs=1e-5
    )
    for cells, places in ((20, 64), (26, 80), (5, 5)):
        there = dct.overlaps(cells, places)
        line = torch.randn(1, places, generator=torch.Generator().manual_seed(1))
        expected = resample(line.numpy(), (1, cells))
        assert (line.double() @ there.T).numpy() == pytest.approx(expected, abs=1e-5)


def test_a_smooth_straight_motion_survives_the_maps() -> None:
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(26.0), indexing="ij")
    c = torch.zeros(1, 5, 2, 20, 26)
    c[0, 0, 0], c[0, 0, 1] = 8 * torch.sin(x / 4), -6 * torch.cos(y / 4)
    left = (from_maps(to_maps(c)) - c).square().sum() / c.square().sum()
    assert left < 0.005


def test_shapes(model: CVAE) -> None:
    frames, truth, _ = batch(2)
    features = model.condition(frames)
    assert features.shape == (2, SIZE.features, 16, 20)
    z = model.posterior(truth, features).rsample()
    assert z.shape == (2, 10)
    prior = model.prior(features)
    assert torch.equal(prior.mean, torch.zeros(2, 10)) and (prior.scale == 1).all()
    said = model.sample(frames, k=3)
    assert said.shape == (2, 3, 11, 64, 80)
    assert motion(said.flatten(0, 1)).shape == (6, 5, 2, 20, 26)
    assert model.condition(frames[..., :96, :96]).shape == features.shape  # squeezed


def test_answers_belong_to_their_still(model: CVAE) -> None:
    frames, z = batch()[0], torch.randn(3, 2, 10)
    together = model.decode(z, model.condition(frames))
    for i in range(2):
        alone = model.decode(z[:, i : i + 1], model.condition(frames[i : i + 1]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_the_own_widths_are_those_of_alexnet() -> None:
    with torch.device("meta"):
        full: Any = build_walker(RECIPES["walker-full"].size).condition
    convolutions = [m for m in full.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(m.kernel_size[0], m.out_channels) for m in convolutions] == [
        (11, 96),
        (5, 256),
        (3, 384),
        (3, 384),
        (3, 256),
    ]
    with pytest.raises(ValueError, match="multiple of 3"):
        WalkerSize(width=32)


@torch.no_grad()
def test_every_number_of_z_is_broadcast(model: CVAE) -> None:
    """One of the eight changes the direction everywhere, one of the two every magnitude."""
    features = model.condition(batch(1)[0])
    still = model.decode(torch.zeros(1, 1, 10), features)[0, 0]
    for number in range(10):
        z = torch.zeros(1, 1, 10)
        z[..., number] = 3.0
        changed = (model.decode(z, features)[0, 0] - still).abs()
        way, length = changed[:10].amax(0) > 1e-6, changed[10] > 1e-6
        assert way.all() == (number < 8) and length.all() == (number >= 8)
        assert way.any() == (number < 8) and length.any() == (number >= 8)


def test_magnitude_times_direction() -> None:
    said = torch.randn(2, 11, 64, 80, generator=torch.Generator().manual_seed(0))
    maps = compose(said)
    assert maps.shape == (2, 10, 64, 80)
    assert maps[1, 3, 5, 7] == said[1, 3, 5, 7] * said[1, 10, 5, 7]
    direction, magnitude = split(maps)
    assert direction.norm(dim=1).quantile(0.05) > 0.99 and direction.norm(dim=1).max() < 1 + 1e-5
    length = maps[1, :, 8:12, 4:8].norm(dim=0)
    assert magnitude[1, 0, 2, 1].item() == pytest.approx(length.mean().item(), rel=1e-5)
    assert torch.allclose(direction[1, :, 9, 5] * length[1, 1], maps[1, :, 9, 5], atol=0.01)
    nothing = split(torch.zeros(1, 10, 64, 80))
    assert not nothing[0].any() and not nothing[1].any()


def test_a_magnitude_stands_for_four_by_four(model: CVAE) -> None:
    magnitude = model.sample(batch(1)[0], k=1)[0, 0, 10]
    blocks = magnitude.unflatten(0, (16, 4)).unflatten(2, (20, 4))
    assert torch.equal(blocks, blocks[:, :1, :, :1].expand_as(blocks))
    assert len(magnitude.unique()) > 100


@torch.no_grad()
def test_the_loss_is_the_one_written_by_hand(model: CVAE) -> None:
    weights = WalkerWeights(direction=2.0, magnitude=3.0, kl=0.5, least=0.1)
    frames, truth, confidence = batch()
    loss, stats = WalkerObjective(model, weights)(
        (frames, truth, confidence), torch.Generator().manual_seed(5)
    )
    features = model.condition(frames)
    q = model.posterior(truth, features)
    z = q.rsample((), generator=torch.Generator().manual_seed(5))
    said = model.decode(z[None], features)[:, 0]
    direction, magnitude = split(to_maps(truth))
    kl, way, length = 0.0, 0.0, 0.0
    for i in range(2):
        mean, variance = q.mean[i], q.logvar[i].exp()
        kl += float(0.5 * (mean**2 + variance - variance.log() - 1).sum()) / 2
        sure = torch.from_numpy(resample(confidence[i].numpy(), (64, 80))) * 0.9 + 0.1
        squares = (said[i, :10] - direction[i]).square().sum(0) * sure
        way += float(squares.sum()) / 16 / 2 / 2
        for row in range(16):
            for column in range(20):
                block = slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4)
                told = said[i, 10][block][0, 0]
                error = float(told - magnitude[i, 0, row, column]) ** 2
                length += error * float(sure[block].mean()) / 2 / 2
    assert stats["kl"].item() == pytest.approx(kl, rel=1e-4)
    assert stats["direction"].item() == pytest.approx(way, rel=1e-4)
    assert stats["magnitude"].item() == pytest.approx(length, rel=1e-4)
    nll = stats["nll"].item() / 5200
    assert loss.item() == pytest.approx(2 * way + 3 * length + 0.5 * kl + nll, rel=1e-4)


def test_the_truth_itself_costs_nothing() -> None:
    _, truth, sure = batch()
    smooth = truth.mean((3, 4), keepdim=True).expand_as(truth)
    direction, magnitude = split(to_maps(smooth))
    whole = magnitude.repeat_interleave(4, 2).repeat_interleave(4, 3)
    way, length = errors(torch.cat([direction, whole], 1), smooth, sure)
    assert way.max() < 1e-6 and length.max() < 1e-6


def test_every_parameter_learns_and_the_deviations_stand_apart(model: CVAE) -> None:
    objective = WalkerObjective(model.train(), WalkerWeights())
    loss, _ = objective(batch(), torch.Generator().manual_seed(0))
    loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    width = model.get_parameter("generation.logwidth")
    before = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    with torch.no_grad():
        width.add_(1.0)
    objective.zero_grad()
    objective(batch(), torch.Generator().manual_seed(0))[0].backward()
    for name, p in model.named_parameters():
        assert p.grad is not None
        assert torch.allclose(p.grad, before[name], rtol=1e-3) == (p is not width), name


def test_density_is_normal_around_what_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(2, 11, 64, 80, generator=generator)
    truth, widths = torch.randn(2, 5, 2, 20, 26, generator=generator), torch.linspace(-1, 1, 5)
    law = torch.distributions.Normal(motion(said), widths.exp()[:, None, None, None])
    expected = law.log_prob(truth).flatten(1).sum(1)
    assert torch.allclose(log_likelihood(said, truth, widths), expected, rtol=1e-4)


def test_training_learns_a_constant_motion(
    make_windows: Callable[..., Windows], tmp_path: Path
) -> None:
    truth = torch.zeros(4, 5, 2, 20, 26)
    truth[:, 0, 1] = -12.0  # up: as it is in a mirror
    windows = make_windows(truth, torch.full((4, 3, 160, 208), 99, dtype=torch.uint8))
    recipe = Recipe(
        SIZE,
        Schedule(steps=40, batch=2, learning_rate=2e-2, warmup=2, ema=0.8),
        WalkerWeights(),
        "walker",
        augment=Augment(crop=1.0, light=0.0),
        backbone=None,
    )
    trainer = train_on(recipe, windows, tmp_path, progress=False)
    model: Any = trainer.model.eval()
    frames, _, _ = windows.tensors(slice(0, 1))
    found = motion(model.sample(frames, k=4)[0]).mean((0, 3, 4))
    assert found[0].tolist() == pytest.approx([0.0, -12.0], abs=2.0)
    assert found[1:].abs().max() < 1.5


def test_a_stored_run_is_built_again(make_windows: Callable[..., Windows], tmp_path: Path) -> None:
    recipe = Recipe(SIZE, Schedule(steps=1, batch=2), WalkerWeights(), "walker", backbone=None)
    train_on(recipe, make_windows(torch.zeros(2, 5, 2, 20, 26)), tmp_path, progress=False)
    stored = checkpoint.load(tmp_path)["config"]
    assert stored["model"] == "walker" and stored["size"] == {"width": 3}
    rebuild(stored, KINDS).load_state_dict(build_walker(SIZE).state_dict(), strict=True)
    assert "whole" in vars(KINDS["mixture"].size())
