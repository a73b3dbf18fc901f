"""The sprite set: its grid, and geometry that can be read off the pixels."""

import hashlib
import math

import pytest
import torch
from torch import Tensor

from apps.lab import sprites
from apps.lab.sprites import AREA, COUNT, ORIGIN, SHAPES, SIZES, Sprites, factors, index, values

SQUARE, ELLIPSE, HEART = range(3)
PIXEL = torch.arange(64, dtype=torch.float64)


@pytest.fixture(scope="module")
def drawn() -> Sprites:
    return Sprites()


def grid(*kept: int, x: int = 16, y: int = 16) -> Tensor:
    """Every shape, scale and rotation in one place; with `kept`, so many of each only."""
    sizes = kept or SIZES[:3]
    varied = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    return torch.cat([varied, torch.tensor([[x, y]]).expand(len(varied), 2)], 1)


def centroid(images: Tensor) -> tuple[Tensor, Tensor]:
    mass = images[:, 0].double()
    area = mass.sum((1, 2))
    return (mass.sum(1) @ PIXEL) / area, (mass.sum(2) @ PIXEL) / area


def test_the_grid_is_that_of_the_public_set() -> None:
    assert COUNT == 737_280 == math.prod(SIZES) and SIZES == (3, 6, 40, 32, 32)
    first, last = values(torch.zeros(5).long()), values(torch.tensor(SIZES) - 1)
    assert first.tolist() == [0, 0.5, 0, 0, 0]
    assert last.tolist() == pytest.approx([2, 1, 2 * math.pi, 1, 1])
    scales = values(torch.tensor([[0, scale, 0, 0, 0] for scale in range(6)]))[:, 1]
    torch.testing.assert_close(scales, torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))


def test_numbers_and_factors_are_two_names_of_one_picture(drawn: Sprites) -> None:
    assert len(drawn) == COUNT
    numbers = torch.arange(COUNT)
    found = factors(numbers)
    assert torch.equal(index(found), numbers)
    row = torch.arange(32)
    assert torch.equal(found[:1024, 3:], torch.cartesian_prod(row, row))
    torch.testing.assert_close(found.double().mean(0), (torch.tensor(SIZES).double() - 1) / 2)
    assert torch.equal(index(found.view(-1, 8, 5)), numbers.view(-1, 8))


@pytest.mark.parametrize("wrong", [-1, COUNT, 0.5])
def test_numbers_that_are_not_there_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="beyond 0 to 737279"):
        factors(torch.tensor([0, wrong]))


@pytest.mark.parametrize("wrong", [[3, 0, 0, 0, 0], [0, 0, 0, -1, 0], [0, 0, 0, 0], [0.0] * 5])
def test_factors_off_the_grid_are_refused(drawn: Sprites, wrong: list[float]) -> None:
    for use in (index, values, drawn.render):
        with pytest.raises(ValueError, match="expected integers"):
            use(torch.tensor([wrong]))


def test_pictures_are_binary_and_whole(drawn: Sprites) -> None:
    """A sprite that were cut off in a corner would have a smaller area there."""
    areas = []
    for x in (0, 31):
        for y in (0, 31):
            images = drawn.render(grid(x=x, y=y))
            assert images.shape == (720, 1, 64, 64) and images.dtype == torch.float32
            assert ((images == 0) | (images == 1)).all()
            areas.append(images.sum((1, 2, 3)))
    assert all(torch.equal(area, areas[0]) for area in areas)


def test_only_the_first_and_last_rotation_agree(drawn: Sprites) -> None:
    """718,848 different pictures: no two of the 702 sprites agree, not even when shifted."""
    stamps = sprites._stamps()
    assert torch.equal(stamps[:, :, 0], stamps[:, :, 39])
    corners = set()
    for stamp in stamps[:, :, :39].flatten(0, 2):
        top, left = (int(stamp.any(side).nonzero()[0]) for side in (1, 0))
        corners.add(stamp.roll((-top, -left), (0, 1)).numpy().tobytes())
    assert len(corners) == 3 * 6 * 39
    some = grid(3, 6, 1)
    torn = some + torch.tensor([0, 0, 39, 0, 0])
    assert torch.equal(drawn.render(some), drawn.render(torn))


def test_a_step_is_one_pixel(drawn: Sprites) -> None:
    here = grid(x=7, y=20)
    images = drawn.render(here)
    right = drawn.render(here + torch.tensor([0, 0, 0, 1, 0]))
    below = drawn.render(here + torch.tensor([0, 0, 0, 0, 3]))
    assert torch.equal(right, images.roll(1, 3))
    assert torch.equal(below, images.roll(3, 2))
    (x, y), (moved, same) = centroid(images), centroid(right)
    torch.testing.assert_close(moved - x, torch.ones_like(x))
    torch.testing.assert_close(same, y)


def test_sprites_lie_and_turn_about_their_centroid(drawn: Sprites) -> None:
    x, y = centroid(drawn.render(grid(x=5, y=9)))
    for found, expected in ((x, ORIGIN[0] + 5), (y, ORIGIN[1] + 9)):
        assert (found - expected).abs().max() < 0.35  # the pixels' own rounding
        by_shape = found.view(3, -1).mean(1)
        assert (by_shape - expected).abs().max() < 0.03


def test_area_is_the_square_of_the_scale(drawn: Sprites) -> None:
    areas = drawn.render(grid()).sum((1, 2, 3)).view(3, 6, 40).double()
    expected = AREA * torch.linspace(0.5, 1, 6).double().square()
    assert (areas / expected[:, None] - 1).abs().max() < 0.07
    assert (areas.mean(2) / expected - 1).abs().max() < 0.005


def test_a_square_that_is_not_turned(drawn: Sprites) -> None:
    image = drawn.render(torch.tensor([[SQUARE, 5, 0, 0, 0]]))[0, 0]
    rows, columns = image.any(1).nonzero(), image.any(0).nonzero()
    assert image.sum() == 400 and len(rows) == len(columns) == 20


def test_an_ellipse_turns_clockwise_and_is_twice_as_wide_as_high(drawn: Sprites) -> None:
    where = torch.tensor([[ELLIPSE, 5, rotation, 16, 16] for rotation in range(40)])
    images, turn = drawn.render(where), values(where)[:, 2].double()
    x, y = centroid(images)
    mass = images[:, 0].double() / images.sum((1, 2, 3))[:, None, None]
    across, down = PIXEL - x[:, None], PIXEL - y[:, None]
    xx, yy = (mass.sum(1) * across**2).sum(1), (mass.sum(2) * down**2).sum(1)
    xy = torch.einsum("nij,ni,nj->n", mass, down, across)
    axis = torch.atan2(2 * xy, xx - yy) / 2
    assert torch.sin(axis - turn).abs().max() < 0.03
    long, short = ((xx + yy) / 2 + s * torch.hypot((xx - yy) / 2, xy) for s in (1, -1))
    assert (long / short).sqrt().mean().item() == pytest.approx(2, abs=0.02)


def test_the_tip_of_a_heart_points_where_it_is_turned(drawn: Sprites) -> None:
    """Upright at rotation 0; towards the tip it is long, away from it is the notch."""
    where = torch.tensor([[HEART, 5, rotation, 16, 16] for rotation in range(40)])
    for image, turn in zip(drawn.render(where), values(where)[:, 2].tolist(), strict=True):
        across, down = -math.sin(turn), math.cos(turn)
        for pixels, colour in ((12, 1), (6, 1), (-5, 1), (-10, 0), (16, 0)):
            column = round(ORIGIN[0] + 16 + pixels * across)
            row = round(ORIGIN[1] + 16 + pixels * down)
            assert image[0, row, column] == colour


def test_the_same_bytes_every_time(drawn: Sprites) -> None:
    everything = (drawn.render(grid(x=0, y=0)) > 0).numpy().tobytes()
    assert hashlib.sha256(everything).hexdigest()[:16] == "9241504fad47a35b"
    numbers = torch.randint(COUNT, (50,), generator=torch.Generator().manual_seed(1))
    together = drawn.render(factors(numbers))
    single = torch.cat([drawn.render(factors(number[None])) for number in numbers])
    assert torch.equal(together, single)


def test_samples_follow_their_seed_and_spread_over_the_grid(drawn: Sprites) -> None:
    first = drawn.sample(4000, torch.Generator().manual_seed(3))
    second = drawn.sample(4000, torch.Generator().manual_seed(3))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.factors, second.factors)
    assert torch.equal(first.images, drawn.render(first.factors))
    assert not torch.equal(first.factors, drawn.sample(4000).factors)
    for column, size in zip(first.factors.T, SIZES, strict=True):
        counts = column.bincount(minlength=size).double()
        expected = 4000 / size
        statistic = ((counts - expected) ** 2 / expected).sum().item()
        assert statistic < size + 5 * math.sqrt(2 * size)  # of a χ² with size - 1 degrees
    assert len(SHAPES) == SIZES[0]
