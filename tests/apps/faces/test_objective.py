"""Who moves by which term, what a request says, and that weights of zero cost nothing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.faces.attributes import OFFERED
from apps.faces.classifier import Reader, attribute_loss
from apps.faces.data import Augment
from apps.faces.model import Size, build
from apps.faces.objective import FaceObjective, Judge, Weights, usual
from apps.faces.recipe import FEATURES, GAN, LARSEN, PIXELS
from apps.faces.train import Augmented
from cvae.training import Schedule, Trainer

SIZE = Size(width=8, latent=8)
AT_ONCE = replace(Weights(), alone=0)
Batch = tuple[Tensor, ...]


def objective(weights: Weights, judge: Judge | None = None) -> FaceObjective:
    torch.manual_seed(0)
    parts: dict[str, Any] = {"attributes": SIZE.attributes, "latent": SIZE.latent}
    return FaceObjective(build(SIZE), weights, widths=(8, 8, 8), judge=judge, **parts)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slopes(task: FaceObjective, batch: Batch, player: str) -> dict[str, bool]:
    """Which networks a player's loss has a gradient to."""
    loss, _ = task(batch, generator(), player)
    task.zero_grad(set_to_none=True)
    loss.backward()
    parts = {
        "recognition": task.model.recognition,
        "generation": task.model.generation,
        "discriminator": task.discriminator,
        "reader": task.reader,
    }
    return {
        name: any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
        for name, part in parts.items()
        if part is not None
    }


def test_each_player_owns_its_networks_and_all_are_owned_once() -> None:
    task = objective(AT_ONCE)
    players = task.players()
    assert list(players) == ["critic", "model"]
    owned = [id(p) for parameters in players.values() for p in parameters]
    assert sorted(owned) == sorted(id(p) for p in task.parameters())


def test_critics_learn_without_a_gradient_to_the_model(batch: Batch) -> None:
    assert slopes(objective(AT_ONCE), batch, "critic") == {
        "recognition": False,
        "generation": False,
        "discriminator": True,
        "reader": True,
    }


def test_no_gradient_of_the_game_reaches_the_encoder(batch: Batch) -> None:
    # without the reconstruction the encoder is not even asked
    assert slopes(objective(GAN), batch, "model")["recognition"] is False
    # and with it, a louder game changes nothing for the encoder
    quiet = replace(AT_ONCE, adversarial=1.0)
    found = []
    for weights in (quiet, replace(quiet, adversarial=100.0)):
        task = objective(weights)
        loss, _ = task(batch, generator(), "model")
        loss.backward()
        found.append([p.grad.clone() for p in task.model.recognition.parameters()])  # type: ignore
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_weights_of_zero_leave_networks_out(batch: Batch) -> None:
    plain = objective(PIXELS)
    assert plain.discriminator is None and plain.reader is None
    assert list(plain.players()) == ["model"]
    loss, stats = plain(batch, generator(), "model")
    assert stats.keys() == {"kl", "pixels"}
    assert torch.isclose(loss, PIXELS.nats * (stats["kl"] + stats["pixels"]))
    _, stats = objective(LARSEN)(batch, generator(), "model")
    assert stats.keys() == {"kl", "features", "fooled", "obeyed", "toggled"}


def test_features_need_a_judge_who_then_holds_still(batch: Batch) -> None:
    with pytest.raises(ValueError, match="pass a judge"):
        objective(FEATURES)
    judge = objective(GAN).discriminator
    assert judge is not None
    task = objective(FEATURES, judge)
    assert list(task.players()) == ["model"]
    before = [p.clone() for p in judge.parameters()]
    trainer = Trainer(task, Schedule(steps=2, batch=8, warmup=0), device=torch.device("cpu"))
    trainer.update(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, judge.parameters(), strict=True))


def test_in_a_game_with_a_judge_it_is_the_judge_who_measures(batch: Batch) -> None:
    reader = Reader(width=8, attributes=SIZE.attributes)
    alone, beside = objective(AT_ONCE), objective(AT_ONCE, reader)
    owned = {id(p) for parameters in beside.players().values() for p in parameters}
    assert not owned & {id(p) for p in reader.parameters()}
    plain, seen = (task(batch, generator(), "model")[1] for task in (alone, beside))
    assert plain["obeyed"] != seen["obeyed"] and plain["features"] != seen["features"]
    told, _ = beside(batch, generator(), "model")
    told.backward()
    assert all(p.grad is None for p in reader.parameters())
    assert any(bool(p.grad.any()) for p in beside.model.generation.parameters())  # type: ignore


def test_the_discriminator_sees_with_the_eyes_of_a_judge(batch: Batch) -> None:
    reader = Reader(width=8, attributes=SIZE.attributes)
    task = objective(replace(AT_ONCE, r1_every=1), reader)
    assert task.discriminator is not None
    x, y, *_ = batch
    verdict, read = task.verdict(x, y)
    assert torch.equal(read, reader(x))
    sights, _ = reader.perceive(x)
    blind = [torch.zeros_like(sight) for sight in sights]
    assert not torch.equal(verdict.logit, task.discriminator(x, y, blind).logit)
    with pytest.raises(ValueError, match="got 0 sights, expected 4"):
        task.discriminator(x, y)
    # in a critic's step what he sees is given: not even R1 asks for a slope of it
    calls = []
    handle = reader.see.out.register_forward_hook(lambda *a: calls.append(a[2].requires_grad))
    loss, stats = task(batch, generator(), "critic")
    handle.remove()
    loss.backward()
    assert calls == [False, False] and stats["r1"] > 0
    assert all(bool(e.weight.grad.any()) for e in task.discriminator.eyes)  # type: ignore


@pytest.mark.parametrize("information", [0.0, 0.1])
def test_the_game_waits_until_latents_mean_something(batch: Batch, information: float) -> None:
    task = objective(replace(Weights(), alone=2, information=information))
    assert task.discriminator is not None
    trainer = Trainer(task, Schedule(steps=3, batch=8, warmup=0), device=torch.device("cpu"))
    start = [p.clone() for p in task.discriminator.parameters()]
    for step in range(3):
        stats = trainer.update(batch)
        assert ("fooled" in stats) == ("judged" in stats) == (step == 2)
        same = zip(start, task.discriminator.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in same) == (step < 2)
    assert trainer.skipped == 0


def test_requests_are_of_other_faces_partly_open_and_sometimes_turned_round() -> None:
    task = objective(replace(AT_ONCE, open=0.3, toggles=0.5, known=0.25))
    y = torch.ones(4000, len(OFFERED))
    y[::2] = -1
    _, asked, mask = task.resample(y, generator())
    other = torch.cat([y[:1000], y.roll(1, 0)[1000:]])
    assert set(mask.unique().tolist()) == {0.0, 1.0} and mask.sum(1).max() == 1
    assert abs(mask.sum(1).mean() - 0.5) < 0.03
    assert bool((asked[mask > 0] != 0).all())
    assert torch.equal(usual(mask)[:, 0], 1 - mask.sum(1))
    assert set(asked.unique().tolist()) == {-1.0, 0.0, 1.0}
    turned = (asked * other * mask < 0).sum(1)
    stated = 0.7 * 0.7  # is turned round for certain; what was open goes either way
    assert abs(turned.float().mean() - 0.5 * (stated + (1 - stated) / 2)) < 0.03
    silent = (asked == 0).all(1).float().mean()  # those that are turned do say one thing
    assert abs(silent - 0.3 * 0.5) < 0.03


def test_some_faces_of_the_game_are_real_ones_changed(batch: Batch) -> None:
    task = objective(replace(AT_ONCE, known=0.5))
    x, y, *_ = batch
    half = len(x) // 2
    z = torch.randn(len(x), SIZE.latent, generator=generator(1))
    from_known, from_others = (task.imagine(y, codes, generator()) for codes in (z, -z))
    drawn = task.imagine(y, None, generator())
    assert torch.allclose(from_known[half:], drawn[half:], atol=1e-6)
    assert not torch.allclose(from_known[:half], drawn[:half], atol=1e-3)
    assert not torch.allclose(from_known[:half], from_others[:half], atol=1e-3)
    direct = task.model.decode(z[None], task.model.condition(y))[:, 0]
    assert torch.allclose(from_known[:half], direct[:half], atol=1e-5)


def test_of_a_request_that_no_data_show_the_discriminator_is_told_nothing(batch: Batch) -> None:
    task = objective(replace(AT_ONCE, toggles=1.0))
    assert task.discriminator is not None
    told: list[Tensor] = []
    handle = task.discriminator.projection.register_forward_hook(lambda *a: told.append(a[1][0]))
    _, stats = task(batch, generator(), "model")
    task(batch, generator(), "critic")
    handle.remove()
    assert len(told) >= 3 and not any(bool(c.any()) for c in told)
    assert stats["toggled"] > 0  # and yet it counts whether the face has it
    _, stats = objective(replace(AT_ONCE, toggles=0.0))(batch, generator(), "model")
    assert stats["toggled"] == 0


def test_what_a_toggle_moves_besides_is_measured(batch: Batch) -> None:
    reader = Reader(width=8, attributes=SIZE.attributes).eval()
    task = objective(replace(AT_ONCE, toggles=1.0), reader)
    for weight in task.model.generation.parameters():
        torch.nn.init.normal_(weight, std=0.2)  # as it starts no request is heard
    _, before, *_ = batch
    z = torch.randn(len(before), SIZE.latent, generator=generator(1))
    assert not any(task.moved(task.paint(z, before), z, before, before).values())
    wanted = before.clone()
    wanted[:, 3] *= -1
    wanted[:, 7] = -1
    faces = task.paint(z, wanted)
    found = task.moved(faces, z, before, wanted)
    with torch.no_grad():
        now, was = (task.perceive(task.paint(z, y))[1] for y in (wanted, before))
    same = before == wanted
    assert not same[:, 3].any() and found["held"] > 0
    assert torch.isclose(found["held"], (now - was).abs()[same].mean(), rtol=1e-4)
    old = task.paint(z, before)
    assert torch.isclose(found["still"], (faces - old).abs().mean(), rtol=1e-4)
    for term in found.values():
        task.zero_grad(set_to_none=True)
        term.backward(retain_graph=True)
        assert any(p.grad is not None and p.grad.any() for p in task.model.generation.parameters())
    _, stats = task(batch, generator(), "model")
    assert stats["held"] > 0 and stats["still"] > 0
    _, stats = objective(replace(AT_ONCE, held=0.0, still=0.0))(batch, generator(), "model")
    assert "held" not in stats and "still" not in stats


def test_a_face_whose_request_was_turned_counts_more_in_the_game(batch: Batch) -> None:
    def fooled(toggles: float, natural: float) -> torch.Tensor:
        task = objective(replace(AT_ONCE, toggles=toggles, natural=natural))
        return task(batch, generator(), "model")[1]["fooled"]

    assert torch.isclose(fooled(toggles=1.0, natural=2.0), 3 * fooled(toggles=1.0, natural=0.0))
    assert fooled(toggles=0.0, natural=2.0) == fooled(toggles=0.0, natural=0.0)


def test_attribute_loss_is_cross_entropy_over_what_is_stated() -> None:
    logits, y = torch.randn(5, 3, generator=generator()), torch.tensor([1.0, -1.0, 0.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, :2], torch.tensor([1.0, 0.0]).expand(5, 2)
    )
    assert torch.isclose(attribute_loss(logits, y.expand(5, 3)), expected)
    assert attribute_loss(logits, torch.zeros(5, 3)) == 0


def test_the_penalty_on_slopes_comes_every_few_steps(batch: Batch) -> None:
    task = objective(replace(AT_ONCE, r1_every=3))
    seen = []
    for _ in range(4):
        _, stats = task(batch, generator(), "critic")
        seen.append("r1" in stats)
        task(batch, generator(), "model")
    assert seen == [True, False, False, True]


def test_unknown_labels_teach_the_critics_nothing(batch: Batch) -> None:
    x, y, real, labels = batch
    _, known = objective(AT_ONCE)((x, y, real, labels * 0), generator(), "critic")
    assert known["recognised"] == 0


def test_a_run_says_what_its_latent_does(batch: Batch) -> None:
    task = Augmented(objective(AT_ONCE), Augment())
    trainer = Trainer(task, Schedule(steps=1, batch=8), device=torch.device("cpu"))
    found = trainer.diagnose(batch)
    assert found is not None and len(found.kl_per_dimension) == SIZE.latent and found.kl > 0
