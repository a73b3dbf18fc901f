"""Scores of sets against closed forms, brute force and what they must not notice."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
import torch.nn.functional as F
from torch import Tensor

import cvae.fidelity
from cvae.fidelity import (
    auc,
    balanced_accuracy,
    balanced_threshold,
    density_coverage,
    frechet_distance,
    nearest,
    sharpness,
    sharpness_ratio,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks a side also for small sets, the last of them not full."""
    monkeypatch.setattr(cvae.fidelity, "BLOCK", 7)


def with_moments(mean: Tensor, covariance: Tensor, n: int = 50, seed: int = 0) -> Tensor:
    """n rows whose sample mean and covariance are exactly these."""
    x = some(n, len(mean), seed=seed).double()
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False)
    return mean + (torch.linalg.cholesky(covariance) @ white).T


def covariance_of(n: int, seed: int) -> Tensor:
    factor = some(n, n, seed=seed).double()
    return factor @ factor.T + 0.1 * torch.eye(n)


def test_frechet_distance_of_known_gaussians() -> None:
    means = [some(4, seed=s).double() for s in (1, 2)]
    spreads = [covariance_of(4, s) for s in (3, 4)]
    a, b = (with_moments(m, c, n) for m, c, n in zip(means, spreads, (50, 80), strict=True))
    root = scipy.linalg.sqrtm(spreads[0].numpy() @ spreads[1].numpy()).real
    expected = (means[0] - means[1]).square().sum() + sum(c.trace() for c in spreads)
    assert frechet_distance(a, b) == pytest.approx(expected.item() - 2 * np.trace(root))
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))


def test_frechet_distance_of_one_feature_is_the_textbooks() -> None:
    a, b = some(30, 1).double(), 3 * some(40, 1, seed=1).double() + 2
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected.item())


@pytest.mark.parametrize("n", [5, 200])
def test_frechet_distance_of_a_set_to_itself_and_to_its_shift(n: int) -> None:
    """Also with fewer samples than features, where the covariance has no inverse."""
    a, shift = some(n, 20), torch.zeros(20)
    shift[:2] = torch.tensor([3.0, 4.0])
    assert 0 <= frechet_distance(a, a) < 1e-5
    assert frechet_distance(a, a + shift) == pytest.approx(25, rel=1e-5)
    assert frechet_distance(a, -a[torch.randperm(n, generator=seeded())]) >= 0


def test_frechet_distance_of_flat_sets_at_right_angles() -> None:
    """Nothing in common: the spreads add up."""
    a, b = torch.zeros(4, 6), torch.zeros(4, 6)
    a[:, 0], b[:, 3] = some(4), some(4, seed=1)
    gap = a.mean(0).square().sum() + b.mean(0).square().sum()
    expected = gap + a[:, 0].var() + b[:, 3].var()
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-5)


def naive_density_coverage(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    real_apart = np.linalg.norm(real.numpy()[:, None] - real.numpy(), axis=2)
    apart = np.linalg.norm(real.numpy()[:, None] - fake.numpy(), axis=2)
    density, covered = 0, 0
    for i in range(len(real)):
        radius = sorted(np.delete(real_apart[i], i))[k - 1]
        inside = sum(distance <= radius for distance in apart[i])
        density += inside
        covered += inside > 0
    return density / (k * len(fake)), covered / len(real)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.usefixtures("small_blocks")
def test_density_and_coverage_are_their_formulas(k: int) -> None:
    real, fake = some(33, 3).double(), 0.5 * some(45, 3, seed=1).double() + 0.8
    expected = naive_density_coverage(real, fake, k)
    assert density_coverage(real, fake, k) == pytest.approx(expected)
    assert 0 < expected[1] < 1


def test_density_and_coverage_are_one_for_the_real_distribution() -> None:
    found = density_coverage(some(1500, 8), some(1500, 8, seed=1))
    assert found.density == pytest.approx(1, abs=0.06)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.02)  # Naeem et al., Eq. 8


def test_density_and_coverage_tell_far_from_few() -> None:
    real = some(400, 8)
    assert density_coverage(real, real + 100) == (0, 0)
    one = density_coverage(real, 0.01 * some(400, 8, seed=1))  # one typical face, over and over
    assert one.density > 1 and one.coverage < 0.3
    assert density_coverage(real, real).coverage == 1


def test_density_counts_copies_of_repeated_samples() -> None:
    """Balls of radius 0 hold exact copies."""
    real = torch.tensor([[1.0, 2.0], [1.0, 2.0], [5.0, 6.0], [5.0, 6.0]])
    assert density_coverage(real, real[:1], k=1) == (2, 0.5)


@pytest.mark.parametrize("k", [0, 10])
def test_density_refuses_neighbours_that_are_not_there(k: int) -> None:
    with pytest.raises(ValueError, match=f"got k={k}, expected 1 to 9"):
        density_coverage(some(10, 2), some(10, 2), k)


@pytest.mark.usefixtures("small_blocks")
def test_nearest_agrees_with_all_pairs() -> None:
    a, b = some(20, 4), some(37, 4, seed=1)
    apart = np.linalg.norm(a.double().numpy()[:, None] - b.double().numpy(), axis=2)
    found = nearest(a, b)
    assert found.row.tolist() == apart.argmin(1).tolist()
    np.testing.assert_allclose(found.distance.numpy(), apart.min(1), rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_nearest_finds_copies_at_no_distance() -> None:
    train = 50 + some(60, 12)  # far from the origin, where the fast way loses digits
    order = torch.randperm(60, generator=seeded())[:25]
    found = nearest(train[order], train)
    assert torch.equal(found.row, order)
    assert (found.distance == 0).all()


@pytest.mark.parametrize("other", [(5, 3), (5,), (0, 2)])
def test_sets_must_share_their_features(other: tuple[int, ...]) -> None:
    for score in (frechet_distance, density_coverage, nearest):
        with pytest.raises(ValueError, match=r"expected \(N, F\) and \(M, F\)"):
            score(some(9, 2), some(*other))
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(some(9, 2), some(1, 2))
    with pytest.raises(ValueError, match="not finite"):
        nearest(some(9, 2), some(9, 2) / 0)


def naive_auc(scores: Tensor, labels: Tensor) -> float:
    positives, negatives = scores[labels == 1].tolist(), scores[labels == 0].tolist()
    wins = [(p > n) + 0.5 * (p == n) for p, n in itertools.product(positives, negatives)]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("levels", [3, 20, 10_000])
def test_auc_is_the_share_of_pairs_in_order(levels: int) -> None:
    """With many ties, some, and hardly any; and as SciPy's ranks have it."""
    scores = torch.randint(levels, (80,), generator=seeded()).float()
    labels = torch.rand(80, generator=seeded(1)) < 0.2
    found = auc(scores, labels)
    assert found == pytest.approx(naive_auc(scores, labels), abs=1e-12)
    p, n = int(labels.sum()), int((~labels).sum())
    ranks = scipy.stats.rankdata(scores.numpy())[labels.numpy()].sum()
    assert found == pytest.approx((ranks - p * (p + 1) / 2) / (p * n), abs=1e-12)


def test_auc_at_its_ends_and_under_change_of_scale() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1])
    assert auc(labels.float(), labels) == 1
    assert auc(-labels.float(), labels) == 0
    assert auc(torch.ones(5), labels) == 0.5
    scores = some(5)
    assert auc(scores, labels) == auc((3 * scores).exp(), labels)
    assert auc(scores, labels) == pytest.approx(1 - auc(-scores, labels))
    assert auc(scores, labels) == auc(scores, labels.bool()) == auc(scores, labels.float())


def test_balanced_accuracy_weighs_both_groups_alike() -> None:
    scores = torch.tensor([0.1, 0.2, 0.3, 0.9, 0.5, 0.4])
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert balanced_accuracy(scores, labels, 0.5) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert balanced_accuracy(scores, labels, -1) == balanced_accuracy(scores, labels, 2) == 0.5


def test_balanced_threshold_of_known_answers() -> None:
    labels = torch.tensor([0, 0, 0, 1, 0, 1])
    # 5 takes both positives for one false alarm; 8 would lose one of the two
    assert balanced_threshold(torch.tensor([1.0, 2, 4, 6, 7, 9]), labels) == 5
    assert balanced_threshold(torch.tensor([1.0, 1, 1, 2, 1, 2]), labels) == 1.5
    backwards = torch.tensor([9.0, 9, 9, 1, 9, 1])
    assert balanced_threshold(backwards, labels) == 1


def test_balanced_threshold_is_balanced_for_rare_positives() -> None:
    """Plain accuracy would call all negative; equal Gaussians meet halfway."""
    labels = (torch.arange(40_000) < 2000).long()
    found = balanced_threshold(some(40_000) + 1.5 * labels, labels)
    assert found == pytest.approx(0.75, abs=0.2)


@pytest.mark.parametrize("levels", [6, 1000])
def test_no_threshold_is_better_than_the_balanced_one(levels: int) -> None:
    scores = torch.randint(levels, (60,), generator=seeded()).float()
    labels = torch.rand(60, generator=seeded(1)) < 0.1 + 0.4 * scores / levels
    best = balanced_accuracy(scores, labels, balanced_threshold(scores, labels))
    others = [balanced_accuracy(scores, labels, s + h) for s in scores.tolist() for h in (0, 0.5)]
    assert best == pytest.approx(max(others))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [1, 1], "at least one of each"),
        ([1.0, 2.0], [0, 0], "at least one of each"),
        ([1.0, 2.0], [-1, 1], "expected 0 and 1"),
        ([1.0, float("nan")], [0, 1], "not finite"),
        ([1.0], [0, 1], r"expected \(N,\)"),
        ([], [], "at least one of each"),
    ],
)
def test_judges_need_both_groups(scores: list[float], labels: list[int], message: str) -> None:
    s, y = torch.tensor(scores), torch.tensor(labels)
    for call in (lambda: auc(s, y), lambda: balanced_threshold(s, y)):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=message):
        balanced_accuracy(s, y, 0.0)


def waves(*frequencies: tuple[float, float], size: tuple[int, int] = (64, 48)) -> Tensor:
    """Cosines of amplitude 1 at (vertical, horizontal) cycles per pixel, `(B, 1, H, W)`."""
    y, x = torch.meshgrid(*(torch.arange(n).float() for n in size), indexing="ij")
    phases = [2 * torch.pi * (v * y + h * x) for v, h in frequencies]
    return torch.stack(phases).cos()[:, None]


def test_sharpness_is_the_variance_above_half_of_nyquist() -> None:
    """A wave of amplitude 1 has variance 1/2; its radius says whether it is counted."""
    kept = sharpness(waves((0.35, 0), (0, 0.35), (0.3, 0.3), (0.2, -0.25)))
    torch.testing.assert_close(kept, torch.full((4,), 0.5), atol=0.01, rtol=0)
    assert sharpness(waves((0.15, 0), (0, 0.15), (0.12, 0.12), (0, 0.02))).max() < 1e-4


def test_sharpness_of_white_noise() -> None:
    """A flat spectrum: what the disc of radius 1/4 leaves of the unit square."""
    found = sharpness(0.3 * some(300, 1, 32, 32)).mean().item()
    assert found == pytest.approx(0.09 * (1 - np.pi / 16), rel=0.03)


def test_blur_takes_sharpness_away_step_by_step() -> None:
    noise = some(4, 3, 64, 64)
    blurred = [noise, *(F.avg_pool2d(noise, n, 1, padding=n // 2) for n in (3, 5, 9))]
    values = torch.stack([sharpness(x) for x in blurred])
    assert (values[1:] < 0.5 * values[:-1]).all()


def test_the_edges_of_a_picture_are_no_detail() -> None:
    """A ramp does not meet itself across the border; unwindowed, that would be a step."""
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    bare = torch.fft.fft2(ramp[0, 0]).abs().square()[:, 16:49].sum() / 64**4
    assert sharpness(ramp).item() < 1e-4 * bare.item()


def test_sharpness_knows_contrast_and_not_brightness() -> None:
    x = 0.2 * some(3, 3, 32, 40)
    torch.testing.assert_close(sharpness(x + 0.5), sharpness(x), atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(sharpness(3 * x), 9 * sharpness(x))
    torch.testing.assert_close(sharpness(x.flip(3)), sharpness(x))
    torch.testing.assert_close(sharpness(x.mT), sharpness(x))
    torch.testing.assert_close(sharpness(x[1:2]), sharpness(x)[1:2])


def test_sharpness_sees_luminance() -> None:
    grey = some(2, 1, 16, 16)
    torch.testing.assert_close(sharpness(grey.expand(-1, 3, -1, -1)), sharpness(grey))
    weights = torch.tensor([0.299, 0.587, 0.114])
    for channel, weight in enumerate(weights):
        colour = torch.zeros(2, 3, 16, 16)
        colour[:, channel] = grey[:, 0]
        torch.testing.assert_close(sharpness(colour), weight**2 * sharpness(grey))


def test_sharpness_ratio_is_of_means() -> None:
    real = some(6, 3, 16, 16)
    fake = torch.cat([real[:3], 0 * real[3:]])
    expected = sharpness(real[:3]).sum() / sharpness(real).sum()
    assert sharpness_ratio(fake, real) == pytest.approx(expected.item(), rel=1e-5)
    assert sharpness_ratio(real, real) == 1
    with pytest.raises(ValueError, match="without detail"):
        sharpness_ratio(real, torch.zeros_like(real))
    with pytest.raises(ValueError, match="expected one size"):
        sharpness_ratio(real, some(6, 3, 32, 32))


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 2, 16, 16), (1, 3, 16, 7)])
def test_sharpness_refuses_what_is_no_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="of at least 8 x 8"):
        sharpness(torch.zeros(shape))
