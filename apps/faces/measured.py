"""What is measured of one row of the table."""

from dataclasses import dataclass, field

from torch import Tensor

from apps.faces.judge import Seen
from apps.faces.scores import Requested, Toggles


@dataclass
class Measured:
    """Of one row: `figures` `(R + 1,)` and plain `numbers`, by column; and what the tables by
    attribute and the plots are made of. What does not apply to a row is absent."""

    figures: dict[str, Tensor] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    requested: Requested | None = None
    toggles: Toggles | None = None
    kl: Tensor | None = None  # (D,) nats
    seen: Seen | None = None  # the judge on its faces, one for each held-out face
