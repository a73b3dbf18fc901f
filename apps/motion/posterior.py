"""What a model can say of a window whose motion it is shown: the floor, a bound on p(Y | X)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from apps.motion import cells
from apps.motion.data import Windows
from apps.motion.rows import Scored
from cvae.model import CVAE
from cvae.objective import importance_weighted_bound

AT_ONCE = 10  # draws that are decoded together
DRAWS = 64  # that the bound is taken over

Likelihood = Callable[[Tensor, Tensor], Tensor]


class Reconstruction(Scored):
    """Draws from q(z | Y, X), decoded: how near the answers of a perfect prior could come."""

    def __init__(self, name: str, model: CVAE) -> None:
        super().__init__(name)
        self.model = model.eval()

    @torch.inference_mode()
    def sets(
        self, windows: Windows, ks: Sequence[int], *, generator: torch.Generator
    ) -> dict[int, Tensor]:
        frames, motion, _ = (t.to(generator.device) for t in windows.tensors(slice(None)))
        scene = self.model.condition(frames)
        z = self.model.posterior(motion, scene).sample((max(ks),), generator=generator)
        drawn = []
        for part in z.split(AT_ONCE):
            said = self.model.decode(part, scene)
            drawn.append(cells.expected(said.flatten(0, 1)).unflatten(0, said.shape[:2]))
        answers = torch.cat(drawn, 1)
        return {k: answers[:, :k] for k in ks}


@torch.inference_mode()
def importance_nll(
    model: CVAE,
    windows: Windows,
    *,
    generator: torch.Generator,
    likelihood: Likelihood = cells.log_likelihood,
    draws: int = DRAWS,
) -> Tensor:
    """Bound above -log p(Y | X) by importance sampling from the posterior, `(B,)` nats.

    See `cvae.objective.importance_weighted_bound`: in expectation never too good, and nearer with
    more draws.

    Args:
        likelihood: (what the decoder says, coefficients in px) -> log p(Y | z, X) `(B,)`.
    """
    frames, motion, _ = (t.to(generator.device) for t in windows.tensors(slice(None)))
    scene = model.condition(frames)
    prior, q = model.prior(scene), model.posterior(motion, scene)
    joints, proposals = [], []
    for _ in range(draws):
        z = q.sample((), generator=generator)
        said = model.decode(z[None], scene)[:, 0]
        joints.append(likelihood(said, motion) + prior.log_prob(z))
        proposals.append(q.log_prob(z))
    return -importance_weighted_bound(torch.stack(joints), torch.stack(proposals))
