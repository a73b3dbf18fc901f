"""The anchor: its networks, its mixture, and its losses against slow ones written by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from apps.colorization import predict
from apps.colorization.divcolor import (
    DivcolorPrior,
    DivcolorSize,
    build_divcolor,
    component_answers,
)
from apps.colorization.divcolor_objective import (
    ChromaClasses,
    DivcolorObjective,
    DivcolorWeights,
    InverseShares,
)
from apps.colorization.terms import gamut_bins
from cvae.model import CVAE

SIZE = DivcolorSize(width=8)


@pytest.fixture
def model() -> CVAE:
    torch.manual_seed(0)
    return build_divcolor(SIZE).eval()


def batch(n: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    grey = torch.rand(n, 1, 128, 128, generator=generator) * 2 - 1
    return grey, torch.randn(n, 2, 64, 64, generator=generator) * 0.2


@pytest.mark.parametrize("height,width", [(128, 128), (128, 192), (48, 16)])
def test_any_shape(model: CVAE, height: int, width: int) -> None:
    grey = torch.rand(2, 1, height, width) * 2 - 1
    features = model.condition(grey)
    chroma = torch.randn(2, 2, height // 2, width // 2)
    z = model.posterior(chroma, features).rsample()
    assert z.shape == (2, 64) and model.prior(features).log_prob(z).shape == (2,)
    answers = predict.draws(model, grey, k=3, seed=0, temperature=0.5)
    assert answers.shape == (2, 3, *chroma.shape[1:]) and answers.abs().max() <= 1


def test_full_width_is_the_original() -> None:
    """Kernel, inputs and outputs of every layer of the released VAE, in its order."""
    with torch.device("meta"):
        full = build_divcolor(DivcolorSize(width=128))
    color = [(5, 2, 128), (5, 128, 256), (5, 256, 512), (4, 512, 1024), (1, 16384, 128)]
    grey = [(5, 1, 128), (5, 128, 256), (5, 256, 512), (4, 512, 64)]
    paint = [(4, 64, 1024), (5, 1536, 512), (5, 768, 256), (5, 384, 128), (5, 128, 2)]
    mixture = [(5, 512, 384), (5, 384, 320), (5, 320, 288), (5, 288, 256), (5, 256, 128)]

    def layers(part: str) -> list[tuple[int, ...]]:
        found = [m for n, m in full.get_submodule(part).named_modules() if "semantics" not in n]
        return [
            (m.kernel_size[0], m.in_channels, m.out_channels)
            if isinstance(m, nn.Conv2d)
            else (1, m.in_features, m.out_features)
            for m in found
            if isinstance(m, nn.Conv2d | nn.Linear)
        ]

    assert layers("recognition") == color and layers("condition") == grey
    assert layers("generation") == paint
    dense = [(1, 8 * 8 * 128, 4096), (1, 4096, 8 * 64), (1, 4096, 8)]
    assert layers("prior") == mixture + dense


def test_prior_is_a_mixture_with_one_deviation() -> None:
    logits, loc = torch.randn(5, 8), torch.randn(5, 8, 64)
    z = torch.randn(5, 64) * 0.3 + loc[:, 0]
    for prior, deviation in (
        (DivcolorPrior(logits, loc), math.sqrt(0.1)),
        (DivcolorPrior(logits, loc).tempered(0.5).tempered(0.5), math.sqrt(0.1) / 4),
    ):
        components = Independent(Normal(loc, deviation), 1)
        expected = MixtureSameFamily(Categorical(logits=logits), components)
        assert torch.allclose(prior.log_prob(z), expected.log_prob(z), rtol=1e-4)
        drawn = prior.sample((4000,), generator=torch.Generator().manual_seed(0))
        spread = (drawn[:, :, None] - loc).square().mean(-1).min(-1).values.mean().sqrt()
        assert spread.item() == pytest.approx(deviation, rel=0.02)


def test_z_is_multiplied_with_the_grey_map(model: CVAE) -> None:
    shake(model)
    features = model.condition(batch(2)[0])
    z = 30 * torch.randn(1, 2, 64)
    doubled = replace(features, at4=2 * features.at4)
    first, second = model.decode(z, features), model.decode(2 * z, features)
    assert torch.allclose(model.decode(z, doubled), second, atol=1e-5)
    assert not torch.allclose(first, second, atol=1e-2)


def test_answers_belong_to_their_picture(model: CVAE) -> None:
    grey, z = batch(2)[0], torch.randn(3, 2, 64)
    together = model.decode(z, model.condition(grey))
    for i in range(2):
        alone = model.decode(z[:, i : i + 1], model.condition(grey[i : i + 1]))
        assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_eight_answers_most_probable_first(model: CVAE) -> None:
    grey = batch(2)[0]
    with torch.no_grad():
        model.get_parameter("prior.logits.weight").mul_(20)
        model.get_parameter("prior.loc.weight").mul_(20)
        features = model.condition(grey)
        prior = model.prior(features)
    answers = component_answers(model, grey, 8)
    assert answers.shape == (2, 8, 2, 64, 64)
    assert torch.allclose(component_answers(model, grey, 3), answers[:, :3], atol=1e-5)
    assert component_answers(model, grey, 99).shape[1] == 8
    for i in range(2):
        ranked = sorted(range(8), key=lambda j: -prior.logits[i, j].item())
        with torch.no_grad():
            decoded = model.decode(prior.loc.transpose(0, 1), features)[i, ranked]
        assert torch.allclose(answers[i], decoded, atol=1e-5)
        apart = torch.pdist(answers[i].flatten(1))
        assert apart.min() > 1e-3


def objective_of(model: CVAE, **weights: Any) -> DivcolorObjective:
    objective = DivcolorObjective(model, replace(DivcolorWeights(), **weights))
    chroma = batch(8)[1]
    objective.rare.fit(chroma)
    objective.principal.fit(chroma)
    return objective.eval()


@torch.no_grad()
def test_loss_is_the_one_written_by_hand(model: CVAE) -> None:
    objective = objective_of(model, components=0.1, steps=100)
    objective.seen.fill_(57)  # the sixth of ten stages
    grey, chroma = batch(3)
    loss, stats = objective((grey, chroma), torch.Generator().manual_seed(3))

    features = model.condition(grey)
    q = model.posterior(chroma, features)
    z = q.rsample((), generator=torch.Generator().manual_seed(3))
    painted = model.decode(z[None], features)[:, 0]
    prior = model.prior(features)
    vae, mixture, summed_kl = [], [], 0.0
    for i in range(3):
        error = (painted[i] - chroma[i]).double()
        weight = objective.rare(chroma[i : i + 1])[0, 0].double()
        norm = math.sqrt(sum(float((weight * error[c] ** 2).sum()) for c in range(2)))
        down, right = error[:, 1:] - error[:, :-1], error[..., 1:] - error[..., :-1]
        gradient = math.sqrt(float((down**2).sum() + (right**2).sum()))
        rest, mahalanobis = error.flatten().clone(), 0.0
        for j in range(20):
            axis = objective.principal.basis[:, j].double()
            along = float(axis @ error.flatten())
            mahalanobis += along**2 / float(objective.principal.variance[j])
            rest -= along * axis
        mahalanobis += float((rest**2).sum()) / float(objective.principal.variance[19])
        vae.append(norm + 1e-3 * gradient + 0.1 * mahalanobis)
        mean, variance = q.mean[i], q.logvar[i].exp()
        summed_kl += float(0.5 * (mean**2 + variance - variance.log() - 1).sum())
        distances = [float((z[i] - prior.loc[i, j]).square().sum()) for j in range(8)]
        nearest = min(range(8), key=distances.__getitem__)
        share = float(prior.logits[i].softmax(0)[nearest])
        mixture.append(0.5 * distances[nearest] / 0.1 - math.log(share))
    assert stats["reconstruction"].item() == pytest.approx(sum(vae) / 3, rel=1e-3)
    assert stats["mixture"].item() == pytest.approx(sum(mixture) / 3, rel=1e-4)
    assert stats["kl"].item() == pytest.approx(summed_kl / 3, rel=1e-4)
    # the original's batch is 32 pictures, so its sum is 32 times this mean
    expected = sum(vae) / 3 + 5e-3 * 32 * summed_kl / 3 + sum(mixture) / 3 + stats["classes"]
    assert loss.item() == pytest.approx(float(expected), rel=1e-3)


def test_kl_rises_in_ten_stages(model: CVAE) -> None:
    objective = objective_of(model, steps=100).train()
    seen = []
    for step in (0, 9, 10, 55, 99, 1000):
        objective.seen.fill_(step)
        seen.append(objective.kl_weight().item())
    assert seen == pytest.approx([0, 0, 1e-3, 5e-3, 9e-3, 9e-3])
    objective.seen.zero_()
    for _ in range(2):
        objective(batch(2), torch.Generator().manual_seed(0))
    assert objective.seen == 2
    objective.eval()(batch(2), torch.Generator().manual_seed(0))
    assert objective.seen == 2  # looking is not training


def gradients(objective: DivcolorObjective, seed: int = 0) -> dict[str, Tensor]:
    objective.zero_grad()
    objective(batch(), torch.Generator().manual_seed(seed))[0].backward()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in objective.model.named_parameters()
    }


def shake(module: nn.Module) -> None:
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn_like(p) * 0.05)


def test_each_term_teaches_its_own_network(model: CVAE) -> None:
    """Nobody's gradient changes with the weights of a network that must not teach it."""
    objective = objective_of(model)
    objective.seen.fill_(10**6)
    shake(model)
    before = gradients(objective)
    assert [name for name, g in before.items() if not g.any()] == []
    shake(model.get_submodule("prior"))
    after = gradients(objective)
    for name, gradient in after.items():
        assert torch.equal(gradient, before[name]) != name.startswith("prior."), name
    for part in ("recognition", "generation", "condition.to8"):
        shake(model.get_submodule(part))
    last = gradients(objective)
    for name, gradient in last.items():
        if name.startswith("condition.semantics."):
            assert torch.equal(gradient, after[name]), name


def test_noise_is_of_the_step_alone(model: CVAE) -> None:
    objective = objective_of(model).train()
    state = torch.get_rng_state()
    losses = []
    for seed in (7, 7, 8):
        loss, _ = objective(batch(), torch.Generator().manual_seed(seed))
        losses.append(loss.detach().item())
        torch.rand(1)  # dropout must not hear of this
    assert losses[0] == losses[1] != losses[2]
    torch.set_rng_state(state)
    objective(batch(), torch.Generator().manual_seed(7))
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_are_raw_inverse_shares() -> None:
    chroma = torch.zeros(1, 2, 64, 64)
    chroma[:, 0, :16] = 30 / 128  # a quarter of the pixels
    chroma[:, 1, 63, 63] = -50 / 128  # one of 4096
    rare = InverseShares()
    rare.fit(chroma)
    weight = rare(chroma)[0, 0]
    assert weight[0, 0].item() == pytest.approx(4)
    assert weight[63, 63].item() == pytest.approx(4096)
    assert weight[40, 0].item() == pytest.approx(4096 / 3071)
    assert rare(torch.full((1, 2, 1, 1), 0.7)).item() == pytest.approx(1e5)  # never seen


def test_classes_are_the_nearest_bins() -> None:
    bins = torch.from_numpy(gamut_bins())
    classes = ChromaClasses(size=16)
    ab = torch.tensor([[3.0, -4.0], [62.0, 38.0], [-58.0, 51.0], [127.0, -127.0]])
    cells = ab[:, :, None, None].expand(4, 2, 64, 64) / 128
    found = classes(cells)
    assert found.shape == (4, 16, 16)
    on_grid = (ab / 10).round() * 10
    for i in range(4):
        distance = (bins - on_grid[i]).norm(dim=1)
        assert distance[found[i, 5, 5]] == distance.min()
    assert len(bins) == 260
    mixed = cells[:1].clone()
    mixed[:, :, ::2] += 0.1
    mixed[:, :, 1::2] -= 0.1
    assert torch.equal(classes(mixed), found[:1])  # it is the mean of a cell that counts
