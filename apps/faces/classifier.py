"""Two networks that read attributes: one that people use, and one that only judges.

The judge has another architecture than anything that takes part in training, and sees other
faces: whoever trains against a network learns what that network likes.
"""

import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torchvision.models import resnet18

from cvae.layers import ResidualBlock
from cvae.networks import ConvEncoder


class Reader(nn.Module):
    """Small network that reads the attributes of an upload, and tells a model in training how far
    a face is from another and from what was asked for.

    Shapes: face `(B, 3, 64, 64)` in [-1, 1] -> logits `(B, A)`.
    """

    def __init__(self, *, width: int, attributes: int) -> None:
        super().__init__()
        self.widths = (width, 2 * width, 4 * width, 4 * width)
        self.see = ConvEncoder(channels=3, size=64, outputs=attributes, widths=self.widths)

    def forward(self, x: Tensor) -> Tensor:
        return self.see(x)

    def perceive(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Maps `(B, C, h, w)`, finest first, in which faces may be compared, and the logits."""
        features = []
        for level in self.see.levels:
            x = level(x)
            if isinstance(level, ResidualBlock):
                features.append(x)
        return features, self.see.read(x)


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


def attribute_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy, nats an attribute, over what `y` `(B, A)` states (0 states nothing).

    Example:
        >>> import torch
        >>> attribute_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """
    loss = F.softplus(-logits.float() * y)
    stated = y != 0
    return (loss * stated).sum() / stated.sum().clamp(min=1)
