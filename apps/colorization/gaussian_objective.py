"""What the CVAE with a plain Gaussian prior is trained on: the bound, and nothing beside it."""

import torch
from torch import Tensor

from apps.colorization.objective import Objective
from cvae.objective import elbo, kl_per_dimension


class ConditionalElbo(Objective):
    r"""Loss of a batch, $-\eta\,(E_q[\log p(C | z, G)] - \beta\,KL(q(z | C, G) \| p(z | G)))$.

    Sohn et al. (2015), Eq. 4, with the reconstruction of `Objective`. Of the weights it reads
    those of the reconstruction, `kl` (β) and `nats` (η). No warm-up and no free bits: a
    reconstruction of hundreds of nats keeps the posterior from collapsing.
    """

    def loss(
        self, grey: Tensor, chroma: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.model.condition(grey)
        posterior = self.model.posterior(chroma, features)
        z = posterior.rsample((), generator=generator)
        painted = self.model.decode(z[None], features)[:, 0].float()
        reconstruction = self.reconstruction(painted, chroma)
        kl = kl_per_dimension(posterior, self.model.prior(features))
        loss = -self.weights.nats * elbo(-reconstruction, kl, beta=self.weights.kl)
        stats = {
            "reconstruction": reconstruction.mean().detach(),
            "kl": kl.sum(-1).mean().detach(),
            "error": (painted - chroma).abs().mean().detach(),
        }
        return loss, stats
