"""Splatting and animation: exact where motion is whole pixels, calm where there is none."""

import numpy as np
import pytest

from flow import render
from flow.render import animate


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def cells(height: int, width: int, cell: int = 1) -> np.ndarray:
    """Centres of the cells of a picture, `(h, w, 2)`."""
    x, y = (np.arange(cell // 2, n, cell, dtype=np.float32) for n in (width, height))
    return np.stack(np.meshgrid(x, y), -1)


def shift(grid: np.ndarray, *patches: tuple[slice, slice, float, float]) -> np.ndarray:
    """Displacements of one step: patches of cells (rows, columns) that move by x and y."""
    moved = np.zeros((1, *grid.shape), np.float32)
    for rows, columns, x, y in patches:
        moved[0, rows, columns] = x, y
    return moved


def on_grey(*patches: tuple[slice, slice, int]) -> np.ndarray:
    image = np.full((48, 64, 3), 90, np.uint8)
    for rows, columns, value in patches:
        image[rows, columns] = value
    return image


GRID = cells(48, 64)


@pytest.mark.parametrize("loop", [False, True])
def test_without_motion_the_picture_comes_back_bit_for_bit(loop: bool) -> None:
    image, still = picture(), np.zeros((4, 48, 64, 2), np.float32)
    moving = still + 5
    for displacements, strength in ((still, 1.0), (moving, 0.0)):
        frames = animate(image, displacements, GRID, strength=strength, loop=loop)
        assert frames.shape == (8 if loop else 5, 48, 64, 3)
        assert (frames == image).all()


def test_a_shift_by_whole_pixels_moves_a_patch_exactly() -> None:
    rows, columns = slice(10, 20), slice(12, 26)
    image = on_grey()
    image[rows, columns] = picture(10, 14)
    frames = animate(image, shift(GRID, (rows, columns, 17, -6)), GRID)
    expected = on_grey()
    expected[4:14, 29:43] = image[rows, columns]
    assert np.array_equal(frames[0], image)
    assert np.array_equal(frames[1], expected)  # with the vacated area painted in as its ground


def test_a_shift_of_everything_moves_everything() -> None:
    image = picture()
    moved = animate(image, shift(GRID, (slice(None), slice(None), 3, 2)), GRID)[1]
    assert np.array_equal(moved[2:, 3:], image[:-2, :-3])


def test_half_a_pixel_interpolates() -> None:
    rows, columns = slice(10, 30), slice(10, 30)
    image = on_grey()
    image[rows, columns] = picture(20, 20)
    moved = animate(image, shift(GRID, (rows, columns, 4.5, 0)), GRID)[1].astype(float)
    part = image[12:28].astype(float)
    expected = (part[:, 12:27] + part[:, 13:28]) / 2
    assert np.abs(moved[12:28, 17:32] - expected).max() <= 1


@pytest.mark.parametrize("first", [True, False])
def test_the_larger_motion_is_in_front(first: bool) -> None:
    """Two patches meet on the same pixels; which one is bright does not matter."""
    rows = slice(20, 28)
    far, near = (rows, slice(4, 12)), (rows, slice(40, 48))
    image = on_grey((*far, 200 if first else 20), (*near, 20 if first else 200))
    motion = shift(GRID, (*far, 22, 0), (*near, -14, 0))
    moved = animate(image, motion, GRID)[1]
    assert (moved[rows, 26:34] == (200 if first else 20)).all()
    assert (moved[rows, 4:12] == 90).all()
    assert (moved[rows, 40:48] == 90).all()


def test_a_plain_picture_stays_plain() -> None:
    """Softmax weights and the matte each sum to one, whatever the motion does."""
    rng = np.random.default_rng(1)
    image = np.full((48, 64, 3), (13, 130, 251), np.uint8)
    for grid in (GRID, cells(48, 64, 8)):
        wild = rng.normal(0, 6, (3, *grid.shape)).astype(np.float32)
        wild[:, rng.random(grid.shape[:2]) < 0.4] = 0
        assert (animate(image, wild, grid) == image).all()


def test_pixels_that_are_still_and_not_covered_keep_their_bytes() -> None:
    """On a coarse grid the edge is soft; beyond the cells next to a moving one nothing changes."""
    image, grid = picture(96, 128), cells(96, 128, 8)
    motion = np.repeat(shift(grid, (slice(4, 7), slice(3, 6), 9, 5)), 6, 0)
    motion *= np.linspace(0.2, 1, 6, dtype=np.float32)[:, None, None, None]
    frames = animate(image, motion, grid)
    touched = (frames != image).any((0, 3))
    assert touched[36:56, 28:48].mean() > 0.9
    inside = np.zeros_like(touched)
    inside[20:78, 12:70] = True  # the patch, one cell around, and the way that it goes
    assert not touched[~inside].any()


def test_the_edge_of_motion_is_drawn_to_the_edge_of_the_picture() -> None:
    """A disc that does not fit the cells: the cells say roughly what moves, the colours where."""
    y, x = np.indices((96, 128))
    disc = np.hypot(y - 47, x - 50) < 21
    image = np.where(disc[..., None], (210, 60, 40), (40, 70, 120)).astype(np.uint8)
    grid = cells(96, 128, 8)
    motion = np.zeros((1, *grid.shape), np.float32)
    motion[0, disc[4::8, 4::8], 0] = 24
    moved = animate(image, motion, grid)[1]
    expected = np.where(np.roll(disc, 24, 1)[..., None], (210, 60, 40), (40, 70, 120))
    wrong = np.abs(moved - expected).max(-1) > 30
    assert wrong.mean() < 0.02
    assert wrong.sum() < 0.3 * (disc[4::8, 4::8].repeat(8, 0).repeat(8, 1) != disc).sum()


def test_there_and_back_is_the_identity_up_to_interpolation() -> None:
    y, x = np.indices((64, 64), np.float32)
    waves = 128 + 50 * np.sin(x / 7) + 50 * np.cos(y / 9)
    image = np.repeat(waves[..., None], 3, 2).round().astype(np.uint8)
    grid = cells(64, 64)
    turn = np.radians(8)
    cos, sin = np.cos(turn), np.sin(turn)

    def rotation(sign: int) -> np.ndarray:
        u, v = x - 32, y - 32
        return np.stack([cos * u - sign * sin * v - u, sign * sin * u + cos * v - v], -1)[None]

    there = animate(image, rotation(1), grid)[1]
    back = animate(there, rotation(-1), grid)[1]
    centre = np.s_[14:50, 14:50]
    assert np.abs(there[centre].astype(int) - image[centre]).max() > 10
    assert np.abs(back[centre].astype(int) - image[centre]).max() <= 3


def test_the_mask_says_what_may_move() -> None:
    image = picture()
    motion = shift(GRID, (slice(10, 30), slice(10, 40), 12, 0))
    mask = np.zeros((48, 64), np.uint8)
    assert (animate(image, motion, GRID, mask=mask) == image).all()
    mask[10:30, 10:25] = 255
    moved = animate(image, motion, GRID, mask=mask)[1]
    assert np.array_equal(moved[10:30, 22:37], image[10:30, 10:25])
    assert np.array_equal(moved[10:30, 37:], image[10:30, 37:])
    whole = animate(image, motion, GRID)
    for full in (np.ones((48, 64), bool), np.ones((48, 64)), np.full((48, 64), 255, np.uint8)):
        assert np.array_equal(animate(image, motion, GRID, mask=full), whole)


def test_strength_scales_the_motion() -> None:
    image = on_grey((slice(20, 28), slice(10, 18), 240))
    motion = shift(GRID, (slice(20, 28), slice(10, 18), 10, 0))
    doubled = animate(image, motion, GRID, strength=2.0)
    assert np.array_equal(doubled, animate(image, 2 * motion, GRID))
    assert (doubled[1, 20:28, 30:38] == 240).all()


def test_a_loop_goes_there_and_back_and_rests_at_both_ends() -> None:
    image = on_grey((slice(20, 28), slice(4, 12), 240))
    motion = np.concatenate(
        [shift(GRID, (slice(20, 28), slice(4, 12), 2.0 * t, 0)) for t in range(1, 13)]
    )
    frames = animate(image, motion, GRID, loop=True)
    assert len(frames) == 24
    assert np.array_equal(frames[1:12], frames[:12:-1])
    assert np.array_equal(frames[12], animate(image, motion, GRID)[12])
    bright = frames[..., 0].astype(float) - 90
    places = (bright * np.arange(64)).sum((1, 2)) / bright.sum((1, 2))
    steps = np.diff(places[:13])
    assert (steps > 0).all()
    assert steps[0] < steps[6] / 3
    assert np.allclose(steps, steps[::-1], atol=0.2)


def test_large_pictures_move_as_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Motion is splatted at a working size; the colours still come from the full one."""
    y, x = np.indices((160, 160))
    image = np.where((np.hypot(y - 80, x - 60) < 30)[..., None], 220, 40 + x[..., None] // 4)
    image = np.repeat(image, 3, 2).astype(np.uint8)
    grid = cells(160, 160, 10)
    motion = np.zeros((2, *grid.shape), np.float32)
    motion[:, np.hypot(grid[..., 1] - 80, grid[..., 0] - 60) < 30, 0] = [[20], [40]]
    full = animate(image, motion, grid).astype(int)
    monkeypatch.setattr(render, "WORK_PIXELS", 80 * 80)
    small = animate(image, motion, grid).astype(int)
    assert (np.abs(small - full).max(-1) > 25).mean() < 0.01
    assert np.array_equal(small[:, :30], full[:, :30])


def test_extreme_shapes_and_motions_do_not_break() -> None:
    for height, width in ((1, 1), (1, 40), (40, 1), (2, 3)):
        image, grid = picture(height, width), cells(height, width)
        moved = animate(image, np.full((2, *grid.shape), 7, np.float32), grid)
        assert moved.shape == (3, height, width, 3)
    one = np.array([[[31.5, 23.5]]], np.float32)
    assert animate(picture(), np.full((1, 1, 1, 2), 3, np.float32), one).shape == (2, 48, 64, 3)
    wild = np.random.default_rng(0).normal(0, 1e6, (2, 48, 64, 2)).astype(np.float32)
    assert animate(picture(), wild, GRID).shape == (3, 48, 64, 3)


def test_what_does_not_fit_is_refused() -> None:
    image, motion = picture(), np.ones((2, 48, 64, 2), np.float32)
    mirrored = GRID[:, ::-1]
    broken = motion.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="expected uint8"):
        animate(image.astype(np.float32), motion, GRID)
    with pytest.raises(ValueError, match=r"expected \(T, h, w, 2\)"):
        animate(image, motion[0], GRID)
    with pytest.raises(ValueError, match="got a grid"):
        animate(image, motion, GRID[1:])
    with pytest.raises(ValueError, match="not regular"):
        animate(image, motion, mirrored)
    with pytest.raises(ValueError, match="not finite"):
        animate(image, broken, GRID)
    for strength in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="strength"):
            animate(image, motion, GRID, strength=strength)
    with pytest.raises(ValueError, match="got a mask"):
        animate(image, motion, GRID, mask=np.ones((3, 3)))
