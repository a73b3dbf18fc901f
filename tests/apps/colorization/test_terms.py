"""The terms of the reconstruction as mathematics."""

import torch

from apps.colorization.terms import (
    PrincipalComponents,
    RareColours,
    gamut_bins,
    gradient_error,
)


def test_every_bin_of_the_gamut_lies_in_lab_range() -> None:
    bins = gamut_bins()
    assert 240 <= len(bins) <= 313
    assert (abs(bins) <= 115).all() and (bins % 10 == 0).all()
    assert len({tuple(b) for b in bins.tolist()}) == len(bins)


def test_rare_colours_weigh_more_and_the_mean_is_one() -> None:
    torch.manual_seed(0)
    chroma = torch.randn(64, 2, 16, 16) * 0.05
    chroma[0, 0] = 0.6  # one red picture among greyish ones
    chroma[0, 1] = 0.4
    rare = RareColours()
    rare.fit(chroma)
    weight = rare(chroma)
    assert weight.shape == (64, 1, 16, 16)
    assert abs(weight.mean().item() - 1) < 1e-3
    assert weight[0].mean() > 3 * weight[1:].mean()
    assert weight.max() <= 5.01


def test_principal_components_match_the_definition() -> None:
    torch.manual_seed(0)
    scale = torch.linspace(3, 0.1, 2 * 8 * 8)
    x = (torch.randn(800, 2 * 8 * 8) * scale).unflatten(1, (2, 8, 8))
    term = PrincipalComponents(size=8, components=5)
    term.fit(x)
    p, variance = term.basis, term.variance
    assert torch.allclose(p.T @ p, torch.eye(5), atol=1e-4)
    exact = torch.linalg.eigvalsh(torch.cov(x.flatten(1).T)).flip(0)[:5]
    assert torch.allclose(variance, exact, rtol=0.03)
    error = torch.randn(3, 2, 8, 8)
    e = error.flatten(1)
    along = e @ p
    beside = e - along @ p.T
    expected = (along**2 / variance).sum(1) + (beside**2).sum(1) / variance[-1]
    assert torch.allclose(term(error), expected, rtol=1e-4)


def test_gradient_error_sees_edges_and_no_offsets() -> None:
    flat = torch.full((2, 2, 6, 6), 0.3)
    assert torch.equal(gradient_error(flat), torch.zeros(2))
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 1
    assert gradient_error(step).item() == 4  # one unit step in each of four rows
    assert gradient_error(step.transpose(2, 3)).item() == 4
