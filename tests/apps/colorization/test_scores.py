"""Scores against naive oracles, a picture and an answer at a time."""

import cv2
import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from apps.colorization import data, scores

B, N, SIZE = 3, 16, 12


@pytest.fixture
def sets() -> dict[int, Tensor]:
    x = 0.2 * torch.randn(B, N, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return {k: x[:, :k] for k in scores.KS}


@pytest.fixture
def truth() -> Tensor:
    return 0.2 * torch.randn(B, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def lightness() -> Tensor:
    return 100 * torch.rand(B, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def rgb_of(lightness: Tensor, chroma: Tensor) -> np.ndarray:
    lab = np.concatenate(
        [lightness.numpy()[..., None], chroma.numpy().transpose(1, 2, 0) * 128], 2
    )
    return cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB).clip(0, 1)


def test_best_of_k_is_of_whole_answers(
    sets: dict[int, Tensor], truth: Tensor, lightness: Tensor
) -> None:
    found = scores.score(sets, truth, lightness)
    for i in range(B):
        errors = [(x - truth[i]).abs().mean().item() for x in sets[16][i]]
        squares = [(x - truth[i]).square().mean().item() for x in sets[16][i]]
        for k in scores.KS:
            assert found[f"mae{k}"][i].item() == pytest.approx(min(errors[:k]), rel=1e-5)
            # 8-bit Lab: 255 levels over ab/128 in [-1, 1]
            expected = 10 * np.log10(255**2 / (min(squares[:k]) * 127.5**2))
            assert found[f"psnr{k}"][i].item() == pytest.approx(expected, rel=1e-5)


def test_a_method_with_one_answer_gives_it_at_every_k(truth: Tensor, lightness: Tensor) -> None:
    x = torch.zeros(B, 1, 2, SIZE, SIZE)
    found = scores.score({k: x for k in scores.KS}, truth, lightness)
    for k in scores.KS:
        torch.testing.assert_close(found[f"mae{k}"], truth.abs().mean((1, 2, 3)))
    torch.testing.assert_close(found["energy"], truth.flatten(1).norm(dim=1))
    for key in ("var", "pair_mae", "pair_de"):
        assert not found[key].any()


def test_picture_scores(sets: dict[int, Tensor], truth: Tensor, lightness: Tensor) -> None:
    found = scores.score(sets, truth, lightness)
    for i in range(B):
        answers = sets[8][i]
        target = rgb_of(lightness[i], truth[i])
        pictures = [rgb_of(lightness[i], x) for x in answers]
        ratios = [peak_signal_noise_ratio(target, p, data_range=1.0) for p in pictures]
        assert found["rgb8"][i].item() == pytest.approx(max(ratios), abs=1e-3)
        own = data.colourfulness(255 * target)
        theirs = [data.colourfulness(255 * p) for p in pictures]
        apart = [abs(c - own) for c in theirs]
        assert found["cf"][i].item() == pytest.approx(np.mean(apart), rel=1e-3)
        assert found["cf_mean"][i].item() == pytest.approx(np.mean(theirs) - own, rel=1e-3)
        assert found["rank_cf"][i].item() == sum(c < own for c in theirs)
        mean_a = [x[0].mean().item() for x in answers]
        mean_b = [x[1].mean().item() for x in answers]
        assert found["rank_a"][i].item() == sum(a < truth[i, 0].mean().item() for a in mean_a)
        assert found["rank_b"][i].item() == sum(b < truth[i, 1].mean().item() for b in mean_b)


def test_per_pixel_best_is_never_above_the_whole_one(
    sets: dict[int, Tensor], truth: Tensor, lightness: Tensor
) -> None:
    found = scores.score(sets, truth, lightness)
    x, y = sets[8].numpy(), truth.numpy()
    for i in range(B):
        expected = np.mean(
            [
                min(abs(x[i, n, c, v, u] - y[i, c, v, u]) for n in range(8))
                for c in range(2)
                for v in range(SIZE)
                for u in range(SIZE)
            ]
        )
        assert found["pixel8"][i].item() == pytest.approx(expected, rel=1e-5)
    assert (found["pixel8"] < found["mae8"]).all()


def test_spread(sets: dict[int, Tensor]) -> None:
    found = scores.spread(sets[8])
    for i in range(B):
        x = sets[8][i].numpy()
        pairs = [(x[a], x[b]) for a in range(8) for b in range(a)]
        maes = [np.abs(p - q).mean() for p, q in pairs]
        des = [np.hypot(*(128 * (p - q))).mean() for p, q in pairs]
        assert found["pair_mae"][i].item() == pytest.approx(np.mean(maes), rel=1e-5)
        assert found["pair_de"][i].item() == pytest.approx(np.mean(des), rel=1e-5)
        assert found["var"][i].item() == pytest.approx(x.var(0, ddof=1).mean(), rel=1e-5)


def test_edge_error_sees_the_edge_alone() -> None:
    lightness = torch.zeros(1, 20, 20)
    lightness[:, :, 10:] = 80.0  # the central difference is steep in columns 9 and 10: a tenth
    truth = torch.zeros(1, 2, 20, 20)
    off = torch.full_like(truth, 0.5)
    at = torch.zeros_like(truth)
    at[:, :, :, 9:11] = torch.tensor([3.0, 4.0]).view(2, 1, 1) / 128
    elsewhere = off.clone()
    elsewhere[:, :, :, 9:11] = 0
    assert scores.edge_error(at, truth, lightness).item() == pytest.approx(5.0, rel=1e-5)
    assert scores.edge_error(elsewhere, truth, lightness).item() == 0.0


def test_bleed_is_of_the_best_answer(truth: Tensor, lightness: Tensor) -> None:
    x = torch.stack([truth + 0.3, truth + 0.01, truth - 0.2], 1)
    found = scores.score({k: x for k in scores.KS}, truth, lightness)
    expected = torch.full((B,), 128 * 0.01 * 2**0.5)
    torch.testing.assert_close(found["bleed"], expected, rtol=1e-3, atol=0)


def test_delta_e_2000_against_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    ab1, ab2 = (160 * torch.rand(2, 2, 40, 40, generator=generator) - 80).unbind(0)
    ab2[:, :5] = ab1[:, :5]
    ab1[:, 5:7] = 0
    ab2[:, 8:20] = ab1[:, 8:20] + torch.randn(2, 12, 40, generator=generator)
    grey = np.full((40, 40, 1), 60.0)
    first, second = (np.concatenate([grey, ab.numpy().transpose(1, 2, 0)], 2) for ab in (ab1, ab2))
    expected = deltaE_ciede2000(first.astype(np.float64), second.astype(np.float64))
    found = scores.delta_e_2000(ab1.double(), ab2.double()).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_colourfulness_is_that_of_the_data() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    rgb = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    expected = data.colourfulness(pixels)
    assert scores.colourfulness(rgb).item() == pytest.approx(expected, rel=1e-4)


def test_primary_agrees_with_the_whole_score(
    sets: dict[int, Tensor], truth: Tensor, lightness: Tensor
) -> None:
    whole = scores.score(sets, truth, lightness)
    for key, value in scores.primary({8: sets[8]}, truth).items():
        torch.testing.assert_close(value, whole[key])
