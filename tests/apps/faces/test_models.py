"""Every kind of face model: shapes, requests that are heard, anchors that are faithful."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.faces.attr2img import Attr2ImgObjective, Attr2ImgSize, build_attr2img
from apps.faces.attributes import OFFERED
from apps.faces.classifier import ClassifierObjective, Evaluator, Reader
from apps.faces.data import Faces, halves
from apps.faces.layered import LayeredObjective, LayeredSize, build_layered, gate_prior
from apps.faces.model import KINDS, ReaderSize, Size, build
from apps.faces.recipe import RECIPES
from apps.faces.train import Pairs, deal, judge_of, train_on
from apps.kinds import rebuild
from cvae.objective import importance_weighted_nll
from cvae.training import Schedule

A = len(OFFERED)
SMALL = {
    "faces": (build, Size(width=8, latent=8)),
    "attr2img": (build_attr2img, Attr2ImgSize(width=4, latent=8)),
    "layered": (build_layered, LayeredSize(width=4, front=6, back=2)),
}


def model(kind: str) -> Any:
    torch.manual_seed(0)
    make, size = SMALL[kind]
    return make(size).eval()  # type: ignore[operator]


def requests(n: int) -> Tensor:
    signs = torch.randint(3, (n, A), generator=torch.Generator().manual_seed(1))
    return signs.float() - 1


@pytest.mark.parametrize("kind", SMALL)
def test_k_faces_a_request_in_range_and_from_the_generator(kind: str) -> None:
    network, y = model(kind), requests(2)
    with torch.no_grad():
        x = network.sample(y, k=3, generator=torch.Generator().manual_seed(0))
        again = network.sample(y, k=3, generator=torch.Generator().manual_seed(0))
    assert x.shape == (2, 3, 3, 64, 64) and x.abs().max() <= 1
    assert torch.equal(x, again)


@pytest.mark.parametrize("kind", SMALL)
def test_answers_in_a_row_belong_to_their_request(kind: str) -> None:
    network, y = model(kind), requests(2)
    z = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        together = network.decode(z, network.condition(y))
        alone = network.decode(z[:, 1:], network.condition(y[1:]))
    assert torch.allclose(together[1], alone[0], atol=1e-5)


@pytest.mark.parametrize("kind", SMALL)
def test_its_evidence_can_be_bounded(kind: str) -> None:
    from functools import partial

    from cvae.likelihoods import gaussian

    network, y = model(kind), requests(2)
    x = torch.zeros(2, 3, 64, 64)
    nll = importance_weighted_nll(
        network, x, network.condition(y), likelihood=partial(gaussian, variance=1.0), samples=4
    )
    assert nll.shape == (2,) and torch.isfinite(nll).all()
    assert nll.min() > 0.5 * 3 * 64**2 * math.log(2 * math.pi)  # cannot beat a perfect mean


def test_requests_modulate_every_level_of_the_decoder() -> None:
    network = model("faces")
    for block in network.generation.blocks:
        torch.nn.init.normal_(block.film.project.weight, std=0.1)
        torch.nn.init.normal_(block.conv2.weight, std=0.1)
    context = network.condition(requests(1)).detach().requires_grad_()
    z = torch.zeros(1, 8)
    for i, block in enumerate(network.generation.blocks):
        block.film.project.weight.requires_grad_(True)
        network.zero_grad()
        network.generation(z, context).sum().backward()
        assert block.film.project.weight.grad.abs().sum() > 0, i


def test_open_is_not_the_same_as_off() -> None:
    network = model("faces")
    off, open_ = -torch.ones(1, A), torch.zeros(1, A)
    assert not torch.allclose(network.condition(off), network.condition(open_))


def test_the_layered_posterior_is_a_density_and_its_layers_composite() -> None:
    network, y = model("layered"), requests(2)
    x = torch.zeros(2, 3, 64, 64)
    posterior = network.posterior(x, y)
    with torch.no_grad():
        z = posterior.sample((5,), generator=torch.Generator().manual_seed(0))
        front, back = z[..., :6], z[..., 6:]
        expected = posterior.front.log_prob(front)
        for i in range(5):
            expected[i] += network.recognition.behind(x, y, front[i]).log_prob(back[i])
        assert torch.allclose(posterior.log_prob(z), expected, atol=1e-4)
        face, gate, scene = network.generation.layers(z[0], y)
        alpha = gate.sigmoid()
        assert torch.allclose(network.generation(z[0], y), alpha * face + (1 - alpha) * scene)
    # what is behind changes nothing in front
    moved = z[0].clone()
    moved[:, 6:] += 1
    with torch.no_grad():
        kept = network.generation.layers(moved, y)
    assert torch.equal(kept[0], face) and torch.equal(kept[1], gate)
    assert not torch.equal(kept[2], scene)


def test_the_gate_expects_a_face_in_the_middle() -> None:
    prior = gate_prior(64)[0]
    assert torch.allclose(prior, prior.flip(1)) and prior.min() > 0 and prior.max() < 1
    assert 0.3 < prior.mean() < 0.7


def test_the_anchor_starts_with_unit_variance_and_sums_its_nats() -> None:
    network, y = model("attr2img"), requests(2)
    x = torch.zeros(2, 3, 64, 64)
    assert torch.equal(network.posterior(x, y).logvar, torch.zeros(2, 8))
    task = Attr2ImgObjective(network)
    loss, parts = task((x, y), torch.Generator().manual_seed(0))
    pixels = network.generation.pixels(torch.zeros(2, 8), y)
    floor = 0.5 * (pixels.logvar + math.log(2 * math.pi)).sum((1, 2, 3)).mean()
    assert parts["pixels"] > 0.5 * floor and torch.isclose(loss, parts["pixels"] + parts["kl"])


def test_the_layered_objective_reaches_every_network() -> None:
    task = LayeredObjective(model("layered").train())
    loss, parts = task((torch.zeros(4, 3, 64, 64), requests(4)), torch.Generator().manual_seed(0))
    loss.backward()
    silent = [n for n, p in task.named_parameters() if p.grad is None]
    assert not silent and torch.isclose(loss, sum(parts.values()))


def test_classifiers_learn_what_is_visible_and_skip_what_is_not_known(world: Faces) -> None:
    from apps.faces.attributes import COLUMNS

    x, labels = world.tensors(slice(0, 96))
    y = labels[:, COLUMNS] * 0
    smiling = OFFERED.index("Smiling")
    y[:, smiling] = labels[:, COLUMNS][:, smiling]
    torch.manual_seed(0)
    reader = Reader(width=8, attributes=A)
    task = ClassifierObjective(reader)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.01)
    for _ in range(15):
        loss, _ = task((x[:64], y[:64]), torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        _, held_out = task((x[64:], y[64:]), torch.Generator())
    assert held_out["accuracy"] > 0.95
    slope = reader.see.out.weight.grad
    assert slope is not None
    other = slope[(smiling + 1) % A]
    assert not other.any()


def test_the_judge_has_features_and_another_architecture() -> None:
    judge = Evaluator(attributes=A).eval()
    x = torch.zeros(2, 3, 64, 64)
    with torch.no_grad():
        assert judge.features(x).shape == (2, 512) and judge(x).shape == (2, A)
        assert torch.allclose(judge(x), judge.last(judge.features(x)))


@pytest.mark.parametrize("balanced", [0.0, 1.0])
def test_critics_never_see_the_judges_half(world: Faces, balanced: float) -> None:
    own = torch.arange(1, 96, 3)
    fetch = Pairs(world, own, balanced=balanced)
    _, _, real, labels = fetch(torch.arange(40))
    allowed = {world.tensors(torch.tensor([i]))[0].numpy().tobytes() for i in own.tolist()}
    seen = {r.numpy().tobytes() for r in real}
    assert seen <= allowed and labels.shape == (40, A)
    assert balanced or seen == allowed


def test_rare_states_are_dealt_as_often_as_any_others() -> None:
    draw = torch.Generator().manual_seed(0)
    rates = torch.tensor([0.5, 0.02, 0.95])
    labels = (torch.rand(30_000, 3, generator=draw) < rates).float() * 2 - 1
    plain, some, dealt = (labels[deal(labels, share)] for share in (0.0, 0.5, 1.0))
    assert torch.equal(plain, labels)
    on = (dealt > 0).float().mean(0)
    # a third of the rows each: the rare state for certain, else as often as ever
    often = torch.tensor([0.5 * 2 / 3 + 1 / 3, 0.02 * 2 / 3 + 1 / 3, 0.95 * 2 / 3])
    assert (on - often)[1:].abs().max() < 0.01  # of the first either state may be the rarer
    middle = (some > 0).float().mean(0)[1:] - ((plain > 0).float().mean(0) + on)[1:] / 2
    assert middle.abs().max() < 0.01
    assert torch.equal(deal(labels, 0.5), deal(labels, 0.5))
    unknown = torch.zeros(5, 2)
    assert torch.equal(deal(unknown, 1.0), torch.arange(5))


@pytest.mark.parametrize(("half", "which"), [("judge", 0), ("critics", 1)])
def test_classifiers_learn_from_their_half(
    world: Faces, tmp_path: Path, half: str, which: int
) -> None:
    from cvae import checkpoint

    recipe = replace(
        RECIPES["reader"], size=ReaderSize(width=8), schedule=Schedule(steps=1, batch=8), half=half
    )
    train_on(recipe, world, tmp_path, firsts=tmp_path, progress=False)
    learnt = checkpoint.load(tmp_path)["config"]["faces"]
    assert learnt == len(halves(world.faces)[which]) < len(world)


def test_a_reader_judges_in_training_what_it_reads_for_people(
    world: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(
        RECIPES["reader"], size=ReaderSize(width=8), schedule=Schedule(steps=1, batch=8)
    )
    monkeypatch.setitem(RECIPES, "reader", tiny)
    reader = judge_of("reader", world, tmp_path, progress=False)
    assert isinstance(reader, Reader)
    x, _ = world.tensors(slice(0, 2))
    with torch.no_grad():
        features, logits = reader.perceive(x)
        assert torch.equal(logits, reader(x))
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(8, 32, 32), (16, 16, 16), (32, 8, 8), (32, 4, 4)]


# not the large ones, which are built alike, nor the one that waits for another's discriminator
@pytest.mark.parametrize("name", sorted(RECIPES.keys() - {"base", "attr2img-full", "vae-dis"}))
def test_every_recipe_builds_networks_of_a_size_worth_training(name: str) -> None:
    recipe = RECIPES[name]
    objective: Any = recipe.objective()
    assert sum(p.numel() for p in objective.model.parameters()) > 1e5


def test_a_run_can_be_rebuilt_from_what_it_stores_and_resumed(
    world: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cvae import checkpoint

    few = Schedule(steps=2, batch=8)
    tiny = replace(RECIPES["reader"], size=ReaderSize(width=8), schedule=few)
    monkeypatch.setitem(RECIPES, "reader", tiny)
    recipe = replace(RECIPES["small"], size=Size(width=8, latent=8), schedule=few)
    longer = replace(recipe, schedule=replace(few, steps=4))
    given: dict[str, Any] = {"firsts": tmp_path, "progress": False}
    whole = train_on(longer, world, tmp_path / "whole", **given)
    train_on(recipe, world, tmp_path / "parts", **given)
    parts = train_on(longer, world, tmp_path / "parts", resume=True, **given)
    state = checkpoint.load(tmp_path / "parts")
    again = rebuild(state["config"], KINDS)
    again.load_state_dict(state["trainer"]["average"])
    for name, value in whole.average.items():
        assert torch.equal(value, parts.average[name]), name
    assert len(state["config"]["copula"]["thresholds"]) == A
