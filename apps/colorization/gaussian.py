"""The plain rival of the mixture: one Gaussian p(z | G), as a conditional VAE is usually given."""

import torch
from torch import Tensor, nn

from apps.colorization.grey import Grey
from cvae.distributions import DiagonalNormal
from cvae.layers import ResidualBlock


class GaussianPrior(nn.Module):
    r"""Map a picture to $p(z | G) = N(\mu(G), \mathrm{diag}(\sigma^2(G)))$, z = [g, s].

    Sohn et al. (2015). As deep as the heads of the recognition network, and convolutional as they
    are, so that it serves a map of any size; starts as N(0, I).

    Shapes: `Grey` of B pictures -> normal over `(B, D)`, D = `palette` + `spatial` h w.
    """

    def __init__(self, *, width: int, palette: int, spatial: int) -> None:
        super().__init__()
        channels = 2 * width
        self.enter = nn.Conv2d(4 * width, channels, 1)
        self.block = ResidualBlock(channels)
        self.spatial = nn.Conv2d(channels, 2 * spatial, 1)
        self.palette = nn.Linear(channels, 2 * palette)
        for parameter in (*self.spatial.parameters(), *self.palette.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, grey: Grey) -> DiagonalNormal:
        x: Tensor = self.block(self.enter(grey.coarse))
        g_mean, g_logvar = self.palette(x.mean((2, 3))).chunk(2, 1)
        s_mean, s_logvar = self.spatial(x).chunk(2, 1)  # (B, S, h, w) each
        mean = torch.cat([g_mean, s_mean.flatten(1)], 1)
        return DiagonalNormal(mean, torch.cat([g_logvar, s_logvar.flatten(1)], 1))
