"""Stills and motion are changed together."""

import torch

from apps.motion.augment import Augment


def batch(n: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Red says the column and green the row, as motion and confidence do."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 160), torch.linspace(-1, 1, 208), indexing="ij")
    frames = torch.stack([x, y, 0 * x]).expand(n, -1, -1, -1)
    v, u = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 26), indexing="ij")
    motion = torch.zeros(n, 5, 2, 20, 26)
    motion[:, 0, 0], motion[:, 0, 1] = u, v
    return frames, motion, (u / 2 + 0.5).expand(n, -1, -1)


def test_nothing_to_change_but_the_mirror() -> None:
    frames, motion, sure = batch()
    generator = torch.Generator().manual_seed(0)
    seen, moved, trusted = Augment(crop=1.0, light=0.0)(frames, motion, sure, generator)
    mirrored = (seen[:, 0, 80, 0] > 0).nonzero().flatten()
    kept = (seen[:, 0, 80, 0] < 0).nonzero().flatten()
    assert 20 < len(mirrored) < 44 and len(mirrored) + len(kept) == 64
    assert torch.allclose(seen[kept], frames[kept], atol=1e-4)
    assert torch.allclose(moved[kept], motion[kept], atol=1e-4)
    assert torch.allclose(seen[mirrored], frames[mirrored].flip(-1), atol=1e-4)
    # what went right goes left, in the mirrored place
    there = motion[mirrored].flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
    assert torch.allclose(moved[mirrored], there, atol=1e-4)
    assert torch.allclose(trusted[mirrored], sure[mirrored].flip(-1), atol=1e-4)


def test_a_crop_enlarges_its_motion() -> None:
    """Motion is linear in the place here, so what a cell says must stay true to its pixels."""
    frames, motion, sure = batch()
    generator = torch.Generator().manual_seed(1)
    seen, moved, _ = Augment(crop=0.5, light=0.0)(frames, motion, sure, generator)
    cells = torch.nn.functional.avg_pool2d(seen[:, :2], 8)[..., 3:-3, 3:-3]
    width = seen[:, 1, -1, 104] - seen[:, 1, 0, 104]  # of the crop, of 2
    assert width.min() < 1.2 and width.max() > 1.95
    x = moved[:, 0, 0, 3:-3, 3:-3] * (width / 2)[:, None, None]
    mirrored = (seen[:, 0, 80, -1] < seen[:, 0, 80, 0])[:, None, None]
    assert torch.allclose(torch.where(mirrored, -x, x), cells[:, 0], atol=0.06)
    y = moved[:, 0, 1, 3:-3, 3:-3] * (width / 2)[:, None, None]
    assert torch.allclose(y, cells[:, 1], atol=0.06)


def test_light_is_of_the_still_alone() -> None:
    frames, motion, sure = batch(8)
    plain = Augment(crop=1.0, light=0.0)(frames, motion, sure, torch.Generator().manual_seed(2))
    lit = Augment(crop=1.0, light=0.5)(frames, motion, sure, torch.Generator().manual_seed(2))
    assert (lit[0] - plain[0]).abs().max() > 0.1 and lit[0].abs().max() <= 1
    assert torch.equal(lit[1], plain[1]) and torch.equal(lit[2], plain[2])
    again = Augment(crop=1.0, light=0.5)(frames, motion, sure, torch.Generator().manual_seed(2))
    assert torch.equal(lit[0], again[0])
