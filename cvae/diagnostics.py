"""What a conditional VAE does with its latent: what it carries, and whether the prior knows it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cvae.distributions import DiagonalNormal
from cvae.model import CVAE
from cvae.objective import active_units, kl_per_dimension

REPEATS = 16  # a law whose moments are not known is drawn so many times as often


@dataclass(frozen=True)
class Diagnostics:
    """What `diagnose` found; all means over the data it was shown.

    Args:
        kl: KL(q(z | x, c) || p(z | c)), nats.
        kl_per_dimension: nats a dimension, with laws that are no diagonal Gaussians taken for
            the ones with their moments; these then need not sum to `kl`.
        active_units: how many dimensions tell more of x than c does.
        gap: from 0, where draws of the prior are as those of posteriors, to 1.

    Example:
        >>> found = Diagnostics(kl=0.002, kl_per_dimension=[0.001, 0.001], active_units=0, gap=0.0)
        >>> found.warning.split(",")[0]
        'posterior collapse: none of 2 latent dimensions tells of x (0.002 nats in all)'
    """

    kl: float
    kl_per_dimension: Sequence[float]
    active_units: int
    gap: float

    @property
    def warning(self) -> str | None:
        """One sentence where the posterior has collapsed: what was found, and what to try."""
        if self.active_units:
            return None
        return (
            f"posterior collapse: none of {len(self.kl_per_dimension)} latent dimensions tells of "
            f"x ({self.kl:.3g} nats in all), so draws of z make no difference; warm the weight of "
            "the KL up, give it free bits, or weaken the decoder"
        )

    def stats(self) -> dict[str, Any]:
        """Plain numbers for JSON, of which `Diagnostics(**stats)` makes the same again.

        Example:
            >>> Diagnostics(kl=1.23456789, kl_per_dimension=[1.0], active_units=1, gap=0.5).stats()
            {'kl': 1.234568, 'kl_per_dimension': [1.0], 'active_units': 1, 'gap': 0.5}
        """
        return {
            "kl": round(self.kl, 6),
            "kl_per_dimension": [round(nats, 6) for nats in self.kl_per_dimension],
            "active_units": self.active_units,
            "gap": round(self.gap, 6),
        }


@torch.no_grad()
def diagnose(
    model: CVAE,
    batches: Iterable[tuple[Tensor, Any]],
    *,
    draws: int = 16,
    generator: torch.Generator | None = None,
) -> Diagnostics:
    r"""Look at a model through some batches of (x, c); nothing about it is changed.

    With $\mu, \sigma$ the moments of the prior p(z | c) and u = (z - μ) / σ:

    - KL in closed form between diagonal Gaussians, by draws of the posterior elsewhere;
    - active units, $\mathrm{Var}_{x, c}(E_q[u_d]) > 0.01$: with a prior N(0, I) those of Burda et
      al. (2016); in units of a learned one a latent that only repeats c does not count;
    - the gap between draws of posteriors, u, and of priors, u', over all (x, c), as their energy
      coefficient (Székely & Rizzo, 2013),

    .. math:: \frac{2 E\|u - u'\| - E\|u_1 - u_2\| - E\|u'_1 - u'_2\|}{2 E\|u - u'\|},

    which is 0 if and only if both have one law, as they must for decoded draws of the prior to be
    as good as what the decoder was trained on (the marginal KL of Hoffman & Johnson, 2016, asks
    the same, but needs a density). The estimate is unbiased above the line: near 0 it may be
    negative, by about one over the root of the rows in a batch.

    Args:
        batches: x `(B, ...)` and c as the model takes them, B at least 2; some hundred rows do.
        draws: latents a row, at once. Moments that are not known are those of 16 times as many.

    Raises:
        ValueError: there is no batch, or one of a single row.

    Example:
        >>> from cvae.networks import StandardPrior
        >>> class Copy(nn.Module):
        ...     def forward(self, x, c):
        ...         return DiagonalNormal(x, torch.zeros_like(x))
        >>> model = CVAE(condition=nn.Identity(), recognition=Copy(), prior=StandardPrior(2),
        ...              generation=nn.Identity())
        >>> x = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> found = diagnose(model, [(x, x)], generator=torch.Generator().manual_seed(0))
        >>> found.kl, found.kl_per_dimension, found.active_units
        (0.5, [0.5, 0.0], 1)
    """
    with _still(model):
        parts = [_measure(model, x, c, draws, generator) for x, c in batches]
    if not parts:
        raise ValueError("got no batch, expected at least one of (x, c)")
    kl, dimensions, means, distances = (
        torch.cat([row.cpu() for row in rows]) for rows in zip(*parts, strict=True)
    )
    between, within = distances.mean(0).tolist()
    return Diagnostics(
        kl=kl.mean().item(),
        kl_per_dimension=dimensions.mean(0).tolist(),
        active_units=active_units(means),
        gap=1 - within / between if between else 0.0,
    )


def _measure(
    model: CVAE, x: Tensor, c: Any, draws: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of each row: KL `(B,)` and a dimension `(B, D)`, mean of u `(B, D)`, distances `(B, 2)`."""
    if len(x) < 2:
        raise ValueError(f"got a batch of {len(x)}, expected at least 2 rows: they are compared")
    features = model.condition(c)
    posterior, prior = model.posterior(x, features), model.prior(features)
    q, p = (_gaussian(law, draws, generator) for law in (posterior, prior))
    z, other = (law.sample((draws,), generator=generator) for law in (posterior, prior))
    dimensions = kl_per_dimension(q, p)
    if q is posterior and p is prior:
        kl = dimensions.sum(-1)
    else:  # one draw a row at a time: that much every law takes
        kl = torch.stack([posterior.log_prob(row) - prior.log_prob(row) for row in z]).mean(0)
    u, v = (z - p.loc) / p.scale, (other - p.loc) / p.scale
    # rows apart only: two draws for one row share what c says
    distances = torch.stack([_apart(u, v), (_apart(u, u) + _apart(v, v)) / 2], 1)
    return kl, dimensions, (q.loc - p.loc) / p.scale, distances


def _gaussian(law: Any, draws: int, generator: torch.Generator | None) -> DiagonalNormal:
    """The law itself if it is a diagonal Gaussian, or else the one with the moments of draws."""
    if isinstance(law, DiagonalNormal):
        return law
    z = torch.cat([law.sample((draws,), generator=generator) for _ in range(REPEATS)])
    return DiagonalNormal(z.mean(0), z.var(0).log())


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Mean distance of each row from all others, `(S, B, D)` each -> `(B,)`.

    A draw at a time: all at once would be most of what a small model's training holds.
    """
    distances = (torch.cdist(u, v) for u, v in zip(a, b, strict=True))  # (B, B)
    others = [apart.sum(1) - apart.diagonal() for apart in distances]
    return torch.stack(others).mean(0) / (a.shape[1] - 1)


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """In `eval` mode, each part afterwards in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
