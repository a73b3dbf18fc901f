"""Sets against sets: copies are found, one face for all has no diversity, blur is not sharp."""

import pytest
import torch
import torch.nn.functional as F

from apps.faces import realism
from apps.faces.resamples import left_out
from cvae.fidelity import density_coverage, frechet_distance
from tests.apps.faces import planted

N = 40


@pytest.fixture(scope="module")
def train() -> torch.Tensor:
    return planted.faces(planted.labels(100, seed=5), seed=5)


@pytest.fixture(scope="module")
def known(train: torch.Tensor) -> realism.Known:
    return realism.Known.of(planted.judge().see(train), train)


def test_copies_and_their_mirror_images_are_memorised_and_new_faces_are_not(
    train: torch.Tensor, known: realism.Known
) -> None:
    judge = planted.judge()
    held_out = known.nearness(planted.faces(planted.labels(N), seed=1), judge)
    assert held_out.shape == (N, 2) and held_out.min() > 0
    weights = torch.ones(1, N, dtype=torch.float64)

    def share(faces: torch.Tensor) -> float:
        return realism.memorised(known.nearness(faces, judge), held_out, weights).item()

    assert share(train[:N]) == 1.0
    assert share(train[:N].flip(3)) == 1.0
    assert share(planted.faces(planted.labels(N, seed=9), seed=9)) < 0.1
    assert share(torch.cat([train[:10], planted.faces(planted.labels(30, seed=9))])) > 0.24


def test_near_in_one_way_alone_is_not_memorised() -> None:
    held_out = torch.ones(200, 2).double()
    near = torch.tensor([[0.0, 2.0], [2.0, 0.0], [0.5, 0.5], [1.0, 1.0]]).double()
    weights = torch.ones(1, 4, dtype=torch.float64)
    assert realism.memorised(near, held_out, weights).item() == 0.25


def test_nearness_is_of_the_nearest_in_each_way(known: realism.Known, train: torch.Tensor) -> None:
    judge, face = planted.judge(), planted.faces(planted.labels(1))
    found = known.nearness(face, judge)[0]
    both = torch.cat([face, face.flip(3)])
    features = judge.see(both).features
    expected = torch.cdist(features, known.features).min()
    pixels = F.avg_pool2d(both.float() / 127.5 - 1, 4).flatten(1)
    trained = F.avg_pool2d(train.float() / 127.5 - 1, 4).flatten(1)
    assert found[0].item() == pytest.approx(expected.item(), rel=1e-3)
    assert found[1].item() == pytest.approx(torch.cdist(pixels, trained).min().item(), rel=1e-3)


def test_distances_within_a_state_by_hand() -> None:
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    asked, distances = planted.labels(12), realism.apart(x)
    keep = left_out(range(12), 3)
    asked[:, realism.STRONG_COLUMNS[0]] = -1
    asked[0, realism.STRONG_COLUMNS[0]] = 1  # one face alone has no pair
    for rows, found in zip(keep, realism.within(distances, asked, keep), strict=True):
        means = []
        for column in realism.STRONG_COLUMNS:
            for state in (-1, 1):
                own = [i for i in range(12) if rows[i] and asked[i, column] == state]
                pairs = [(x[i] - x[j]).norm().item() for i in own for j in own if i < j]
                if pairs:
                    means.append(sum(pairs) / len(pairs))
        assert found.item() == pytest.approx(sum(means) / len(means), rel=1e-4)
    everyone = [(x[i] - x[j]).norm().item() for i in range(12) for j in range(i)]
    assert realism.mean_apart(distances) == pytest.approx(sum(everyone) / len(everyone), rel=1e-4)


def test_sets_are_compared_in_equal_numbers_and_with_parts_left_out_of_both() -> None:
    generator = torch.Generator().manual_seed(0)
    fake = torch.randn(N, 4, generator=generator)
    real = 1 + torch.randn(N - 10, 4, generator=generator)
    keep = left_out(range(N), 4)
    found = realism.against(fake, real, keep, resamples=200)
    a, b = fake[: N - 10], real
    assert found["frechet"][0].item() == pytest.approx(frechet_distance(a, b))
    density, coverage = density_coverage(b, a, k=5)
    assert (found["density"][0].item(), found["coverage"][0].item()) == (density, coverage)
    assert all(of.shape == (201,) and of[1:].std() > 0 for of in found.values())
    same = realism.against(real, real, keep, resamples=20)
    assert same["frechet"].abs().max() < 1e-6 and same["coverage"][0] == 1


def test_a_blur_is_not_sharp() -> None:
    faces = planted.faces(planted.labels(4))
    blurred = F.avg_pool2d(faces.float(), 5, 1, 2).to(torch.uint8)
    fine, soft = realism.sharpness_of(faces), realism.sharpness_of(blurred)
    assert fine.shape == (4,) and (soft < 0.2 * fine).all()
