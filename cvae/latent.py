"""Ways to walk a latent space: what to hand to a decoder, and what a picture asks of it.

Every function takes and gives tensors; decoding and drawing are the caller's.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cvae.model import Latent


def traverse(z: Tensor, dims: Sequence[int], values: Sequence[float] | Tensor) -> Tensor:
    """One latent with one dimension at a time set to each value, all else as it was.

    Shapes: z `(D,)` -> `(len(dims), len(values), D)`.

    Args:
        dims: which dimensions, each from 0 to D - 1; one row of the result each.
        values: what they are set to, in the units of z; one column each.

    Example:
        >>> traverse(torch.tensor([5.0, 6.0]), [1], [-1.0, 1.0])
        tensor([[[ 5., -1.],
                 [ 5.,  1.]]])
    """
    if z.dim() != 1:
        raise ValueError(f"got z of {tuple(z.shape)}, expected one latent, (D,)")
    _inside(dims, len(z))
    new = torch.as_tensor(values, dtype=z.dtype, device=z.device)
    grid = z.repeat(len(dims), len(new), 1)
    for row, dim in zip(grid, dims, strict=True):
        row[:, dim] = new
    return grid


def _inside(dims: Sequence[int], size: int) -> None:
    wrong = [dim for dim in dims if not 0 <= dim < size]
    if wrong:
        raise ValueError(f"got dimensions {wrong}, expected 0 to {size - 1}: z has {size}")


def linear(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """The straight way from a to b, both ends included: (1 - t) a + t b.

    Between two draws of a high-dimensional Gaussian it passes where hardly any draw lies, too
    near to the mean; see `spherical`.

    Shapes: a and b `(..., D)` -> `(..., steps, D)`, `steps` at least 2.

    Example:
        >>> linear(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0]), 3)
        tensor([[0., 1.],
                [1., 1.],
                [2., 1.]])
    """
    t = _times(steps, a)
    return (1 - t) * a.unsqueeze(-2) + t * b.unsqueeze(-2)


def spherical(a: Tensor, b: Tensor, steps: int) -> Tensor:
    r"""The way from a to b along the arc between them, both ends included (slerp).

    .. math:: \frac{\sin((1 - t)\theta)}{\sin\theta} a + \frac{\sin(t\theta)}{\sin\theta} b,
              \quad \theta = \angle(a, b)

    Shoemake (1985); for latents White (2016). Where a and b have one length so has every step,
    and the steps turn by equal angles. Where the arc is not defined (a or b is zero, or they
    point the same or exactly opposite ways) the way is the straight one.

    Shapes: a and b `(..., D)` -> `(..., steps, D)`, `steps` at least 2; each pair has its own θ.

    Example:
        >>> spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3)
        tensor([[1.0000, 0.0000],
                [0.7071, 0.7071],
                [0.0000, 1.0000]])
    """
    first, last = a.double().unsqueeze(-2), b.double().unsqueeze(-2)
    u, v = (x / _length(x).clamp(min=1e-300) for x in (first, last))
    # Kahan's angle: exact to rounding where the arc cosine is not, near 0 and π
    theta = 2 * torch.atan2(_length(u - v), _length(u + v))
    sine = theta.sin()
    arc = (sine > 1e-6) & (u != 0).any(-1, keepdim=True) & (v != 0).any(-1, keepdim=True)
    safe = sine.where(arc, 1)
    t = _times(steps, first)
    start = torch.where(arc, ((1 - t) * theta).sin() / safe, 1 - t)
    end = torch.where(arc, (t * theta).sin() / safe, t)
    return (start * first + end * last).to(torch.promote_types(a.dtype, b.dtype))


def _length(x: Tensor) -> Tensor:
    return x.norm(dim=-1, keepdim=True)


def _times(steps: int, like: Tensor) -> Tensor:
    """Even times from 0 to 1, `(steps, 1)`."""
    if steps < 2:
        raise ValueError(f"got {steps} steps, expected at least 2: both ends are included")
    return torch.linspace(0, 1, steps, dtype=like.dtype, device=like.device).unsqueeze(1)


def manifold(steps: int, dims: tuple[int, int] = (0, 1), *, base: Tensor | None = None) -> Tensor:
    r"""Two dimensions over a grid of Gaussian quantiles, $\Phi^{-1}((i + \frac12)/n)$.

    Kingma & Welling (2014), figure 4: the unit square, spaced evenly, through the inverse of
    the Gaussian's distribution function, so that every cell has the same probability under
    N(0, I). `grid[i, j]` has quantile i in the first dimension and j in the second.

    Shapes: `(steps, steps, D)`.

    Args:
        base: `(D,)`, where the other dimensions stay; left out, D is 2.

    Example:
        >>> manifold(2)[0]
        tensor([[-0.6745, -0.6745],
                [-0.6745,  0.6745]])
    """
    z = torch.zeros(2) if base is None else base
    _inside(dims, len(z))
    if steps < 1 or dims[0] == dims[1]:
        raise ValueError(f"got {steps} steps of {dims}, expected 1 or more of two dimensions")
    middles = (torch.arange(steps, dtype=torch.float64, device=z.device) + 0.5) / steps
    quantiles = torch.special.ndtri(middles).to(z.dtype)
    grid = z.repeat(steps, steps, 1)
    grid[..., dims[0]] = quantiles[:, None]
    grid[..., dims[1]] = quantiles
    return grid


def direction(positive: Tensor, negative: Tensor, *, others: Tensor | None = None) -> Tensor:
    r"""The step from latents without an attribute to latents with it: difference of means.

    Larsen et al. (2016), section 4.2: add it to a latent and the decoder adds the attribute.
    Attributes that come together (beards and men) share their direction; given the `others`, the
    part of the step that they explain by least squares is taken out, $d - O^{+} O\, d$, and what
    remains is at right angles to each (the conditional step of Shen et al., 2020).

    Shapes: positive `(N, D)`, negative `(M, D)` -> `(D,)`, in the units of the latents.

    Args:
        others: `(K, D)`, directions to leave alone; they may depend on each other.

    Example:
        >>> ones = torch.ones(3, 2)
        >>> direction(ones, -ones)
        tensor([2., 2.])
        >>> direction(ones, -ones, others=torch.tensor([[0.0, 3.0]]))
        tensor([2., 0.])
    """
    for name, group in (("positive", positive), ("negative", negative)):
        if group.dim() != 2 or len(group) == 0:
            raise ValueError(f"got {name} of {tuple(group.shape)}, expected (N, D) with N > 0")
    step = positive.double().mean(0) - negative.double().mean(0)
    if others is not None:
        basis = others.double()
        # what is rounding in the precision of the input must not count as one more direction
        rounding = max(basis.shape) * torch.finfo(others.dtype).eps
        step = step - step @ torch.linalg.pinv(basis, rtol=rounding) @ basis
    return step.to(positive.dtype)


def optimise(
    decode: Callable[[Tensor], Tensor],
    x: Tensor,
    mask: Tensor,
    start: Tensor | int,
    *,
    prior: Latent,
    noise: float,
    steps: int = 100,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""The latents that explain what is seen of a picture, from k starts at once.

    .. math:: \hat z = \arg\max_z \log N(x_s;\, \mathrm{decode}(z)_s, \sigma^2 I) + \log p(z)

    over the seen pixels s; decoded, $\hat z$ fills the rest. With nothing seen this is a mode of
    the prior. L-BFGS with one strong-Wolfe line search for all starts (Nocedal & Wright, 2006,
    chapter 7): each start may end in an optimum of its own, and all are done sooner than with
    Adam, which needs a rate. What the mask hides of x is never read, and no parameter of the
    decoder gathers a gradient; put it into `eval` mode, so that rows do not mix.

    Shapes: x `(C, H, W)`, mask `(1, H, W)` -> z `(k, D)` and its log joint `(k,)` in nats,
    likeliest first.

    Args:
        decode: z `(k, D)` -> means of x, `(k, C, H, W)`.
        mask: 1 where x is seen, 0 where hidden; what lies between weighs the pixel.
        start: `(k, D)`, or k, for k draws of the prior.
        prior: p(z), or p(z | c) for one condition.
        noise: σ, in the units of x. Larger trusts the prior more.
        steps: bound on passes through the decoder, give or take one line search.
        generator: of the draws; without effect where `start` is given.

    Example:
        >>> from cvae.distributions import DiagonalNormal
        >>> prior = DiagonalNormal(torch.zeros(1), torch.zeros(1))
        >>> x, mask = torch.tensor([[[2.0, 9.0]]]), torch.tensor([[[1, 0]]])
        >>> def decode(z):
        ...     return z[:, None, None].expand(-1, 1, 1, 2)
        >>> z, joint = optimise(decode, x, mask, torch.zeros(1, 1), prior=prior, noise=1.0)
        >>> z  # halfway from the prior's 0 to the seen 2
        tensor([[1.]])
    """
    x, mask = _seen(x, mask)
    if not 0 < noise < math.inf:
        raise ValueError(f"got noise {noise}, expected one standard deviation above 0")
    if isinstance(start, int):
        start = prior.sample((start,), generator=generator).flatten(1)
    z = start.detach().clone().requires_grad_()
    constant = len(x) * mask.sum() * math.log(noise * math.sqrt(2 * math.pi))

    def log_joint(z: Tensor) -> Tensor:
        error = (decode(z) - x) / noise
        joint = prior.log_prob(z) - 0.5 * (mask * error.square()).flatten(1).sum(1) - constant
        if joint.shape != (len(z),):
            raise ValueError(f"got log joints {tuple(joint.shape)}, expected one for each start")
        return joint

    def loss() -> Tensor:
        total = -log_joint(z).sum()
        (z.grad,) = torch.autograd.grad(total, z)
        return total.detach()

    search = torch.optim.LBFGS(
        [z], max_iter=steps, max_eval=steps, history_size=10, line_search_fn="strong_wolfe"
    )
    with torch.enable_grad():
        search.step(loss)
    with torch.no_grad():
        joint, order = log_joint(z).sort(descending=True)
    return z.detach()[order], joint


def _seen(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The picture with what is hidden set to 0, and the mask as weights."""
    if x.dim() != 3 or mask.shape != (1, *x.shape[1:]):
        raise ValueError(
            f"got x {tuple(x.shape)} and mask {tuple(mask.shape)}, expected (C, H, W) and "
            "(1, H, W) of the same size"
        )
    weights = mask.to(x.dtype)
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError("got a mask beyond [0, 1], expected 1 where x is seen and 0 elsewhere")
    x = x.where(weights > 0, 0)
    if not x.isfinite().all():
        raise ValueError("got seen pixels that are not finite; hide them in the mask")
    return x, weights
