"""Who judges faces: a classifier that no training ever asked, and where it draws its lines."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from apps.faces.frame import to_network
from cvae.fidelity import balanced_threshold

BATCH = 64


class Seen(NamedTuple):
    """What the judge makes of N faces: logits `(N, A)` and features `(N, F)`, on the CPU."""

    logits: Tensor
    features: Tensor


class Judge:
    """Reads faces, real and made, all of them as 8-bit pictures.

    Args:
        network: `features(x)` gives `(B, F)` of faces in [-1, 1], `last` of those logits `(B, A)`;
            an `Evaluator` of `apps.faces.classifier`.
    """

    def __init__(self, network: nn.Module, *, device: torch.device) -> None:
        self.network: Any = network.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def see(self, pixels: Tensor) -> Seen:
        """Logits and features of faces uint8 `(N, 3, 64, 64)`."""
        parts = []
        for part in pixels.split(BATCH):
            features = self.network.features(to_network(part.to(self.device)))
            parts.append((self.network.last(features).float().cpu(), features.float().cpu()))
        logits, features = zip(*parts, strict=True)
        return Seen(torch.cat(logits), torch.cat(features))


def thresholds(logits: Tensor, labels: Tensor) -> Tensor:
    """Per attribute the logit at which the judge is right most evenly, `(A,)`.

    To be found on val. Where val does not know both states it is 0: more probable than not.

    Shapes: logits `(N, A)`, labels `(N, A)` in {-1, 0, 1}; 0 does not count.
    """
    lines = torch.zeros(labels.shape[1], dtype=torch.float64)
    for column, (scores, states) in enumerate(zip(logits.T, labels.T, strict=True)):
        known = states != 0
        if (states > 0).any() and (states < 0).any():
            lines[column] = balanced_threshold(scores[known], states[known] > 0)
    return lines
