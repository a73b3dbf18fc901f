"""Codes are what a picture becomes and all that it comes back from; they learn a toy set."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from cvae.likelihoods import bernoulli, gaussian
from cvae.training import Schedule, Trainer
from cvae.vqvae import VQVAE, VQVAEObjective

CPU = torch.device("cpu")


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(levels: int = 1, **options: Any) -> VQVAE:
    sizes: Any = {"codes": (12, 8)[:levels], "halvings": (2, 1)[:levels], "width": 16, "dim": 4}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VQVAE(channels=1, **{**sizes, **options})


def bars(n: int = 64, size: int = 8, seed: int = 0) -> Tensor:
    """Pictures with one bright row and one bright column, in [0, 1]."""
    x = torch.zeros(n, 1, size, size)
    rows, columns = torch.randint(size, (2, n), generator=noise(seed))
    x[torch.arange(n), 0, rows] = 1
    x[torch.arange(n), 0, :, columns] = 1
    return x


def trained(objective: VQVAEObjective, steps: int, **changes: Any) -> Trainer:
    plan: dict[str, Any] = {"learning_rate": 0.01, "warmup": 5, "ema": 0.9, **changes}
    trainer = Trainer(objective, Schedule(steps=steps, **plan), device=CPU)
    for _ in range(steps):
        trainer.update(bars(32, seed=trainer.step % 4))
    return trainer


@pytest.mark.parametrize("size", [(8, 8), (16, 24)])
def test_one_level_has_the_shapes_it_states(size: tuple[int, int]) -> None:
    model = small()
    (codes,) = model.encode(torch.rand(3, 1, *size))
    assert codes.shape == (3, size[0] // 4, size[1] // 4)
    assert codes.dtype == torch.int64 and codes.min() >= 0 and codes.max() < 12
    assert model.decode((codes,)).shape == (3, 1, *size)


def test_two_levels_have_the_shapes_they_state() -> None:
    model = small(2)
    fine, coarse = model.encode(torch.rand(3, 1, 16, 24))
    assert fine.shape == (3, 4, 6) and coarse.shape == (3, 2, 3)
    assert fine.max() < 12 and coarse.max() < 8
    output, found = model(torch.rand(3, 1, 16, 24), generator=noise())
    assert output.shape == (3, 1, 16, 24)
    assert [level.codes.shape for level in found] == [fine.shape, coarse.shape]


@pytest.mark.parametrize("levels", [1, 2])
def test_codes_say_all_that_the_picture_is_made_of(levels: int) -> None:
    model = small(levels)
    model(bars(), generator=noise())  # places the codes
    model.eval()
    x = bars(5, seed=3)
    output, found = model(x)
    codes = model.encode(x)
    assert all(torch.equal(a, b.codes) for a, b in zip(codes, found, strict=True))
    torch.testing.assert_close(model.decode(codes), output)
    assert torch.equal(model.decode(model.encode(x)), model.decode(codes))


def test_encoding_never_changes_the_model() -> None:
    model = small(2).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.encode(bars())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_fine_codes_are_found_knowing_the_coarse_ones() -> None:
    """The projection to fine latents sees what the coarse level says, and so do both decoders."""
    model = small(2)
    model(bars(), generator=noise())
    model.eval()
    x = bars(16, seed=3)
    fine, coarse = model.encode(x)
    other = (coarse + 1) % 8
    with torch.no_grad():
        picture, changed = model.decode((fine, coarse)), model.decode((fine, other))
        moved = model.decode(((fine + 1) % 12, coarse))
    assert (picture - changed).abs().amax((1, 2, 3)).min() > 1e-6
    assert (picture - moved).abs().amax((1, 2, 3)).min() > 1e-6
    top: Any = model.levels[1]
    top.quantizer.sums.mul_(-3)  # the fine latents must move with what coarse codes mean
    again, _ = model.encode(x)
    assert not torch.equal(again, fine)


@pytest.mark.parametrize("levels", [1, 2])
def test_every_parameter_learns_through_the_codes(levels: int) -> None:
    objective = VQVAEObjective(small(levels))
    trainer = trained(objective, 3)  # last convolutions start at almost nothing
    loss, _ = objective(bars(), noise())
    loss.backward()
    for name, p in trainer.model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_the_loss_is_nats_of_the_likelihood_and_the_commitment() -> None:
    model = small(2).eval()
    x = bars()
    likelihood = partial(gaussian, variance=0.3)
    loss, stats = VQVAEObjective(model, likelihood=likelihood, commitment=0.5)(x, None)
    output, found = model(x)
    nats = -torch.distributions.Normal(output, 0.3**0.5).log_prob(x).sum((1, 2, 3))
    apart = sum(level.commitment for level in found)
    torch.testing.assert_close(loss, (nats + 0.5 * apart).mean())
    torch.testing.assert_close(stats["nats"], nats.mean())
    for n in range(2):
        assert torch.equal(stats[f"perplexity_{n}"], found[n].stats["perplexity"])


@pytest.mark.parametrize("levels", [1, 2])
def test_bars_are_learnt_in_a_few_dozen_steps(levels: int) -> None:
    objective = VQVAEObjective(small(levels), likelihood=bernoulli)
    model = trained(objective, 80).model.eval()
    test = bars(64, seed=99)
    with torch.no_grad():
        output, found = model(test)
        nats = -bernoulli(output, test).mean()
    share = test.mean()  # 35 nats: what is known without looking at the picture
    blind = -64 * (share * share.log() + (1 - share) * (1 - share).log())
    assert nats < 0.6 * blind
    assert found[0].stats["perplexity"] > 4


@pytest.mark.parametrize("levels", [1, 2])
def test_a_resumed_run_takes_the_steps_of_an_unbroken_one(levels: int) -> None:
    def fresh(seed: int) -> Trainer:
        model = small(levels, decay=0.5, dead=0.9)  # codes die within these few steps
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.01 * torch.randn(p.shape, generator=noise(seed)))
        return Trainer(VQVAEObjective(model), Schedule(steps=8, warmup=2), device=CPU)

    def go(trainer: Trainer, steps: int) -> float:
        found = [trainer.update(bars(32, seed=trainer.step)) for _ in range(steps)]
        return sum(float(stats["revived_0"]) for stats in found)

    whole, part, again = fresh(0), fresh(0), fresh(1)
    go(whole, 8)
    go(part, 4)
    again.restore(part.state())
    assert go(again, 4) > 0
    for name, value in whole.objective.state_dict().items():
        assert torch.equal(value, again.objective.state_dict()[name]), name
    for name, value in whole.average.items():
        assert torch.equal(value, again.average[name]), name


def test_the_average_can_be_used_as_a_model() -> None:
    trainer = trained(VQVAEObjective(small(), likelihood=bernoulli), 30)
    average = small().eval()
    average.load_state_dict(trainer.average, strict=True)
    assert average(bars(seed=9))[1][0].stats["perplexity"] > 4


def test_errors_say_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"got codes \(8,\) and halvings \(1, 1\)"):
        VQVAE(channels=1, codes=(8,), halvings=(1, 1))
    with pytest.raises(ValueError, match="got pictures of 8x10, expected sides in multiples of 4"):
        small()(torch.zeros(1, 1, 8, 10))
    with pytest.raises(ValueError, match="got 1 maps of codes, expected 2"):
        small(2).decode((torch.zeros(1, 2, 2, dtype=torch.int64),))
