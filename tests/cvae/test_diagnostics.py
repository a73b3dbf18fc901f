"""Models whose every answer is known, and runs that a look at the model must not change."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from cvae import checkpoint
from cvae.diagnostics import Diagnostics, diagnose
from cvae.distributions import DiagonalNormal, Reparameterised
from cvae.likelihoods import gaussian
from cvae.model import CVAE
from cvae.networks import StandardPrior, mlp
from cvae.objective import active_units, elbo
from cvae.training import Schedule, Trainer, autocast, rows_of, train


class Shift(nn.Module):
    """A Gaussian around weighted x and c, which is also a prior where x has no weight."""

    def __init__(self, *, x: float = 0.0, c: float = 0.0, by: float = 0.0, scale: float = 1.0):
        super().__init__()
        self.x, self.c, self.by, self.logvar = x, c, by, 2 * math.log(scale)

    def forward(self, *seen: Tensor) -> DiagonalNormal:
        x, c = (torch.zeros_like(seen[0]), *seen)[-2:]
        mean = self.x * x + self.c * c + self.by
        return DiagonalNormal(mean, torch.full_like(mean, self.logvar))


class Correlated(Reparameterised):
    """N(0, S) with unit variances and one correlation: no diagonal Gaussian."""

    def __init__(self, rows: int, correlation: float = 0.0) -> None:
        self.law = MultivariateNormal(
            torch.zeros(2), torch.tensor([[1.0, correlation], [correlation, 1.0]])
        )
        super().__init__(torch.Size((rows,)), torch.Size((2,)), validate_args=False)

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        noise = torch.randn((*sample_shape, *self.batch_shape, 2), generator=generator)
        return noise @ self.law.scale_tril.T

    def log_prob(self, value: Tensor) -> Tensor:
        assert value.shape == (*self.batch_shape, 2)  # some priors take no more at once
        return self.law.log_prob(value)


class CorrelatedPrior(nn.Module):
    def forward(self, c: Tensor) -> Correlated:
        return Correlated(len(c), 0.8)


def model(recognition: nn.Module, prior: nn.Module) -> CVAE:
    return CVAE(
        condition=nn.Identity(), recognition=recognition, prior=prior, generation=nn.Identity()
    )


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def look(recognition: nn.Module, prior: nn.Module, x: Tensor, c: Tensor, **o: Any) -> Diagnostics:
    generator = torch.Generator().manual_seed(5)
    return diagnose(model(recognition, prior), [(x, c)], generator=generator, **o)


def test_between_diagonal_gaussians_the_kl_is_exact() -> None:
    x, c = normal(50, 3) * torch.tensor([1.0, 0.3, 0.0]), normal(50, 3, seed=1)
    found = look(Shift(x=1.0, c=0.5, scale=0.5), Shift(c=0.5, scale=2.0), x, c)
    # KL(N(m, s²) || N(0, t²)) = log t/s + (s² + m²) / 2t² - 1/2
    expected = math.log(4) + (0.25 + x.square().mean(0)) / 8 - 0.5
    torch.testing.assert_close(torch.tensor(found.kl_per_dimension), expected)
    assert found.kl == pytest.approx(expected.sum().item(), rel=1e-5)


def test_the_kl_to_any_other_prior_is_that_of_draws() -> None:
    x, c = normal(60, 2), normal(60, 2, seed=1)
    found = look(Shift(x=0.5, scale=0.6), CorrelatedPrior(), x, c, draws=64)
    posteriors = MultivariateNormal(0.5 * x, 0.36 * torch.eye(2))
    exact = kl_divergence(posteriors, Correlated(1, 0.8).law).mean().item()
    assert found.kl == pytest.approx(exact, rel=0.03)
    # its dimensions alone are N(0, 1), which know nothing of the correlation
    alone = -math.log(0.6) + (0.36 + 0.25 * x.square().mean(0)) / 2 - 0.5
    torch.testing.assert_close(torch.tensor(found.kl_per_dimension), alone, atol=0.01, rtol=0)
    assert found.kl > sum(found.kl_per_dimension) + 0.2


def test_with_a_standard_prior_active_units_are_those_of_burda() -> None:
    x = normal(400, 3) * torch.tensor([1.0, 0.2, 0.02])
    found = look(Shift(x=1.0), StandardPrior(3), x, x)
    assert found.active_units == active_units(x) == 2
    assert found.warning is None


@pytest.mark.parametrize("prior", [Shift(c=3.0), Shift(c=3.0, by=1.0, scale=0.2)])
def test_a_latent_that_only_repeats_the_condition_is_not_active(prior: nn.Module) -> None:
    x, c = normal(100, 2), normal(100, 2, seed=1)
    found = look(Shift(c=3.0), prior, x, c)
    assert active_units(3.0 * c) == 2  # of the condition there is enough in it
    assert found.active_units == 0
    assert found.warning is not None and "none of 2 latent dimensions" in found.warning
    assert look(Shift(x=0.5, c=3.0), prior, x, c).warning is None


def test_noise_in_the_moments_of_a_prior_makes_no_unit_active() -> None:
    class Collapsed(nn.Module):
        def forward(self, x: Tensor, c: Tensor) -> Correlated:
            return Correlated(len(x), 0.8)

    x = normal(100, 2)
    found = look(Collapsed(), CorrelatedPrior(), x, x)
    assert found.active_units == 0
    assert found.kl == 0.0 and max(found.kl_per_dimension) < 0.01
    assert abs(found.gap) < 0.02


def gap_of_shift(m: float) -> float:
    """Energy coefficient of N(0, 1) and N(m, 1): distances are folded normals."""
    apart = 2 / math.sqrt(math.pi) * math.exp(-(m**2) / 4) + m * (1 - 2 * norm.cdf(-m / 2**0.5))
    return 1 - 2 / math.sqrt(math.pi) / apart


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5, 6.0])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_gap_is_the_energy_coefficient_in_units_of_the_prior(
    shift: float, scale: float
) -> None:
    # the condition moves prior and posterior far more than they differ
    x, c = torch.zeros(300, 1), 100 * normal(300, 1)
    found = look(Shift(c=1.0, by=shift * scale, scale=scale), Shift(c=1.0, scale=scale), x, c)
    assert found.gap == pytest.approx(gap_of_shift(shift), abs=0.02)


def test_posteriors_that_make_up_the_prior_leave_no_gap() -> None:
    x, narrow = normal(400, 2), math.sqrt(1 - 0.9**2)
    whole = look(Shift(x=0.9, scale=narrow), StandardPrior(2), x, x)
    assert abs(whole.gap) < 0.01 and whole.kl > 1
    holes = look(Shift(x=0.9, scale=narrow), StandardPrior(2), 2 * x.sign(), x)
    assert holes.gap > 0.05


def test_batches_of_few_rows_make_up_no_gap() -> None:
    x = normal(400, 2)
    net, generator = model(Shift(), StandardPrior(2)), torch.Generator().manual_seed(0)
    found = diagnose(net, [(rows, rows) for rows in x.split(4)], generator=generator)
    assert abs(found.gap) < 0.03


def test_a_few_batches_are_looked_at_together() -> None:
    x, c = normal(90, 2), normal(90, 2, seed=1)
    net, generator = model(Shift(x=1.0, c=1.0), Shift(c=1.0)), torch.Generator().manual_seed(0)
    whole = diagnose(net, [(x, c)], generator=generator)
    # of so few alike rows a batch alone knows nothing of how means vary
    order = x[:, 0].argsort()
    parts = [(x[rows], c[rows]) for rows in order.split(30)]
    found = diagnose(net, parts, generator=generator)
    assert found.kl_per_dimension == pytest.approx(whole.kl_per_dimension, rel=1e-5)
    assert found.active_units == whole.active_units == 2


def test_too_little_to_compare_is_refused() -> None:
    net = model(Shift(x=1.0), StandardPrior(2))
    with pytest.raises(ValueError, match="got no batch"):
        diagnose(net, [])
    with pytest.raises(ValueError, match="expected at least 2 rows"):
        diagnose(net, [(normal(1, 2), normal(1, 2))])


def test_numbers_survive_json() -> None:
    found = look(Shift(x=1.0), StandardPrior(3), normal(20, 3), normal(20, 3))
    again = Diagnostics(**json.loads(json.dumps(found.stats())))
    assert again.stats() == found.stats()
    assert again.kl == pytest.approx(found.kl, abs=1e-6)


# In a run


class Recognition(nn.Module):
    """What a look in the wrong mode would change: dropout draws, running means move."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(dropout), mlp([4, 8, 4]))
        self.net[0].eval()  # a part that is held still

    def forward(self, x: Tensor, c: Tensor) -> DiagonalNormal:
        return DiagonalNormal(*self.net(torch.cat([x, c], 1)).chunk(2, 1))


class Generation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(mlp([4, 8, 2]), nn.BatchNorm1d(2))

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.net(torch.cat([z, c.repeat_interleave(len(z) // len(c), 0)], 1))


class Bound(nn.Module):
    def __init__(self, *, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = CVAE(
            condition=nn.Identity(),
            recognition=Recognition(dropout),
            prior=StandardPrior(2),
            generation=Generation(),
        )

    def forward(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        c, x = batch
        q = self.model.posterior(x, c)
        means = self.model.decode(q.rsample((1,), generator=generator), c)[:, 0]
        return -elbo(gaussian(means, x, variance=0.1), q.kl_standard()), {}


class Observed(Bound):
    def observed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        c, x = batch
        return x, c


def fetch(rows: Tensor) -> tuple[Tensor, Tensor]:
    c = normal(24, 2)[rows]
    return c, c + normal(24, 2, seed=1)[rows]


def run(
    out: Path, *, every: int = 3, rate: float = 1e-3, dropout: float = 0.0, **options: Any
) -> Trainer:
    """Seven steps; `objective` and `fetch` may be replaced."""
    plan = Schedule(
        steps=7, batch=8, learning_rate=rate, log_every=1, save_every=4, diagnose_every=every
    )
    objective = options.pop("objective", None) or Observed(dropout=dropout)
    data = options.pop("fetch", fetch)
    return train(objective, data, size=24, schedule=plan, out=out, progress=False, **options)


def lines(out: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "per_second"} for line in found]


def test_a_look_changes_no_bit_of_what_is_trained(tmp_path: Path) -> None:
    looked, blind = (run(tmp_path / str(n), every=n, dropout=0.5) for n in (1, 0))
    for part in ("objective", "average"):
        torch.testing.assert_close(looked.state()[part], blind.state()[part], rtol=0, atol=0)
    assert [line for line in lines(tmp_path / "1") if "loss" in line] == lines(tmp_path / "0")


def test_each_part_is_left_in_its_mode() -> None:
    objective = Observed()
    objective.model.recognition.eval()
    trainer = Trainer(objective, Schedule(steps=1), device=torch.device("cpu"))
    before = {name: part.training for name, part in objective.named_modules()}
    assert set(before.values()) == {True, False}
    assert trainer.diagnose(fetch(torch.arange(8))) is not None
    assert before == {name: part.training for name, part in objective.named_modules()}


def test_a_run_tells_what_it_finds_every_some_steps_and_last(tmp_path: Path) -> None:
    trainer = run(tmp_path)
    told = [line for line in lines(tmp_path) if "diagnostics" in line]
    assert [line["step"] for line in told] == [3, 6, 7]
    c, x = fetch(rows_of(6, size=24, batch=8, seed=0))
    trained: Any = trainer.model
    with autocast(trainer.device):
        found = diagnose(trained, [(x, c)], generator=trainer.generator(7))
    assert told[-1]["diagnostics"] == found.stats()


def test_a_resumed_run_tells_the_same(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    calls = 0

    def killed(rows: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        if calls > 6:  # saved at 4, looked at 3 and perhaps at 6
            raise KeyboardInterrupt
        return fetch(rows)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", fetch=killed)
    assert checkpoint.load(tmp_path / "parts")["trainer"]["step"] == 4
    run(tmp_path / "parts", resume=True)
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")


def test_who_is_not_to_be_looked_at_is_not(tmp_path: Path) -> None:
    run(tmp_path, objective=Bound(), every=1)  # no hook
    assert not any("diagnostics" in line for line in lines(tmp_path))
    trainer = Trainer(Observed(), Schedule(steps=1), device=torch.device("cpu"))
    assert trainer.diagnose(fetch(torch.arange(1))) is None  # nothing to compare


def test_a_collapse_is_said_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "sound")
    assert "collapse" not in capsys.readouterr().err
    deaf = Observed()
    last: Any = deaf.model.recognition.net
    nn.init.zeros_(last[-1][-1].weight)
    run(tmp_path / "collapsed", objective=deaf, rate=0.0)
    assert "step 3: posterior collapse: none of 2" in capsys.readouterr().err
