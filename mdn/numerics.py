"""What all here needs: float32 arithmetic, weights, and noise from a generator of one's own."""

from collections.abc import Sequence

import torch
from torch import Tensor

EXACT = "donot_use_mm_for_euclid_dist"  # of cdist: no digits lost where points are nearly the same


def full(x: Tensor) -> Tensor:
    """float32 of a half-precision tensor; float32 and float64 stay as they are.

    >>> full(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def masses(weights: Tensor | None, samples: Tensor) -> Tensor:
    """What each of N samples counts, `(N,)`, summing to 1; equal without weights.

    Raises:
        ValueError: not one a sample, negative, not finite, or all 0.

    >>> masses(torch.tensor([1, 3]), torch.zeros(2, 5))
    tensor([0.2500, 0.7500])
    """
    n = len(samples)
    if weights is None:
        return samples.new_full((n,), 1 / n)
    mass = full(weights).to(samples)
    if mass.shape != (n,) or not bool((mass >= 0).all() and 0 < mass.sum() < torch.inf):
        raise ValueError(
            f"got weights of shape {tuple(weights.shape)} for {n} samples; expected one a sample, "
            "finite, none negative and not all 0"
        )
    return mass / mass.sum()


def no_autocast(x: Tensor) -> torch.autocast:
    """A context in which autocast leaves the matrix products on the device of `x` alone.

    >>> with torch.autocast("cpu", torch.bfloat16), no_autocast(torch.ones(1)):
    ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
    torch.float32
    """
    return torch.autocast(x.device.type, enabled=False)


def standard_normal(
    shape: Sequence[int], *, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draws from N(0, 1) with the dtype and device of `like`.

    They are drawn where the generator lives, so that one on the CPU gives the same draws for
    tensors on any device.

    >>> a, b = (torch.Generator().manual_seed(0) for _ in range(2))
    >>> x = torch.zeros(3)
    >>> bool((standard_normal((3,), like=x, generator=a)
    ...       == standard_normal((3,), like=x, generator=b)).all())
    True
    """
    device = like.device if generator is None else generator.device
    noise = torch.randn(shape, generator=generator, dtype=like.dtype, device=device)
    return noise.to(like.device)
