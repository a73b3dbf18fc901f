"""Requests with one attribute turned round, as a person toggles it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS, partners

SEEN = 0.5  # of what is turned, the share that is dealt to the attributes that are seen best


def turn(y: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A share of requests with one attribute turned round, open ones either way; and which it is.

    What excludes an attribute that goes on goes off, as on the page.

    Shapes: y `(B, A)` over `OFFERED` in {-1, 0, 1} -> as y, and `(B, A)` in {0, 1}.

    Example:
        >>> from apps.faces.attributes import OFFERED
        >>> asked, which = turn(-torch.ones(8, len(OFFERED)), 1.0, torch.Generator())
        >>> bool((asked[which > 0] == 1).all()), int(which.sum())
        (True, 8)
    """
    rows, device = len(y), y.device
    rand = torch.rand((3, rows), generator=generator, device=device)
    any_of = torch.randint(y.shape[1], (rows,), generator=generator, device=device)
    best = torch.tensor(STRONG_COLUMNS, device=device)
    best = best[torch.randint(len(best), (rows,), generator=generator, device=device)]
    which = F.one_hot(torch.where(rand[0] < SEEN, best, any_of), y.shape[1]).to(y.dtype)
    which = which * (rand[1] < share)[:, None]
    sign = (rand[2] < 0.5)[:, None] * 2.0 - 1
    asked = torch.where(which > 0, torch.where(y != 0, -y, sign), y)
    excluded = (which * asked).clamp(min=0) @ partners().to(y) > 0
    return asked.masked_fill(excluded, -1), which
