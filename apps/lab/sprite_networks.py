"""Networks for pictures of 64x64, small enough for a sweep on two processor cores.

In the spirit of the nets that dSprites is published with (Burgess et al., 2018: convolutions of
4x4 that halve, 256 features, ten latents). The two finest of their four halvings are one step
here, 4x4 pixels at a time, which takes a third of the time.
"""

from torch import Tensor, nn

from cvae.distributions import DiagonalNormal

COARSE = 4  # pixels a side of the coarsest map


class SpriteRecognition(nn.Module):
    """Pictures `(B, 1, 64, 64)` -> q(z | x); of what it is told it sees nothing."""

    def __init__(self, *, width: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=4),
            nn.ReLU(),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * COARSE**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * latent),
        )

    def forward(self, x: Tensor, features: Tensor) -> DiagonalNormal:
        mean, logvar = self.see(x).chunk(2, 1)
        return DiagonalNormal(mean, logvar)


class SpriteGeneration(nn.Module):
    """z `(B k, D)` -> logits `(B k, 1, 64, 64)`, the mirror of `SpriteRecognition`."""

    def __init__(self, *, width: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.draw = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * width * COARSE**2),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, COARSE, COARSE)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=4),
        )

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        return self.draw(z)
