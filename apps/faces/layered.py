"""disCVAE: a face in front of a background, each with a latent of its own (Yan et al., 2016, 3.2).

Two things differ from the release. Layers are composited, $x = \\alpha f + (1 - \\alpha) b$, where
the release adds them, so that a background pixel of its foreground is a number below black. And
without masks to learn from, a prior over the gate takes their place: the middle of an aligned face
picture is face, its upper corners are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from apps.faces.attr2img import Encoder, Painter
from apps.faces.attributes import OFFERED
from cvae.distributions import DiagonalNormal, Reparameterised
from cvae.model import CVAE
from cvae.networks import StandardPrior

GATE = 0.3  # weight of the gate's prior, that of the release's mask


@dataclass(frozen=True)
class LayeredSize:
    """`width` 64 and latents of 192 and 64 are the authors'."""

    width: int = 64
    front: int = 192
    back: int = 64
    attributes: int = len(OFFERED)


class Layers(Reparameterised):
    """q(z | x, y) = q(f | x, y) q(b | x, y, f), z = [f, b]; `(B, D)`."""

    def __init__(self, front: DiagonalNormal, behind: "Behind", x: Tensor, y: Tensor) -> None:
        self.front, self.behind, self.x, self.y = front, behind, x, y
        event = torch.Size((front.event_shape[0] + behind.latent,))
        super().__init__(front.batch_shape, event, validate_args=False)

    @property
    def mean(self) -> Tensor:
        f = self.front.mean
        return torch.cat([f, self.behind(self.x, self.y, f).mean], -1)

    def rsample(
        self, sample_shape: Sequence[int] = (), *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw with a gradient, `sample_shape + (B, D)`."""
        f = self.front.rsample(sample_shape, generator=generator)
        b = self._back(f).rsample((), generator=generator)
        return torch.cat([f, b], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        size = self.front.event_shape[0]
        f, b = value[..., :size], value[..., size:]
        return self.front.log_prob(f) + self._back(f).log_prob(b)

    def kl_standard(self, z: Tensor) -> Tensor:
        """KL to N(0, I) a dimension, `(B, D)`, that of the background given the drawn z."""
        f = z[..., : self.front.event_shape[0]]
        return torch.cat([self.front.kl_standard(), self._back(f).kl_standard()], -1)

    def _back(self, f: Tensor) -> DiagonalNormal:
        flat = f.reshape(-1, f.shape[-1])
        k = len(flat) // len(self.x)
        found = self.behind(self.x.repeat(k, 1, 1, 1), self.y.repeat(k, 1), flat)
        shape = (*f.shape[:-1], self.behind.latent)
        return DiagonalNormal(found.loc.view(shape), found.logvar.view(shape))


class Behind(nn.Module):
    """q(b | x, y, f): sees the whole picture, the requests, and what is in front."""

    def __init__(self, *, width: int, front: int, latent: int, attributes: int) -> None:
        super().__init__()
        self.latent = latent
        self.read = Encoder(width=width, latent=latent, attributes=attributes + front)

    def forward(self, x: Tensor, y: Tensor, f: Tensor) -> DiagonalNormal:
        return self.read(x, torch.cat([y, f], 1))


class LayeredEncoder(nn.Module):
    """Recognition network: (face, requests) -> `Layers`."""

    def __init__(self, *, width: int, front: int, back: int, attributes: int) -> None:
        super().__init__()
        self.front = Encoder(width=width, latent=front, attributes=attributes)
        self.behind = Behind(width=width, front=front, latent=back, attributes=attributes)

    def forward(self, x: Tensor, y: Tensor) -> Layers:
        return Layers(self.front(x, y), self.behind, x, y)


class LayeredDecoder(nn.Module):
    """Generation network: the face and its gate from f and the requests, what is behind from b.

    Shapes: z `(B k, D)`, requests of B faces, k answers each in a row -> `(B k, 3, 64, 64)`.
    """

    def __init__(self, *, width: int, front: int, back: int, attributes: int) -> None:
        super().__init__()
        self.front_size = front
        self.say = nn.Sequential(nn.Linear(attributes, 2 * front), nn.ReLU())
        self.front = Painter(width=width, inputs=3 * front)
        self.face = nn.Conv2d(width, 3, 5, padding=2)
        self.gate = nn.Conv2d(width, 1, 5, padding=2)
        self.back = Painter(width=width, inputs=back)
        self.scene = nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        face, gate, scene = self.layers(z, y)
        alpha = gate.sigmoid()
        return alpha * face + (1 - alpha) * scene

    def layers(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Face and scene in [-1, 1], `(B k, 3, 64, 64)`, and the gate's logits, one channel."""
        f, b = z[:, : self.front_size], z[:, self.front_size :]
        y = self.say(y).repeat_interleave(len(z) // len(y), 0)
        x = self.front(torch.cat([f, y], 1))
        return torch.tanh(self.face(x)), self.gate(x), torch.tanh(self.scene(self.back(b)))


def build_layered(size: LayeredSize) -> CVAE:
    """Networks for requests `(B, A)` and faces `(B, 3, 64, 64)` in [-1, 1].

    Example:
        >>> model = build_layered(LayeredSize(width=4, front=6, back=2, attributes=5)).eval()
        >>> model.sample(torch.zeros(2, 5), k=3).shape
        torch.Size([2, 3, 3, 64, 64])
    """
    parts = {
        "width": size.width,
        "front": size.front,
        "back": size.back,
        "attributes": size.attributes,
    }
    return CVAE(
        condition=nn.Identity(),
        recognition=LayeredEncoder(**parts),
        prior=StandardPrior(size.front + size.back),
        generation=LayeredDecoder(**parts),
    )


class LayeredObjective(nn.Module):
    """Smooth L1 of the composite, the two divergences, and the gate against its prior."""

    def __init__(self, model: CVAE) -> None:
        super().__init__()
        self.model = model
        self.middle: Tensor
        self.register_buffer("middle", gate_prior(64), persistent=False)

    def observed(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return batch[0], batch[1]

    def forward(
        self, batch: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (x, y, ...), and its parts."""
        x, y, *_ = batch
        posterior: Layers = self.model.recognition(x, y)
        z = posterior.rsample((), generator=generator)
        generation: LayeredDecoder = self.model.generation  # type: ignore[assignment]
        face, gate, scene = generation.layers(z, y)
        alpha = gate.sigmoid()
        painted = alpha * face + (1 - alpha) * scene
        terms = {
            "pixels": F.smooth_l1_loss(painted, x, reduction="sum") / len(x),
            "kl": posterior.kl_standard(z).sum(-1).mean(),
            "gate": GATE
            * F.binary_cross_entropy_with_logits(
                gate, self.middle.expand_as(gate), reduction="sum"
            )
            / len(x),
        }
        loss = torch.stack(list(terms.values())).sum()
        return loss, {name: term.detach() for name, term in terms.items()}


def gate_prior(size: int) -> Tensor:
    """How probably each pixel is face, `(1, size, size)`: an ellipse in the middle, open below.

    Example:
        >>> prior = gate_prior(64)
        >>> bool(prior[0, 32, 32] > 0.9), bool(prior[0, 2, 2] < 0.1), bool(prior[0, 62, 32] > 0.9)
        (True, True, True)
    """
    line = (torch.arange(size) + 0.5) / size
    y, x = line[:, None], line[None, :]
    # the half axes of a head in the common frame; a neck and shoulders below it
    head = ((x - 0.5) / 0.36).square() + ((y - 0.5) / 0.45).square()
    below = ((x - 0.5) / 0.36).square().expand(size, size)
    inside = torch.where(y < 0.5, head, torch.minimum(head, below))
    return torch.sigmoid(8 * (1 - inside))[None]
