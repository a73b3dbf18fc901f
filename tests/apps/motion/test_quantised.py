"""Kinds of motion, the choice among them, and draws cell by cell."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from apps.motion.augment import Augment
from apps.motion.data import Windows
from apps.motion.model import Size
from apps.motion.quantised import (
    Choice,
    Quantised,
    as_cells,
    as_motion,
    find_kinds,
    k_means,
    train_quantised,
)
from apps.motion.recipe import Recipe
from apps.motion.rows import SHAPE
from apps.motion.scores import joint_energy
from cvae.training import Schedule

Make = Callable[..., Windows]
TINY = Recipe(
    Size(width=8),
    Schedule(steps=30, batch=8, learning_rate=1e-2, warmup=5, ema=0.8),
    augment=Augment(crop=1.0, light=0.0),
)


def lot(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Fixed(nn.Module):
    """The same logits `(K,)` in every cell."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, frames: Tensor) -> Tensor:
        h, w = frames.shape[2] // 8, frames.shape[3] // 8
        return self.logits[None, :, None, None].expand(len(frames), -1, h, w)


def kinds_of(*ways: tuple[float, float]) -> Tensor:
    """Centres `(K, 10)` of motion by (x, y) px in the first coefficients."""
    kinds = torch.zeros(len(ways), 10)
    kinds[:, :2] = torch.tensor(ways)
    return kinds


def test_cells_and_motion_are_one() -> None:
    motion = torch.randn(2, 3, *SHAPE)
    cells = as_cells(motion)
    assert cells.shape == (2, 3, 20, 26, 10)
    assert torch.equal(cells[1, 2, 4, 5], motion[1, 2, :, :, 4, 5].flatten())
    assert torch.equal(as_motion(cells), motion)


def test_k_means_finds_planted_clusters() -> None:
    centres = torch.tensor([[0.0, 9.0], [9.0, 0.0], [-9.0, -9.0], [20.0, 20.0]])
    x = centres.repeat(200, 1) + torch.randn(800, 2, generator=lot())
    found = k_means(x, 4, lot(1))
    nearest = torch.cdist(centres, found)
    assert nearest.amin(1).max() < 0.4 and len(nearest.argmin(1).unique()) == 4


def test_rest_is_the_first_kind_and_the_rest_is_found(make_windows: Make) -> None:
    ways = torch.tensor([[8.0, 0.0], [-6.0, 6.0], [0.0, -12.0]])
    motion = torch.zeros(12, *SHAPE)
    motion[:, 0, :, :, :9] = ways.repeat(4, 1)[:, :, None, None]
    motion[:, 0, 0, :, 20] = 77.0  # what is not sure is not read
    windows = make_windows(motion)
    windows.confidence[:, :, 20] = 0
    kinds = find_kinds(windows, kinds=4)
    assert kinds.shape == (4, 10) and not kinds[0].any()
    order = kinds[1:, 0].argsort()
    np.testing.assert_allclose(kinds[1:][order][:, :2], ways[ways[:, 0].argsort()], atol=0.01)
    assert torch.equal(kinds, find_kinds(windows, kinds=4))
    with pytest.raises(ValueError, match="got 0 moving cells, expected at least 40"):
        find_kinds(make_windows(torch.zeros(2, *SHAPE)))


def test_the_loss_is_that_of_the_nearest_kind() -> None:
    kinds = kinds_of((0, 0), (8, 0), (-8, 0))
    objective = Choice(TINY, kinds)
    objective.model = Fixed(torch.tensor([0.0, 1.0, 2.0]))  # type: ignore[assignment]
    objective.augment = lambda *batch: batch[:3]  # type: ignore[assignment]
    nats = -torch.tensor([0.0, 1.0, 2.0]).log_softmax(0)
    for x, i in ((1.0, 0), (5.0, 1), (-99.0, 2)):
        motion = torch.zeros(1, 5, 2, 4, 6)
        motion[:, 0, 0] = x
        batch = (torch.zeros(1, 3, 32, 48), motion, torch.ones(1, 4, 6))
        loss, stats = objective(batch, lot())
        assert loss.item() == pytest.approx(nats[i].item(), rel=1e-5)
        assert stats["right"].item() == (i == 2)


def test_the_expected_motion_first_then_draws_by_cell() -> None:
    shares = torch.tensor([0.5, 0.3, 0.2])
    row = Quantised(Fixed(shares.log()), kinds_of((0, 0), (10, 0), (0, -10)))
    frames = torch.zeros(2, 3, 160, 208, dtype=torch.uint8)
    drawn = row.draw(frames, 51, generator=lot())
    assert drawn.shape == (2, 51, *SHAPE)
    assert torch.allclose(drawn[:, 0, 0, 0], torch.tensor(3.0))
    assert torch.allclose(drawn[:, 0, 0, 1], torch.tensor(-2.0))
    assert torch.equal(drawn[:, :1], row.draw(frames, 1, generator=lot(5)))
    assert torch.equal(drawn, row.draw(frames, 51, generator=lot()))
    right, up = drawn[:, 1:, 0, 0] == 10, drawn[:, 1:, 0, 1] == -10
    assert right.float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert up.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert not (right & up).any()
    # neighbours know nothing of each other
    together = (right[..., 1:] & right[..., :-1]).float().mean().item()
    assert together == pytest.approx(0.09, abs=0.01)


def test_independence_costs_where_cells_go_together() -> None:
    """All cells go right or all go left: draws by cell are as wrong as can be as wholes."""
    row = Quantised(Fixed(torch.zeros(2)), kinds_of((8, 0), (-8, 0)))
    frames = torch.zeros(1, 3, 160, 208, dtype=torch.uint8)
    drawn = row.draw(frames, 6, generator=lot())[:, 1:]
    whole = torch.zeros(1, 5, *SHAPE)
    whole[:, :, 0, 0] = torch.tensor([8.0, -8.0, 8.0, -8.0, 8.0])[None, :, None, None]
    truth = whole[:, 0]
    best = [(x - truth[:, None]).abs().mean((2, 3, 4, 5)).amin().item() for x in (drawn, whole)]
    assert best[1] == 0 < best[0]
    assert joint_energy(whole, truth) < joint_energy(drawn, truth)


def test_it_learns_what_moves_and_is_then_only_read(make_windows: Make, tmp_path: Path) -> None:
    frames = torch.full((16, 3, 160, 208), 40, dtype=torch.uint8)
    motion = torch.zeros(16, *SHAPE)
    for i in range(16):
        half = slice(0, 13) if i % 2 else slice(13, 26)
        frames[i, :, :, half.start * 8 : half.stop * 8] = 200
        motion[i, 0, 1, :, half] = 8.0  # down: a mirror leaves that
    windows = make_windows(motion, frames)
    row = train_quantised(windows, tmp_path, recipe=TINY, kinds=2, progress=False)
    expected = row.draw(frames[:2], 1, generator=lot())[:, 0, 0, 1]
    moves = motion[:2, 0, 1] > 0
    assert expected[moves].mean() > 3 + expected[~moves].mean()
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = train_quantised(windows, tmp_path, recipe=TINY, kinds=2, progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    assert torch.equal(again.draw(frames[:2], 1, generator=lot())[:, 0, 0, 1], expected)
    with pytest.raises(ValueError, match="name another cache"):
        train_quantised(windows, tmp_path, recipe=TINY, kinds=3, progress=False)
