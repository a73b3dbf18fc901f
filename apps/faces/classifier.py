"""Two networks that read attributes: one that people use, and one that only judges.

The judge has another architecture than anything that takes part in training, and sees other
faces: whoever trains against a network learns what that network likes.
"""

from torch import Generator, Tensor, nn
from torchvision.models import resnet18

from apps.faces.objective import attribute_loss
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
        self.body.fc = nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))


class ClassifierObjective(nn.Module):
    """Cross-entropy, nats an attribute, over the labels that are known."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, batch: tuple[Tensor, ...], generator: Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (x, y, ...), y `(B, A)` with 1 on, -1 off, 0 not known, and its parts."""
        x, y, *_ = batch
        logits = self.model(x)
        right = (logits * y > 0).sum() / (y != 0).sum().clamp(min=1)
        return attribute_loss(logits, y), {"accuracy": right}
