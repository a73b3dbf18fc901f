"""Two networks that read attributes: one that people use, and one that only judges.

The judge has another architecture than anything that takes part in training, and sees other
faces: whoever trains against a network learns what that network likes.
"""

import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torchvision.models import resnet18

from cvae.networks import ConvEncoder


class Reader(nn.Module):
    """Small network that reads the attributes of an upload.

    Shapes: face `(B, 3, 64, 64)` in [-1, 1] -> logits `(B, A)`.
    """

    def __init__(self, *, width: int, attributes: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.see = ConvEncoder(channels=3, size=64, outputs=attributes, widths=widths)

    def forward(self, x: Tensor) -> Tensor:
        return self.see(x)


class Evaluator(nn.Module):
    """ResNet-18 (He et al., 2016) that measures faces, real and made, and is never trained on.

    Shapes: face `(B, 3, 64, 64)` in [-1, 1] -> logits `(B, A)`; `features` gives `(B, 512)`.
    """

    def __init__(self, *, attributes: int) -> None:
        super().__init__()
        self.body = resnet18(weights=None, num_classes=attributes)
        self.last = self.body.fc
        self.body.fc = nn.Identity()  # type: ignore[assignment]

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))


class ClassifierObjective(nn.Module):
    """Cross-entropy summed over attributes, each label 0, 1 or (from a machine) between."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: tuple[Tensor, ...], generator: Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (x, y, ...) with y in [-1, 1], and its parts."""
        x, y, *_ = batch
        logits = self.model(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), (y + 1) / 2, reduction="none")
        right = ((logits > 0) == (y > 0)).float().mean()
        return loss.sum(1).mean(), {"accuracy": right.detach()}
