"""Each place knows all that was drawn before it and nothing else; probabilities add up to one."""

import math
from typing import Any

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor, nn

from cvae.pixelcnn import CodeContext, PixelCNN, PixelCNNObjective
from cvae.training import Schedule, Trainer

CPU = torch.device("cpu")


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)  # of the conditions; models have a seed of their own


def small(*, loud: float = 2.5, **options: Any) -> PixelCNN:
    """A small model with weights so large that it is far from uniform."""
    sizes: dict[str, Any] = {"codes": 2, "width": 8, "blocks": 3, "kernel": 3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelCNN(**{**sizes, **options})
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(loud)
    return model


def every_map(height: int, width: int, codes: int = 2) -> Tensor:
    """All maps there are, `(codes ** (height * width), height, width)`."""
    values = torch.arange(codes)
    return torch.cartesian_prod(*[values] * (height * width)).view(-1, height, width)


@pytest.mark.parametrize(("kernel", "blocks"), [(3, 4), (5, 2), (7, 2)])
@pytest.mark.parametrize(("height", "width"), [(3, 5), (5, 2)])
def test_a_place_depends_on_all_earlier_ones_and_on_nothing_else(
    kernel: int, blocks: int, height: int, width: int
) -> None:
    model = small(kernel=kernel, blocks=blocks, loud=1.5).double()
    seen: list[Tensor] = []
    model.embedding.register_forward_hook(lambda *call: seen.append(call[2]))
    logits = model(torch.randint(2, (1, height, width), generator=noise()))
    for n in range(height * width):
        i, j = divmod(n, width)
        (gradient,) = torch.autograd.grad(
            logits[0, 0, i, j], seen[0], retain_graph=True, allow_unused=True
        )
        depends = gradient[0].abs().sum(-1).flatten() > 0
        assert depends[:n].all(), (i, j)  # no blind spot
        assert not depends[n:].any(), (i, j)


def test_reach_ends_where_it_is_said_to_end() -> None:
    model = small(kernel=3, blocks=2).double()
    x = torch.zeros(1, 1, 6, dtype=torch.int64)
    logits = model(x)
    for place, known in ((0, False), (1, False), (2, True), (4, True)):  # 5 less 1 less 2 layers
        changed = x.clone()
        changed[0, 0, place] = 1
        assert torch.equal(model(changed)[..., 5], logits[..., 5]) != known


@pytest.mark.parametrize(("size", "codes"), [((3, 3), 2), ((2, 2), 3), ((1, 4), 4), ((4, 1), 4)])
def test_probabilities_of_all_maps_add_up_to_one(size: tuple[int, int], codes: int) -> None:
    log_p = small(codes=codes).double().log_prob(every_map(*size, codes))
    assert log_p.std() > 0.3  # of a law that is not uniform
    torch.testing.assert_close(log_p.exp().sum().item(), 1.0, atol=1e-5, rtol=0)


def test_probabilities_add_up_under_every_condition_and_differ() -> None:
    model = small(condition=nn.Embedding(3, 4), features=4)
    maps = every_map(2, 3)
    laws = torch.stack([model.log_prob(maps, torch.full((len(maps),), c)).exp() for c in range(3)])
    torch.testing.assert_close(laws.sum(1), torch.ones(3))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (laws[a] - laws[b]).abs().sum() > 0.05
    first = laws.view(3, 2, -1).sum(-1)  # of the first place, which nothing comes before
    assert first[:, 0].std() > 1e-3


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_follow_the_law(temperature: float) -> None:
    model = small(condition=nn.Embedding(2, 4), features=4)
    maps, draws = every_map(2, 2), 3000
    for c in range(2):
        logits = model(maps, torch.full((16,), c)) / temperature
        places = logits.log_softmax(1).gather(1, maps[:, None])
        expected = draws * places.flatten(1).sum(1).exp()
        drawn = model.sample(
            (draws, 2, 2),
            torch.full((draws,), c),
            generator=noise(c),
            temperature=temperature,
        )
        names = (drawn.flatten(1) * torch.tensor([8, 4, 2, 1])).sum(1)
        found = names.bincount(minlength=16)
        statistic = ((found - expected).square() / expected).sum().item()
        assert statistic < chi2.ppf(0.999, 15)
        even = ((found - draws / 16).square() / (draws / 16)).sum().item()
        assert even > 2 * chi2.ppf(0.999, 15)  # a test that can fail


def test_the_mean_log_probability_of_samples_is_minus_the_entropy() -> None:
    model = small()
    log_p = model.log_prob(every_map(3, 3)).detach()
    entropy = -(log_p.exp() * log_p).sum()
    found = model.log_prob(model.sample((2000, 3, 3), generator=noise())).detach()
    assert abs(found.mean() + entropy) < 4 * found.std() / math.sqrt(2000)


@pytest.mark.parametrize(("kernel", "blocks"), [(3, 3), (5, 3), (7, 1)])
def test_while_sampling_every_place_has_the_law_of_a_whole_pass(
    kernel: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept between rows and places is what a whole pass sees, whatever was drawn."""
    sizes = {"codes": 5, "kernel": kernel, "blocks": blocks}
    model = small(**sizes, condition=CodeContext(codes=4, features=6), features=6)
    coarse = torch.randint(4, (3, 3, 4), generator=noise())
    codes = torch.randint(5, (3, 6, 8), generator=noise(1))
    places, laws = iter(codes.flatten(1).T), []

    def draw(p: Tensor, _: int, generator: torch.Generator) -> Tensor:
        laws.append(p)
        return next(places)[:, None]

    monkeypatch.setattr(torch, "multinomial", draw)
    assert torch.equal(model.sample((3, 6, 8), coarse, temperature=0.7), codes)
    expected = (model(codes, coarse) / 0.7).softmax(1)
    torch.testing.assert_close(torch.stack(laws, 2).view_as(expected), expected)


def test_a_cold_sample_takes_the_likeliest_code_everywhere() -> None:
    model = small(codes=5)
    codes = model.sample((3, 5, 4), generator=noise(), temperature=1e-6)
    assert torch.equal(codes, model(codes).argmax(1))


def test_one_seed_one_sample() -> None:
    model = small(codes=9)
    a, b, c = (model.sample((2, 4, 4), generator=noise(seed)) for seed in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_codes_of_a_coarser_level_speak_everywhere() -> None:
    context = CodeContext(codes=4, features=6, halvings=2)
    model = small(codes=5, condition=context, features=6)
    coarse = torch.zeros(1, 2, 3, dtype=torch.int64)
    codes = torch.zeros(1, 8, 12, dtype=torch.int64)
    assert context(coarse).shape == (1, 6, 8, 12)
    apart = (model(codes, coarse) - model(codes, coarse + 1)).abs().amax(1)
    assert apart.min() > 0
    vectors = small(codes=5, condition=nn.Identity(), features=6)  # the same at every place
    as_map = torch.randn(1, 6, generator=noise())
    wide = as_map[:, :, None, None].expand(-1, -1, 8, 12)
    torch.testing.assert_close(vectors(codes, as_map), vectors(codes, wide))


def test_the_loss_is_nats_a_map_and_bits_a_place() -> None:
    model = small(condition=nn.Embedding(2, 4), features=4)
    codes, c = every_map(2, 2), torch.arange(16) % 2
    loss, stats = PixelCNNObjective(model)((codes, c), None)
    p = model(codes, c).softmax(1).gather(1, codes[:, None])
    torch.testing.assert_close(loss, -p.log().sum() / 16)
    torch.testing.assert_close(stats["bits"], -p.log2().mean())


def stripes() -> tuple[Tensor, Tensor]:
    """All maps of four stripes: lying ones of class 0, standing ones of class 1."""
    lying = torch.cartesian_prod(*[torch.arange(2)] * 4)[:, :, None].expand(-1, -1, 4)
    return torch.cat([lying, lying.transpose(1, 2)]), torch.arange(32) // 16


def learner(steps: int = 60) -> Trainer:
    torch.manual_seed(0)
    model = small(loud=1.0, width=16, kernel=5, blocks=2, condition=nn.Embedding(2, 8), features=8)
    plan = Schedule(steps=steps, learning_rate=0.02, warmup=5, weight_decay=0.0, ema=0.8)
    return Trainer(PixelCNNObjective(model), plan, device=CPU)


def test_it_learns_a_law_and_cannot_beat_its_entropy() -> None:
    trainer = learner()
    for _ in range(60):
        trainer.update(stripes())
    model = trainer.model
    model.load_state_dict(trainer.average)
    maps, classes = stripes()
    with torch.no_grad():
        nats = -model.log_prob(maps, classes).mean().item()  # type: ignore[operator]
    entropy = 4 * math.log(2)  # four bits; a uniform law needs sixteen
    assert entropy - 1e-4 < nats < 1.3 * entropy


def test_a_resumed_run_takes_the_steps_of_an_unbroken_one() -> None:
    whole, part, again = learner(), learner(), learner()
    for trainer, steps in ((whole, 4), (part, 2)):
        for _ in range(steps):
            trainer.update(stripes())
    again.restore(part.state())
    for _ in range(2):
        again.update(stripes())
    for name, value in whole.objective.state_dict().items():
        assert torch.equal(value, again.objective.state_dict()[name]), name


def test_inside_autocast_probabilities_are_in_full_precision() -> None:
    model = small()
    with torch.autocast("cpu", torch.bfloat16):
        log_p = model.log_prob(every_map(2, 2))
    assert log_p.dtype == torch.float32
    torch.testing.assert_close(log_p.exp().sum().item(), 1.0, atol=0.05, rtol=0)


def test_errors_say_what_was_expected() -> None:
    codes = torch.zeros(2, 4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"got codes \(2, 1, 4, 4\) of torch.float32"):
        small()(torch.zeros(2, 1, 4, 4))
    with pytest.raises(ValueError, match="got a condition, expected none"):
        small()(codes, codes)
    aware = small(condition=nn.Identity(), features=3)
    with pytest.raises(ValueError, match="got no condition, expected one"):
        aware.sample((2, 4, 4))
    for wrong in (torch.zeros(3, 3), torch.zeros(2, 3, 4, 5)):
        with pytest.raises(ValueError, match="vectors or maps of that size"):
            aware(codes, wrong)
    with pytest.raises(ValueError, match="got temperature 0"):
        small().sample((1, 2, 2), temperature=0)
    with pytest.raises(ValueError, match="got a kernel of 4"):
        small(kernel=4)
    with pytest.raises(ValueError, match="got 3 features and no condition"):
        small(features=3)
