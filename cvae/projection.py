"""Maps of a latent space: many latents as points of a plane, for a scatter plot."""

import torch
from torch import Tensor


def pca(z: Tensor) -> Tensor:
    r"""Where latents lie along the two directions in which they differ most, $(z - \bar z) V$.

    V are the first two right singular vectors of the centred latents (Pearson, 1901; Jolliffe,
    2002, chapter 3), each with the sign that makes its largest entry positive, so that the map
    of one set of latents is the same wherever it is made. To compare sets, map them together.

    Shapes: `(N, D)`, both at least 2 -> `(N, 2)`, in the units of z.

    Example:
        >>> pca(torch.tensor([[1.0, 9.0], [1.0, 3.0], [5.0, 9.0], [5.0, 3.0]]))
        tensor([[ 3., -2.],
                [-3., -2.],
                [ 3.,  2.],
                [-3.,  2.]])
    """
    x = _checked(z, least=2).double()
    x = x - x.mean(0)
    v = torch.linalg.svd(x, full_matrices=False).Vh[:2].T  # (D, 2)
    largest = v.gather(0, v.abs().argmax(0, keepdim=True))
    return (x @ v * largest.sign()).to(z.dtype)


def tsne(z: Tensor, *, perplexity: float = 30.0, seed: int = 0) -> Tensor:
    """Latents in the plane, neighbours beside each other (van der Maaten & Hinton, 2008).

    What is near stays near; sizes of clusters and the distances between them say nothing. Started
    from the principal components, which keeps the whole in order (Kobak & Berens, 2019). Seconds
    for some thousand rows; needs scikit-learn, which the extra `lab` brings.

    Shapes: `(N, D)` -> `(N, 2)`, in no units, on the CPU.

    Args:
        perplexity: about how many neighbours a point has, at least 1 and less than N.

    Example:
        >>> tsne(torch.eye(4), perplexity=2.0).shape
        torch.Size([4, 2])
    """
    rows = len(_checked(z, least=3))
    if not 1 <= perplexity < rows:
        raise ValueError(
            f"got perplexity {perplexity} for {rows} latents, expected from 1 to less than them"
        )
    try:
        from sklearn.manifold import TSNE
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "t-SNE needs scikit-learn: pip install 'perhaps[lab]'"
        ) from error
    flat = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return torch.from_numpy(flat.fit_transform(z.detach().cpu().double().numpy())).to(z.dtype)


def _checked(z: Tensor, *, least: int) -> Tensor:
    if z.dim() != 2 or z.shape[0] < least or z.shape[1] < 2 or not z.isfinite().all():
        raise ValueError(
            f"got latents {tuple(z.shape)}, expected finite ones (N, D) with N at least {least} "
            "and D at least 2"
        )
    return z.detach()
