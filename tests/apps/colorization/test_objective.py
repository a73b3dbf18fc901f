"""The objective: terms, ablation, learning, and that grey and z are used."""

import math
from dataclasses import replace
from pathlib import Path

import torch

from apps.colorization.data import Photos
from apps.colorization.model import Size, build
from apps.colorization.objective import Objective, Weights, guess_error
from cvae.metrics import energy_score
from cvae.training import Schedule, train

SIZE = Size(width=8, palette=3, spatial=1, components=3, rank=2)


def test_weight_zero_leaves_a_term_out(world: Photos) -> None:
    torch.manual_seed(0)
    weights = Weights(rare=False, components=0, gradient=0, prior=0, guess=0, score=0)
    objective = Objective(build(SIZE), weights)
    photos = world
    objective.fit(photos)
    batch = photos.tensors(slice(0, 4))
    loss, stats = objective(batch, torch.Generator().manual_seed(0))
    assert set(stats) == {"reconstruction", "kl", "error"}
    assert torch.allclose(loss, weights.nats * (stats["reconstruction"] + stats["kl"]))
    full = Objective(objective.model, Weights())
    full.fit(photos)
    _, stats = full(batch, torch.Generator().manual_seed(0))
    assert set(stats) == {"reconstruction", "kl", "prior", "guess", "score", "error"}


def test_reconstruction_is_a_gaussian_in_nats() -> None:
    objective = Objective(build(SIZE), Weights(rare=False, components=0, gradient=0, noise=0.1))
    generator = torch.Generator().manual_seed(0)
    painted, chroma = torch.randn(2, 3, 2, 64, 64, generator=generator)
    normal = torch.distributions.Normal(painted, 0.1)
    ours = objective.reconstruction(painted, chroma)
    theirs = -normal.log_prob(chroma).flatten(1).sum(1)
    constant = 2 * 64 * 64 * (math.log(0.1) + 0.5 * math.log(2 * math.pi))
    assert torch.allclose(ours, theirs - constant, rtol=1e-4)


def test_it_learns_both_modes_and_listens_to_grey(world: Photos, tmp_path: Path) -> None:
    torch.manual_seed(0)
    photos = world
    objective = Objective(build(SIZE), replace(Weights(), answers=3))
    objective.fit(photos)
    schedule = Schedule(steps=150, batch=8, learning_rate=2e-3, warmup=10, clip=100, ema=0.9)
    fetch, size = photos.tensors, len(photos)
    train(objective, fetch, size=size, schedule=schedule, out=tmp_path, progress=False)
    model = objective.model.eval()
    grey, chroma = photos.tensors(slice(0, 16))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        answers = model.sample(grey, k=8, generator=generator)
    ours = energy_score(answers, chroma).mean()
    assert ours < 0.6 * chroma.flatten(1).norm(dim=1).mean()  # what grey itself scores

    bright = grey[:, 0, 0, 0] > 0
    of_the_other_kind = torch.where(
        bright[:, None, None, None], chroma[~bright][0], chroma[bright][0]
    )
    assert energy_score(answers, of_the_other_kind).mean() > 1.5 * ours
    assert answers.mean((3, 4)).std(1).mean() > 0.05  # both colours come up among eight answers


def test_guess_error_is_in_the_units_of_the_score() -> None:
    """A guess that is off by the same everywhere errs as its full-size version would."""
    chroma = torch.rand(2, 2, 64, 64)
    flat = chroma.mean((2, 3), keepdim=True).expand(2, 2, 64, 64)
    guess = flat[:, :, :32, :32] + 0.1
    expected = (flat + 0.1 - flat).flatten(1).norm(dim=1)
    assert torch.allclose(guess_error(guess, flat), expected, rtol=1e-4)
