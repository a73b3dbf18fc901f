"""Games have known values, penalties known gradients, and augmentation knows no favourites."""

import math

import pytest
import torch
from torch import Tensor

from cvae.adversarial import (
    Discriminator,
    augment,
    discriminator_loss,
    generator_loss,
    learned_similarity,
    r1_penalty,
    spread_of_batch,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def judge(conditions: int = 3) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(channels=3, size=16, conditions=conditions, widths=(8, 8))


def test_losses_are_those_of_the_logistic_game() -> None:
    real, fake = noise(50, seed=1), noise(50, seed=2)
    expected = -(torch.sigmoid(real).log() + torch.sigmoid(-fake).log()).mean()
    assert torch.allclose(discriminator_loss(real, fake), expected, atol=1e-6)
    assert torch.allclose(generator_loss(fake), -torch.sigmoid(fake).log().mean(), atol=1e-6)
    first = torch.nn.functional.one_hot(torch.tensor(0), 50) * 50
    assert torch.allclose(generator_loss(fake, first), -torch.sigmoid(fake[0]).log(), atol=1e-6)


def test_at_the_optimal_discriminator_the_loss_is_the_jensen_shannon_divergence() -> None:
    # Goodfellow et al. (2014), Theorem 1: 2 log 2 - 2 JS for the logit log p/q
    p, q = torch.tensor([0.7, 0.3]), torch.tensor([0.4, 0.6])
    logit = (p / q).log()
    loss = -(p * torch.nn.functional.logsigmoid(logit)).sum()
    loss = loss - (q * torch.nn.functional.logsigmoid(-logit)).sum()
    middle = (p + q) / 2
    js = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    assert math.isclose(loss.item(), 2 * math.log(2) - 2 * js.item(), rel_tol=1e-5)


def test_losses_never_overflow() -> None:
    huge = torch.tensor([1e4, -1e4])
    assert torch.isfinite(discriminator_loss(huge, huge)) and torch.isfinite(generator_loss(huge))


def test_r1_is_the_squared_slope_and_reaches_the_weights() -> None:
    a = torch.tensor([2.0, -1.0], requires_grad=True)
    x = noise(4, 2).requires_grad_()
    penalty = r1_penalty((a * x.square()).sum(1), x)
    expected = 0.5 * (2 * a * x).square().sum(1).mean()
    assert torch.allclose(penalty, expected)
    penalty.backward()
    assert torch.allclose(a.grad, 4 * a.detach() * x.detach().square().mean(0))  # type: ignore


def test_the_spread_of_a_batch_sees_that_all_are_the_same() -> None:
    same = noise(1, 5, 2, 2).expand(8, -1, -1, -1)
    assert spread_of_batch(same).max() < 1e-3
    varied = spread_of_batch(noise(8, 5, 2, 2))
    assert varied.shape == (8, 1, 2, 2) and varied.min() > 0.3
    assert spread_of_batch(noise(7, 5, 2, 2)).max() < 1e-3  # 7 has no groups: alone


def test_a_discriminator_reads_the_condition_by_projection_alone_where_it_is_stated() -> None:
    network, x = judge(), noise(4, 3, 16, 16)
    nothing, one = torch.zeros(4, 3), torch.tensor([1.0, 0, 0]).expand(4, 3)
    logits = [network(x, c).logit for c in (nothing, one, -one)]
    assert not torch.allclose(logits[0], logits[1])
    assert torch.allclose(logits[1] - logits[0], logits[0] - logits[2], atol=1e-6)  # it is linear


def test_differences_reach_the_last_level_undiminished() -> None:
    torch.manual_seed(0)
    judge = Discriminator(channels=3, size=64, conditions=2)
    with torch.no_grad():
        a, b = (judge(noise(8, 3, 64, 64, seed=s), torch.zeros(8, 2)).features for s in (0, 1))
    apart = [float((f - g).std()) for f, g in zip(a, b, strict=True)]
    assert min(apart) > 0.5 and max(apart) < 5


def test_sizes_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a multiple of 8"):
        Discriminator(channels=3, size=20, conditions=1, widths=(8, 8))


def test_similarity_is_least_for_the_same_and_blind_to_the_scale_of_features() -> None:
    seen = [noise(4, 3, 8, 8), noise(4, 5, 4, 4, seed=1)]
    near = [f + 0.1 * noise(*f.shape, seed=2) for f in seen]
    far = [f + 0.5 * noise(*f.shape, seed=3) for f in seen]
    mixed = [torch.cat([n[:2], f[2:]]) for n, f in zip(near, far, strict=True)]
    per_picture = learned_similarity(seen, mixed)
    assert per_picture.shape == (4,) and per_picture[:2].max() < per_picture[2:].min()
    grown = learned_similarity([100 * f for f in seen], [100 * f for f in mixed])
    assert torch.allclose(per_picture, grown, rtol=1e-3)
    assert (learned_similarity(seen, seen) < per_picture).all()


def test_similarity_has_the_gradient_of_a_gaussian_with_its_best_variance() -> None:
    seen = [noise(4, 1, 8, 8)]
    meant = noise(4, 1, 8, 8, seed=1).requires_grad_()
    (slope,) = torch.autograd.grad(learned_similarity(seen, [meant]).sum(), meant)
    free = meant.detach().clone().requires_grad_()
    variance = (seen[0] - free).square().mean()
    nats = 0.5 * free.numel() * (variance / seen[0].var(correction=0)).log()
    (expected,) = torch.autograd.grad(nats, free)
    assert torch.allclose(slope, expected, rtol=1e-4, atol=1e-6)
    found = learned_similarity(seen, [meant]).sum()
    assert torch.isclose(found, nats + 0.5 * free.numel(), rtol=1e-4)


def test_the_features_of_the_data_get_no_gradient() -> None:
    seen = noise(2, 3, 4, 4).requires_grad_()
    learned_similarity([seen], [noise(2, 3, 4, 4, seed=1).requires_grad_()]).sum().backward()
    assert seen.grad is None


def test_augmentation_is_a_function_of_its_generator_and_differentiable() -> None:
    x = noise(6, 3, 16, 16).clamp(-1, 1).requires_grad_()
    once = augment(x, torch.Generator().manual_seed(3))
    assert torch.equal(once, augment(x, torch.Generator().manual_seed(3)))
    assert not torch.allclose(once, augment(x, torch.Generator().manual_seed(4)))
    (slope,) = torch.autograd.grad(once.square().sum(), x)
    assert torch.isfinite(slope).all() and (slope != 0).float().mean() > 0.3
    assert torch.equal(augment(x, torch.Generator(), strength=0.0), x)


def test_augmentation_shifts_whole_pictures_and_cuts_one_hole() -> None:
    ramp = torch.arange(16.0).expand(64, 1, 16, 16) / 16
    out = augment(ramp, torch.Generator().manual_seed(0), strength=1.0)
    seen = out != 0
    assert 0.3 < seen.float().mean() < 0.95
    steps = (out[:, :, :, 1:] - out[:, :, :, :-1])[seen[..., 1:] & seen[..., :-1]]
    contrast = steps * 16  # the only change within a row is that of the contrast
    assert contrast.min() > 0.4 and contrast.max() < 1.6


def test_a_generator_learns_the_data_by_the_game() -> None:
    torch.manual_seed(0)
    critic, shift = judge(conditions=1), torch.zeros(3, requires_grad=True)
    data = torch.tensor([0.6, -0.4, 0.2])
    players = [
        torch.optim.Adam(p, lr=0.02, betas=(0.0, 0.9)) for p in (critic.parameters(), [shift])
    ]
    open_ = torch.zeros(8, 1)
    for step in range(150):
        dots = 0.2 * noise(16, 3, 16, 16, seed=step)
        real = (dots[:8] + data.view(3, 1, 1)).requires_grad_()
        fake = dots[8:] + shift.view(3, 1, 1)
        verdict = critic(real, open_)
        loss = discriminator_loss(verdict.logit, critic(fake.detach(), open_).logit)
        players[0].zero_grad()
        (loss + r1_penalty(verdict.logit, real)).backward()
        players[0].step()
        players[1].zero_grad()
        generator_loss(critic(fake, open_).logit).backward()
        players[1].step()
    assert (shift.detach() - data).abs().max() < 0.25
