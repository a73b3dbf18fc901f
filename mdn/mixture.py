"""Mixtures of Gaussians with diagonal, tied or full covariance, all in log-space."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from mdn.modes import mixture_modes
from mdn.numerics import full, no_autocast, standard_normal


class GaussianMixture(Distribution):
    r"""A mixture of K Gaussians in D dimensions.

    .. math:: p(z) = \sum_k \pi_k\, N(z; \mu_k, L_k L_k^\top), \quad \pi = \mathrm{softmax}(\ell)

    Bishop, "Mixture Density Networks", 1994. Nothing is ever exponentiated before it is summed
    by log-sum-exp, so logits of ±1e4 and points far from every component stay finite.

    Shapes: `logits` (..., K), `loc` (..., K, D), and one of

    - `scale` (..., K, D): standard deviations, one diagonal a component,
    - `scale` (..., D): one diagonal that all components share (tied),
    - `scale_tril` (..., K, D, D): lower Cholesky factors, one a component,
    - `scale_tril` (..., D, D): one Cholesky factor that all components share (tied).

    The *number* of dimensions tells a tied scale from one a component, so parameters that
    broadcast over the batch need its dimensions written as 1. Half-precision parameters are
    computed in float32. ValueError if the shapes do not fit; with `validate_args` (the default)
    also if a parameter is not finite, or a scale is not positive.

    >>> mixture = GaussianMixture(torch.zeros(2), torch.tensor([[-3.0], [3.0]]),
    ...                           scale=torch.ones(2, 1))
    >>> mixture.log_prob(torch.tensor([[3.0], [0.0]]))
    tensor([-1.6121, -5.4189])
    >>> mixture.responsibilities(torch.tensor([3.0])).round(decimals=3)
    tensor([0., 1.])
    >>> mixture.sample((5,), generator=torch.Generator().manual_seed(0)).shape
    torch.Size([5, 1])
    """

    logits: Tensor
    loc: Tensor
    scale: Tensor  # there is either this one, (..., K or 1, D),
    scale_tril: Tensor  # or this one, (..., K or 1, D, D)
    has_rsample = True
    support = constraints.real_vector

    def __init__(
        self,
        logits: Tensor,
        loc: Tensor,
        *,
        scale: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 2 or logits.dim() < 1 or logits.shape[-1] != loc.shape[-2]:
            raise ValueError(
                f"got logits {tuple(logits.shape)} and loc {tuple(loc.shape)}; "
                "expected (..., K) and (..., K, D) with the same K"
            )
        if (scale is None) == (scale_tril is None):
            raise ValueError("give either scale (diagonal) or scale_tril (Cholesky factor)")
        components, dim = loc.shape[-2:]
        if scale is not None:
            name, given, event = "scale", scale, [dim]
        elif scale_tril is not None:
            name, given, event = "scale_tril", scale_tril, [dim, dim]
        # Inside, every scale has an axis of groups: K of them, or 1 if the components share it.
        tied = given.dim() == loc.dim() - 2 + len(event)
        groups = 1 if tied else components
        grouped = given.unsqueeze(-len(event) - 1) if tied else given
        if list(grouped.shape[-len(event) - 1 :]) != [groups, *event]:
            raise ValueError(
                f"got loc {tuple(loc.shape)} and {name} {tuple(given.shape)}; expected {name} to "
                f"end in {[components, *event]}, or in {event} with one dimension less (shared)"
            )
        outer = grouped.shape[: -len(event) - 1]
        batch = torch.broadcast_shapes(logits.shape[:-1], loc.shape[:-2], outer)
        self.logits = full(logits).expand(*batch, components)
        self.loc = full(loc).expand(*batch, components, dim)
        setattr(self, name, full(grouped).expand(*batch, groups, *event))
        super().__init__(batch, torch.Size([dim]), validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """What the parameters must satisfy."""
        scale: dict[str, constraints.Constraint] = (
            {"scale": constraints.independent(constraints.positive, 2)}
            if self.diagonal
            else {"scale_tril": constraints.independent(constraints.lower_cholesky, 1)}
        )
        loc = constraints.independent(constraints.real, 2)
        return {"logits": constraints.real_vector, "loc": loc, **scale}

    @property
    def diagonal(self) -> bool:
        """Whether the components have diagonal covariance."""
        return "scale" in self.__dict__

    @property
    def tied(self) -> bool:
        """Whether the components share one covariance."""
        groups = self.scale.shape[-2] if self.diagonal else self.scale_tril.shape[-3]
        return groups == 1

    def __getitem__(self, index: Any) -> "GaussianMixture":
        """The mixtures at an index of the batch: `mixture[3]` is the fourth one.

        >>> GaussianMixture(torch.zeros(4, 2), torch.zeros(4, 2, 3), scale=torch.ones(4, 2, 3))[0]
        GaussianMixture(components: 2, batch_shape: torch.Size([]), event_shape: torch.Size([3]))
        """
        index = index if isinstance(index, tuple) else (index,)
        if len(index) > len(self.batch_shape):
            raise IndexError(f"got {len(index)} indices for batch shape {self.batch_shape}")
        scales = {name: value[index] for name, value in self._scales().items()}
        return GaussianMixture(self.logits[index], self.loc[index], validate_args=False, **scales)

    def temperature(self, t: float) -> "GaussianMixture":
        """The same mixture with the standard deviations of its components multiplied by `t` > 0.

        The logits stay as they are: a cooler mixture is calmer within each component and as
        undecided between them as before.

        >>> mixture = GaussianMixture(torch.zeros(1), torch.zeros(1, 1), scale=torch.ones(1, 1))
        >>> mixture.temperature(0.5).covariance
        tensor([[0.2500]])
        """
        if not (0 < t < math.inf):
            raise ValueError(f"got temperature {t}; expected a positive number")
        return GaussianMixture(self.logits, self.loc, validate_args=False, **self._scales(t))

    def component_log_prob(self, z: Tensor) -> Tensor:
        """log N(z; μ_k, Σ_k) for every component: z (..., D) → (..., K)."""
        if self._validate_args:
            self._validate_sample(z)
        shape = torch.broadcast_shapes(z.shape[:-1], self.batch_shape)
        offset = full(z).expand(*shape, -1).unsqueeze(-2) - self.loc  # (..., K, D)
        if self.diagonal:
            white = offset / self.scale
            log_det = self.scale.log().sum(-1)  # (batch, G)
        else:
            # Usually a view: the batch grows only where z has more than one for a single mixture.
            batch = shape[len(shape) - len(self.batch_shape) :]
            tril = self.scale_tril.expand(*batch, *self.scale_tril.shape[-3:])
            columns = _to_columns(offset, tril)
            columns = torch.linalg.solve_triangular(tril, columns, upper=False)
            white = _from_columns(columns, offset.shape)
            log_det = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        constant = 0.5 * self.loc.shape[-1] * math.log(2 * math.pi)
        return -0.5 * white.square().sum(-1) - log_det - constant

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(z) in nats: z (..., D) → (...)."""
        return torch.logsumexp(self._joint_log_prob(value), -1)

    def responsibilities(self, z: Tensor) -> Tensor:
        """p(k | z), which sums to 1 over the components: z (..., D) → (..., K)."""
        return self._joint_log_prob(z).softmax(-1)

    def rsample(
        self,
        sample_shape: list[int] | tuple[int, ...] = (),
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws (*shape, ..., D), with gradients through the location and scale of the component.

        The choice of the component has no gradient, so `logits` gets none. With a `generator`
        the draws depend on it alone and the global random state is left as it was.
        """
        shape = self._extended_shape(sample_shape)
        chosen = self._choose(shape[:-1], generator)  # (*shape, batch)
        noise = standard_normal(shape, like=self.loc, generator=generator).unsqueeze(-2)
        spread = noise.expand(*shape[:-1], *self.loc.shape[-2:])  # (*shape, batch, K, D)
        if self.diagonal:
            spread = self.scale * spread
        else:
            with no_autocast(self.loc):
                columns = self.scale_tril @ _to_columns(spread, self.scale_tril)
            spread = _from_columns(columns, spread.shape)
        index = chosen[..., None, None].expand(*shape[:-1], 1, shape[-1])
        return (self.loc + spread).gather(-2, index).squeeze(-2)

    def sample(
        self,
        sample_shape: list[int] | tuple[int, ...] = (),
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws (*shape, ..., D) without gradients; see `rsample`."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator)

    @property
    def mean(self) -> Tensor:
        """E[z], (..., D)."""
        return (self.logits.softmax(-1).unsqueeze(-1) * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        """The diagonal of `covariance`, (..., D)."""
        weights = self.logits.softmax(-1).unsqueeze(-1)
        within = self.scale.square() if self.diagonal else self.scale_tril.square().sum(-1)
        between = (self.loc - self.mean.unsqueeze(-2)).square()
        return (weights * (within + between)).sum(-2)

    @property
    def covariance(self) -> Tensor:
        """Σ π_k Σ_k + Σ π_k (μ_k - μ)(μ_k - μ)ᵀ, the law of total variance: (..., D, D)."""
        with no_autocast(self.loc):
            weights = self.logits.softmax(-1)
            offset = self.loc - self.mean.unsqueeze(-2)  # (..., K, D)
            between = (weights.unsqueeze(-1) * offset).mT @ offset
            if self.diagonal:
                within = self.scale.square().diag_embed()  # (..., G, D, D)
            else:
                within = self.scale_tril @ self.scale_tril.mT
            return (weights[..., None, None] * within).sum(-3) + between

    @property
    def modes(self) -> tuple[Tensor, Tensor]:
        """Local maxima (M, D), densest first, and their log-densities: see `mixture_modes`."""
        return mixture_modes(self)

    def _joint_log_prob(self, z: Tensor) -> Tensor:
        return self.logits.log_softmax(-1) + self.component_log_prob(z)

    def _choose(self, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
        # A race of exponential clocks: the first to ring is component k with probability π_k.
        # In log-space, and with the clocks kept above 0, impossible components never win.
        device = self.loc.device if generator is None else generator.device
        clocks = torch.empty(*shape, self.logits.shape[-1], dtype=self.logits.dtype, device=device)
        clocks = clocks.exponential_(generator=generator).to(self.loc.device)
        clocks = clocks.clamp_min(torch.finfo(clocks.dtype).tiny)
        return (clocks.log() - self.logits.detach().log_softmax(-1)).argmin(-1)

    def _scales(self, factor: float = 1.0) -> dict[str, Tensor]:
        # As the constructor takes them: a shared scale without its axis of groups.
        name = "scale" if self.diagonal else "scale_tril"
        value: Tensor = getattr(self, name) * factor
        axis = len(self.batch_shape)
        return {name: value.squeeze(axis) if self.tied and self.loc.shape[-2] > 1 else value}

    def __repr__(self) -> str:
        return (
            f"GaussianMixture(components: {self.logits.shape[-1]}, "
            f"batch_shape: {self.batch_shape}, event_shape: {self.event_shape})"
        )


def _to_columns(x: Tensor, tril: Tensor) -> Tensor:
    # (S..., batch, K, D) -> (batch, G, D, columns): what shares a matrix stands side by side, so
    # that no matrix is copied, or solved again, for every draw.
    *batch, groups, dim, _ = tril.shape
    draws = math.prod(x.shape[: -2 - len(batch)])
    x = x.reshape(draws, *batch, groups, x.shape[-2] // groups, dim)
    return x.movedim(0, -1).movedim(-3, -1).flatten(-2)


def _from_columns(columns: Tensor, shape: torch.Size) -> Tensor:
    each = shape[-2] // columns.shape[-3]
    x = columns.unflatten(-1, (columns.shape[-1] // each, each))
    return x.movedim(-1, -3).movedim(-1, 0).reshape(shape)
