"""A latent out of a list: every vector of a map is replaced by the nearest of K learnt ones.

Van den Oord, Vinyals & Kavukcuoglu (2017), *Neural discrete representation learning*, with the
codebook as moving averages (their appendix A.1; Razavi et al., 2019, Eq. 4), a k-means start, and
codes that nobody uses moved to where the data are.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

KMEANS_STEPS = 10


@dataclass(frozen=True)
class Quantized:
    """A batch after it went through the codebook."""

    latent: Tensor  # (B, D, ...): the code vectors, with the gradient of what they replace
    codes: Tensor  # (B, ...) long in [0, K)
    commitment: Tensor  # (B,): squared distances to the codes, summed over an example
    stats: dict[str, Tensor]  # perplexity, used (share of the codes), revived (how many)


def nearest(points: Tensor, codebook: Tensor) -> Tensor:
    r"""Row of the codebook nearest to each point, $\arg\min_k |z|^2 - 2 z e_k + |e_k|^2$.

    Shapes: `(N, D)` and `(K, D)` -> `(N,)` long; of two as near, the first.

    Example:
        >>> nearest(torch.tensor([[0.1], [0.9]]), torch.tensor([[1.0], [0.0]]))
        tensor([1, 0])
    """
    half = 0.5 * codebook.square().sum(1)  # what is the same for all codes decides nothing
    return torch.addmm(half, points, codebook.T, alpha=-1).argmin(1)


def perplexity(counts: Tensor) -> Tensor:
    r"""How many codes are in use, as it were: $\exp(-\sum_k p_k \log p_k)$, from 1 to K.

    Example:
        >>> perplexity(torch.tensor([5.0, 5.0, 0.0])), perplexity(torch.tensor([9.0, 0.0]))
        (tensor(2.), tensor(1.))
    """
    return torch.special.entr(counts / counts.sum()).sum().exp()


class VectorQuantizer(nn.Module):
    r"""The nearest of K vectors, learnt as the moving average of what they stand for.

    With $n_k$ and $s_k$ the number and sum of the vectors of a batch that are nearest to code k,

    $N_k \leftarrow \gamma N_k + (1-\gamma)\,n_k, \quad
    S_k \leftarrow \gamma S_k + (1-\gamma)\,s_k, \quad e_k = S_k / N_k$.

    A step with γ = 0 is one of k-means. The codebook is no parameter and has no gradient; the
    gradient of the output goes straight to the input. In training mode a forward pass first
    places the codes by k-means if they never were, answers with the codebook as it is, and then
    updates it. Codes with less than `dead` times the mean count move to vectors of the batch.

    All that is learnt lies in buffers, all that is drawn comes from the generator: a resumed run
    goes on exactly. Processes of a group sum their counts and keep one codebook. A batch that is
    not finite changes nothing. Computed in float32 whatever the networks run in.

    Shapes: `(B, D, ...)` -> `Quantized` with codes `(B, ...)`.

    Args:
        codes: K.
        dim: D.
        decay: γ in [0, 1).
        dead: in (0, 1), share of the mean count below which a code is moved.

    Example:
        >>> quantizer = VectorQuantizer(codes=16, dim=4).eval()
        >>> found = quantizer(torch.randn(2, 4, 7, 7))
        >>> found.codes.shape, torch.equal(quantizer.decode(found.codes), found.latent)
        (torch.Size([2, 7, 7]), True)
    """

    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, *, codes: int, dim: int, decay: float = 0.99, dead: float = 0.05) -> None:
        super().__init__()
        if not (0 <= decay < 1 and 0 < dead < 1):
            raise ValueError(
                f"got decay {decay} and dead {dead}, expected 0 <= decay < 1 and 0 < dead < 1"
            )
        self.decay, self.dead = decay, dead
        self.register_buffer("counts", torch.ones(codes))  # N, (K,)
        self.register_buffer("sums", torch.randn(codes, dim))  # S, (K, D)
        self.register_buffer("started", torch.tensor(False))

    @property
    def codebook(self) -> Tensor:
        """The code vectors, `(K, D)`."""
        return self.sums / self.counts[:, None]

    def encode(self, z: Tensor) -> Tensor:
        """Codes of latents `(B, D, ...)`: `(B, ...)` long."""
        with torch.autocast(z.device.type, enabled=False):
            codes = nearest(self._rows(z), self.codebook)
        return codes.view(len(z), *z.shape[2:])

    def decode(self, codes: Tensor) -> Tensor:
        """Code vectors of codes `(B, ...)`: `(B, D, ...)`."""
        # one layout: a convolution rounds in another order where the strides are others
        return self.codebook[codes].movedim(-1, 1).contiguous()

    def forward(self, z: Tensor, *, generator: torch.Generator | None = None) -> Quantized:
        z, rows = z.float(), self._rows(z)
        with torch.autocast(z.device.type, enabled=False):
            if self.training and not self.started:
                self._start(rows, generator)
            codes = self.encode(z)
            latent = self.decode(codes)
            hits, sums = self._statistics(rows, codes.flatten())
            stats = {"perplexity": perplexity(hits), "used": (hits > 0).float().mean()}
            if self.training:
                stats["revived"] = self._update(hits, sums, rows, generator)
        commitment = (z - latent).square().flatten(1).sum(1)
        # the last term is zero and has the gradient of z: the value is that of the code, exactly
        return Quantized(latent + (z - z.detach()), codes, commitment, stats)

    def _rows(self, z: Tensor) -> Tensor:
        """The vectors of a map one by one, `(N, D)` float32, without a gradient."""
        if z.dim() < 2 or z.shape[1] != self.sums.shape[1]:
            raise ValueError(
                f"got latents {tuple(z.shape)}, expected (B, {self.sums.shape[1]}, ...)"
            )
        return z.detach().float().movedim(1, -1).flatten(0, -2)

    def _statistics(self, rows: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """How many rows took each code and their sum, over all processes that train together."""
        # a product, because a scattered sum on a GPU comes out a little different each time
        chosen = (codes[:, None] == torch.arange(len(self.counts), device=codes.device)).float()
        hits, sums = chosen.sum(0), chosen.T @ rows  # (K,), (K, D)
        if self.training and dist.is_initialized():
            dist.all_reduce(hits)
            dist.all_reduce(sums)
        return hits, sums

    @torch.no_grad()
    def _start(self, rows: Tensor, generator: torch.Generator | None) -> None:
        """k-means on the first batch (Lloyd, from rows of it)."""
        centres = self._drawn(rows, generator)
        for _ in range(KMEANS_STEPS):
            hits, sums = self._statistics(rows, nearest(rows, centres))
            centres = torch.where(hits[:, None] > 0, sums / hits[:, None], centres)
        if sums.isfinite().all():
            self.counts.copy_(hits)
            self.sums.copy_(sums)
            self._revive(rows, generator)
            self.started.fill_(True)

    @torch.no_grad()
    def _update(
        self, hits: Tensor, sums: Tensor, rows: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        if not sums.isfinite().all():
            return torch.zeros_like(hits[0])
        self.counts.lerp_(hits, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        return self._revive(rows, generator)

    def _revive(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        """Move dead codes to rows of the batch, with a mean count to live on; how many."""
        mean = self.counts.mean()
        dead = self.counts < self.dead * mean
        drawn = self._drawn(rows, generator)
        self.counts.copy_(torch.where(dead, mean, self.counts))
        self.sums.copy_(torch.where(dead[:, None], mean * drawn, self.sums))
        return dead.sum().float()

    def _drawn(self, rows: Tensor, generator: torch.Generator | None) -> Tensor:
        """K rows of the batch, `(K, D)`, different ones as far as there are so many."""
        order = torch.randperm(len(rows), generator=generator, device=rows.device)
        drawn = rows[order[torch.arange(len(self.counts), device=rows.device) % len(rows)]]
        if dist.is_initialized():
            dist.broadcast(drawn, 0)
        return drawn
