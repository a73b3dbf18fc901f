"""Pictures of motion: colours of known directions, lines where things move and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest

from flow.draw import arrows, colour_wheel, flow_picture, trails


def lattice(height: int, width: int, cell: int = 8) -> np.ndarray:
    x, y = (np.arange(cell / 2, n, cell) for n in (width, height))
    return np.stack(np.meshgrid(x, y), -1)


def sweep(grid: np.ndarray, x: float, y: float, steps: int = 10) -> np.ndarray:
    """An even motion of everything by x and y in all."""
    share = np.arange(1, steps + 1) / steps
    return share[:, None, None, None] * np.broadcast_to((x, y), (1, *grid.shape))


def test_colours_of_known_directions() -> None:
    """Baker et al.: red to the right, yellow down, cyan left, violet up; as their code has it."""
    ways = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], float)
    right, down, left, up = colour_wheel(ways).astype(int)
    assert right.tolist() == [255, 0, 0]
    assert left.tolist() == [0, 209, 255]
    assert down[0] == 255 and 200 < down[1] < 255 and down[2] == 0
    assert up[2] == 255 and 60 < up[0] < 180 and up[1] == 0


def test_length_is_saturation_and_beyond_the_longest_it_darkens() -> None:
    lengths = np.array([[0, 0], [1, 0], [2, 0], [4, 0], [5, 0]], float)
    colours = colour_wheel(lengths, longest=4.0)
    assert colours[:4].tolist() == [[255] * 3, [255, 191, 191], [255, 128, 128], [255, 0, 0]]
    assert colours[4].tolist() == [191, 0, 0]
    assert np.array_equal(colour_wheel(3 * lengths), colour_wheel(lengths))
    assert (colour_wheel(np.zeros((3, 4, 2))) == 255).all()


def test_hue_goes_round_without_a_jump() -> None:
    angle = np.linspace(0.001, 2 * np.pi - 0.001, 2000)
    colours = colour_wheel(np.stack([np.cos(angle), np.sin(angle)], -1), longest=1.0000001)
    steps = np.abs(np.diff(colours.astype(int), axis=0)).max(-1)
    assert steps.max() <= 4
    assert len(np.unique(colours, axis=0)) > 700


def test_the_flow_picture_shows_each_part_in_its_colour() -> None:
    grid = lattice(96, 128)
    motion = np.zeros((*grid.shape[:2], 2))
    motion[:, :8], motion[:, 8:] = (6, 0), (-6, 0)
    picture = flow_picture(motion, grid, (128, 96), legend=False)
    assert picture.shape == (96, 128, 3)
    assert (picture[:, :60] == (255, 0, 0)).all()
    assert (picture[:, 68:] == (0, 209, 255)).all()
    over_time = np.stack([0 * motion, motion])
    assert np.array_equal(flow_picture(over_time, grid, (128, 96), legend=False), picture)


def test_the_legend_is_the_wheel_itself_and_stays_in_its_corner() -> None:
    grid = lattice(240, 320)
    still = flow_picture(np.zeros((*grid.shape[:2], 2)), grid, (320, 240))
    drawn = (still != 255).any(-1)
    assert drawn.any() and not drawn[:170].any() and not drawn[:, :200].any()
    radius = round(0.11 * 240)
    y, x = 240 - radius // 6 - radius, 320 - radius // 6 - radius
    inside = round(0.8 * radius)
    around = [still[y, x + inside], still[y + inside, x], still[y, x - inside]]
    for colour, way in zip(around, [(1, 0), (0, 1), (-1, 0)], strict=True):
        expected = colour_wheel(0.8 * np.array(way, float), longest=1.0).astype(int)
        assert np.abs(colour - expected).max() < 30
    tiny = flow_picture(np.zeros((2, 2, 2)), lattice(16, 16), (16, 16))
    assert tiny.shape == (16, 16, 3)  # no room for a legend, and no error


@pytest.mark.parametrize("draw", [arrows, trails])
def test_nothing_is_drawn_where_nothing_moves(
    draw: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    grid = lattice(120, 160)
    still = draw(image, sweep(grid, 0, 0), grid)
    assert np.array_equal(still, image) and still is not image
    motion = sweep(grid, 12, 0)
    motion[:, :, 8:] = 0
    grey = np.full_like(image, 128)
    drawn = draw(grey, motion, grid)
    changed = (np.abs(drawn.astype(int) - drawn[0, -1]) > 8).any(-1)
    assert changed[:, :60].mean() > 0.1
    assert not changed[:, 90:].any()


@pytest.mark.parametrize("draw", [arrows, trails])
@pytest.mark.parametrize("way", [(20.0, 0.0), (0.0, -20.0), (-15.0, 15.0)])
def test_lines_have_the_colour_of_their_direction(
    draw: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], way: tuple[float, float]
) -> None:
    grid = lattice(360, 480)
    drawn = draw(np.zeros((360, 480, 3), np.uint8), sweep(grid, *way), grid)
    bright = drawn[drawn.max(-1) > 240].astype(int)
    assert len(bright) > 1000
    assert np.abs(np.median(bright, 0) - colour_wheel(np.array(way))).max() < 40


def test_trails_follow_the_way_and_arrows_go_straight() -> None:
    """A quarter of a circle from the upper left corner, where alone something moves."""
    grid = lattice(200, 200)
    turn = np.linspace(0, np.pi / 2, 31)[1:]
    way = np.zeros((30, *grid.shape))
    way[:, 0, 0] = np.stack([150 * np.sin(turn), 150 * (1 - np.cos(turn))], -1)
    image = np.zeros((200, 200, 3), np.uint8)
    start = np.full(2, 200 / 26 / 2 - 0.5)
    for draw, place in (
        (trails, np.array([np.sqrt(0.5), 1 - np.sqrt(0.5)])),
        (arrows, (0.5, 0.5)),
    ):
        drawn = draw(image, way, grid)
        x, y = np.rint(start + 150 * np.array(place)).astype(int)
        assert drawn[y - 1 : y + 2, x - 1 : x + 2].max() > 100
        drawn[y - 3 : y + 4, x - 3 : x + 4] = 0
        assert drawn[y - 8 : y + 9].any()  # it is a line, and nowhere else is anything
        assert (drawn.max(-1) > 60).mean() < 0.04


def test_trails_grow_along_time() -> None:
    """The upper end of a column of trails to the right: thin where it starts, thick at the end."""
    grid = lattice(800, 800, 800)
    drawn = trails(np.zeros((800, 800, 3), np.uint8), sweep(grid, 0, 28.0, 30), grid)
    widths = (drawn[:60, :30].max(-1) > 60).sum(1)  # of the first trail, from its start downwards
    widths = widths[widths > 0]
    assert widths[1] < widths[len(widths) // 2] < widths.max()
    assert widths.argmax() > len(widths) / 2


def test_lines_grow_with_the_picture() -> None:
    def share(scale: int) -> float:
        grid = scale * lattice(120, 160)
        image = np.zeros((120 * scale, 160 * scale, 3), np.uint8)
        return float(trails(image, sweep(grid, 8 * scale, 0), grid).mean())

    assert share(6) == pytest.approx(share(3), rel=0.15)


def test_what_does_not_fit_is_refused() -> None:
    image, grid = np.zeros((64, 64, 3), np.uint8), lattice(64, 64)
    motion = sweep(grid, 1, 1)
    with pytest.raises(ValueError, match="expected uint8"):
        trails(image.astype(float), motion, grid)
    with pytest.raises(ValueError, match=r"expected \(T, h, w, 2\)"):
        arrows(image, motion[0], grid)
    with pytest.raises(ValueError, match="got a grid"):
        flow_picture(motion, grid[1:], (64, 64))
    with pytest.raises(ValueError, match="finite"):
        colour_wheel(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="finite"):
        flow_picture(np.full(grid.shape, np.nan), grid, (64, 64))
