"""Latents in the plane: the principal one is known in closed form, the other by its neighbours."""

import sys

import pytest
import torch
from torch import Tensor

from cvae.projection import pca, tsne


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_pca_finds_a_plane_and_where_its_points_lie() -> None:
    flat = some(50, 2) * torch.tensor([3.0, 1.0])
    flat = flat - flat.mean(0)
    axes, _ = torch.linalg.qr(some(6, 2, seed=1))
    found = pca(flat @ axes.T + some(6, seed=2))
    torch.testing.assert_close(torch.pdist(found), torch.pdist(flat))


def test_pca_gives_the_directions_of_most_variance_first() -> None:
    z = some(200, 5) * torch.tensor([0.5, 3.0, 0.1, 2.0, 0.2]) + 7
    found = pca(z)
    variances = torch.linalg.eigvalsh(z.T.double().cov()).flip(0)[:2].float()
    torch.testing.assert_close(found.var(0), variances)
    torch.testing.assert_close(found.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    assert abs(torch.corrcoef(found.T)[0, 1]) < 1e-4


def test_the_sign_is_that_of_the_largest_entry() -> None:
    z = some(100, 4) * torch.tensor([0.1, -4.0, 0.2, 2.0])
    found = pca(z)
    assert torch.corrcoef(torch.stack([found[:, 0], z[:, 1]]))[0, 1] > 0.99
    assert torch.corrcoef(torch.stack([found[:, 1], z[:, 3]]))[0, 1] > 0.99
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pca(z[order]), found[order])
    torch.testing.assert_close(pca(-z), -found)


def test_latents_that_are_all_alike_lie_on_one_point() -> None:
    assert torch.equal(pca(torch.full((4, 3), 2.5)), torch.zeros(4, 2))


def test_tsne_keeps_clusters_together_and_repeats_itself() -> None:
    pytest.importorskip("sklearn", reason="pip install 'perhaps[lab]'")
    centres = 10 * torch.eye(3, 8)
    label = torch.arange(3).repeat_interleave(12)
    z = centres[label] + 0.1 * some(36, 8)
    found = tsne(z, perplexity=5.0)
    assert found.shape == (36, 2) and found.dtype == z.dtype
    nearest = torch.cdist(found, found).fill_diagonal_(torch.inf).argmin(1)
    assert torch.equal(label[nearest], label)
    assert torch.equal(tsne(z, perplexity=5.0), found)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'perhaps\[lab\]'"):
        tsne(some(10, 2), perplexity=3.0)


@pytest.mark.parametrize("z", [some(5), some(1, 3), some(5, 1), some(5, 3) / 0])
def test_what_cannot_be_mapped_is_refused(z: Tensor) -> None:
    for project in (pca, tsne):
        with pytest.raises(ValueError, match=r"expected finite ones \(N, D\)"):
            project(z)


@pytest.mark.parametrize("perplexity", [0.5, 10.0, float("nan")])
def test_a_point_has_fewer_neighbours_than_there_are_points(perplexity: float) -> None:
    with pytest.raises(ValueError, match="for 10 latents"):
        tsne(some(10, 2), perplexity=perplexity)
