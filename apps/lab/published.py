"""Figures that others published, and where."""

from typing import NamedTuple


class Published(NamedTuple):
    """Nats, by so many draws of the importance-weighted bound, and who says so."""

    nats: float
    draws: int
    source: str


PYTHAE = "pythae's table of reproduced results (the paper that it follows says {})"

# -log p(x) by recipe; pixels drawn once are not those of the published static set
NLL = {
    "vae-static": Published(89.78, 200, PYTHAE.format("89.9")),
    "iwae-50": Published(86.82, 5000, PYTHAE.format("87.1")),
    "vae-dynamic": Published(86.76, 5000, "Burda et al. (2016); yoonholee/pytorch-vae has 87.01"),
}

# as ours but drawn otherwise, and the signs are those of losses
SPRITES = (
    "pythae's table of reproduced results has an ELBO of 85.54, and 710.41 of the modified one, "
    "for a β-TC-VAE after 50 epochs of dSprites: pictures of the same kind and size, drawn "
    "otherwise, so that it compares in kind only."
)

TUTORIAL = "the conditional VAE tutorial of Pyro, after Sohn et al. (2015)"
# -log p(hidden | given) by the number of quadrants given
GUESSES = {1: 100.4, 2: 61.9, 3: 25.4}
QUADRANTS = {1: 71.8, 2: 51.0, 3: 24.2}
