"""The motion networks and their objective: shapes, batches, gradients, and that they learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.kinds import rebuild
from apps.motion import cells
from apps.motion.data import Windows
from apps.motion.model import KINDS, Size, build
from apps.motion.objective import Objective, Weights, energies, hint_error
from apps.motion.recipe import RECIPES, Recipe
from apps.motion.scores import joint_energy
from apps.motion.train import start_tower, train_on
from cvae import checkpoint
from cvae.model import CVAE
from cvae.training import Schedule, Trainer
from pretrained import store

SIZE = Size(width=8, whole=3, spatial=2, components=2, rank=2)
LATENT = 3 + 2 * 2 * 3  # of a frame of 32 × 48


@pytest.fixture
def model() -> CVAE:
    torch.manual_seed(0)
    model = build(SIZE)
    with torch.no_grad():  # away from the quiet start, so that every path matters
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    return model.eval()


def batch(n: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(n, 3, 32, 48, generator=generator) * 2 - 1,
        torch.randn(n, 5, 2, 4, 6, generator=generator) * 4,
        torch.rand(n, 4, 6, generator=generator),
    )


@pytest.mark.parametrize("height,width", [(160, 208), (16, 48), (96, 32)])
def test_any_multiple_of_sixteen(model: CVAE, height: int, width: int) -> None:
    frames = torch.rand(2, 3, height, width) * 2 - 1
    said = model.sample(frames, k=3)
    assert said.shape == (2, 3, cells.CHANNELS, height // 8, width // 8)
    scene = model.condition(frames)
    z = model.posterior(torch.randn(2, 5, 2, height // 8, width // 8), scene).rsample()
    assert z.shape == (2, *model.prior(scene).event_shape)


def test_answers_belong_to_their_still(model: CVAE) -> None:
    frames, _, _ = batch()
    z = torch.randn(3, 2, LATENT)
    together = model.decode(z, model.condition(frames))
    for i in range(2):
        alone = model.decode(z[:, i : i + 1], model.condition(frames[i : i + 1]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_every_parameter_learns(model: CVAE) -> None:
    objective = Objective(model, Weights(answers=2))
    loss, stats = objective(batch(), torch.Generator().manual_seed(0))
    loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert all(n.startswith("condition.backbone.") for n in silent), silent
    assert set(stats) == {"likelihood", "kl", "prior", "hint", "places", "whole"}


def test_terms_of_weight_zero_are_left_out(model: CVAE) -> None:
    objective = Objective(model, Weights(prior=0, hint=0, places=0, whole=0))
    _, stats = objective(batch(), torch.Generator().manual_seed(0))
    assert set(stats) == {"likelihood", "kl"}


def test_energies_are_those_of_the_evaluation() -> None:
    torch.manual_seed(0)
    answers, truth = torch.randn(3, 4, 5, 2, 4, 6), torch.randn(3, 5, 2, 4, 6)
    _, whole = energies(answers, truth, torch.ones(3, 4, 6))
    assert whole.item() == pytest.approx(joint_energy(answers, truth).mean().item(), abs=1e-4)
    places, whole = energies(answers[:, :1], truth, torch.ones(3, 4, 6))
    error = (answers[:, 0] - truth).square().sum((1, 2))
    assert places.item() == pytest.approx(error.sqrt().mean().item(), abs=1e-4)
    assert whole.item() == pytest.approx(error.mean((1, 2)).sqrt().mean().item(), abs=1e-4)


def test_cells_that_weigh_nothing_are_not_scored() -> None:
    torch.manual_seed(0)
    answers, truth = torch.randn(2, 3, 5, 2, 4, 6), torch.randn(2, 5, 2, 4, 6)
    sure = torch.zeros(2, 4, 6)
    sure[:, :, :3] = 1
    changed = truth.clone()
    changed[..., 3:] += 100
    for a, b in zip(energies(answers, truth, sure), energies(answers, changed, sure), strict=True):
        assert a.item() == pytest.approx(b.item(), abs=1e-5)


def test_the_hint_that_is_right_costs_least() -> None:
    truth = torch.zeros(1, 5, 2, 4, 6)
    truth[..., 3:] = 6.0
    far = truth.square().sum((1, 2)).sqrt()
    raw = torch.expm1((far / cells.REACH).clamp_min(1e-3)).log()
    moves = (far > 0).float() * 12 - 6
    right = hint_error(torch.stack([moves, raw], 1), truth, torch.ones(1, 4, 6))
    assert right.item() < 0.01
    for wrong in (torch.stack([-moves, raw], 1), torch.stack([moves, raw + 2], 1)):
        assert hint_error(wrong, truth, torch.ones(1, 4, 6)) > right + 0.1


def test_free_bits_and_warmup_keep_the_latent(model: CVAE) -> None:
    """At the first step the divergence costs nothing."""
    free = Objective(model, Weights(kl=100.0, warmup=10))
    dear = Objective(model, Weights(kl=100.0, warmup=0))
    losses = [x(batch(), torch.Generator().manual_seed(0))[0].item() for x in (free, dear)]
    assert losses[0] < losses[1] and int(free.clock) == 1


def test_training_learns_what_moves() -> None:
    """A bright half goes right by 8 px or left; the dark half stays."""
    torch.manual_seed(0)
    objective = Objective(build(SIZE), Weights(answers=2))
    start_tower(objective.model.condition, "imagenet")
    schedule = Schedule(steps=60, batch=8, learning_rate=5e-3, warmup=5)
    trainer = Trainer(objective, schedule, device=torch.device("cpu"))
    frames = torch.full((8, 3, 32, 48), -0.7)
    motion = torch.zeros(8, 5, 2, 4, 6)
    for i in range(8):
        half = slice(0, 3) if i % 2 else slice(3, 6)
        frames[i, :, :, half.start * 8 : half.stop * 8] = 0.6
        motion[i, 0, 0, :, half] = 8.0 if i % 4 < 2 else -8.0
    for _ in range(60):
        trainer.update((frames, motion, torch.ones(8, 4, 6)))
    hint = objective.model.condition(frames).hint[:, 0]
    moves = motion[:, 0, 0] != 0
    assert hint[moves].mean() > hint[~moves].mean() + 1


def test_a_run_holds_what_builds_its_model(
    make_windows: Callable[..., Windows], tmp_path: Path
) -> None:
    windows = make_windows(torch.randn(4, 5, 2, 20, 26))
    recipe = Recipe(SIZE, Schedule(steps=2, batch=2, log_every=1))
    trainer = train_on(recipe, windows, tmp_path / "run", name="tiny", progress=False)
    assert trainer.step == 2
    config = checkpoint.load(tmp_path / "run")["config"]
    assert (config["domain"], config["recipe"], config["windows"]) == ("motion", "tiny", 4)
    lines = (tmp_path / "run/stats.jsonl").read_text().splitlines()
    assert ["diagnostics" in line for line in lines] == [False, False, True]
    model = rebuild(config, KINDS)
    own: Any = trainer.objective
    assert model.state_dict().keys() == own.model.state_dict().keys()


def test_a_recipe_looks_through_the_shipped_backbone_and_leaves_it_alone(
    make_windows: Callable[..., Windows], tmp_path: Path
) -> None:
    shipped = store.load(store.resolve(str(RECIPES["small"].backbone))).state
    recipe = Recipe(SIZE, Schedule(steps=2, batch=2, weight_decay=0.5))
    windows = make_windows(torch.randn(4, 5, 2, 20, 26))
    trainer = train_on(recipe, windows, tmp_path / "run", progress=False)
    model: Any = trainer.model
    for key, value in model.condition.backbone.state_dict().items():
        assert torch.equal(value, shipped[key].float()), key
        assert torch.equal(trainer.average[f"condition.backbone.{key}"], value), key


def test_other_weights_are_no_backbone(tmp_path: Path) -> None:
    store.save(tmp_path / "photos", state={}, config={"domain": "photos"}, card="")
    with pytest.raises(store.WeightsError, match="expected 'backbone'"):
        start_tower(build(SIZE).condition, tmp_path / "photos")
