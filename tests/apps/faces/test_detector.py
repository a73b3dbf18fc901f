"""The detector: its code of faces, overlap and suppression, and that it answers for any photo."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from apps.faces.detector import (
    LARGEST,
    SMALLEST,
    Detector,
    Found,
    NoFace,
    decode,
    encode,
    find_face,
    find_faces,
    overlap,
    suppress,
)
from apps.faces.place import Frame


def assert_same(a: Frame, b: Frame, *, pixels: float = 1e-3) -> None:
    assert abs(a.x - b.x) < pixels and abs(a.y - b.y) < pixels and abs(a.side - b.side) < pixels
    assert abs(a.roll - b.roll) < 1e-4


class TestCode:
    def test_decode_inverts_encode(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(50):
            x, y = rng.uniform(0, 128, 2)
            frame = Frame(x, y, rng.uniform(SMALLEST, LARGEST), rng.uniform(-1, 1))
            heat, values, _ = encode([frame], 16, 16)
            [found] = decode(heat, values)
            assert found.score == 1
            assert_same(found.frame, frame)

    def test_two_faces_are_two(self) -> None:
        frames = [Frame(20, 30, 24, 0.1), Frame(90, 100, 60, -0.4)]
        heat, values, _ = encode(frames, 16, 16)
        found = sorted(decode(heat, values), key=lambda f: f.frame.x)
        for one, frame in zip(found, frames, strict=True):
            assert_same(one.frame, frame)

    def test_every_place_of_the_mask_says_the_same_face(self) -> None:
        frame = Frame(61.5, 40.2, 50, 0.3)
        _, values, mask = encode([frame], 16, 16)
        assert mask.sum() == 9
        for i, j in np.argwhere(mask[0]):
            heat = np.zeros((1, 16, 16), np.float32)
            heat[0, i, j] = 1
            assert_same(decode(heat, values)[0].frame, frame)

    def test_the_nearer_of_two_close_faces_is_told(self) -> None:
        frames = [Frame(40, 44, 30), Frame(60, 44, 40)]
        heat, values, _ = encode(frames, 16, 16)
        found = sorted(decode(heat, values), key=lambda f: f.frame.x)
        for one, frame in zip(found, frames, strict=True):
            assert_same(one.frame, frame)

    def test_a_centre_outside_is_left_out(self) -> None:
        heat, _, mask = encode([Frame(-3, 20, 40), Frame(20, 131, 40)], 16, 16)
        assert heat.sum() == 0 and mask.sum() == 0

    def test_below_the_threshold_is_nothing(self) -> None:
        heat, values, _ = encode([Frame(20, 30, 40)], 16, 16)
        assert decode(heat * 0.5, values, threshold=0.51) == []
        assert len(decode(heat * 0.5, values, threshold=0.49)) == 1


class TestSuppress:
    def test_overlap_of_known_squares(self) -> None:
        a = Frame(10, 10, 20)
        assert overlap(a, a) == 1
        assert overlap(a, Frame(30, 10, 20)) == 0
        assert overlap(a, Frame(10, 10, 10)) == pytest.approx(1 / 4)
        assert overlap(a, Frame(20, 20, 20)) == pytest.approx(100 / 700)

    def test_the_best_of_each_heap_remains(self) -> None:
        found = [
            Found(Frame(10, 10, 20), 0.5),
            Found(Frame(11, 10, 22), 0.9),
            Found(Frame(80, 80, 20), 0.7),
            Found(Frame(79, 81, 20), 0.6),
        ]
        assert [f.score for f in suppress(found)] == [0.9, 0.7]

    def test_a_suppressed_one_suppresses_nothing(self) -> None:
        # b lies between a and c and falls to a; c overlaps b alone
        a, b, c = (Found(Frame(x, 0, 20), s) for x, s in ((0, 0.9), (7, 0.8), (14, 0.7)))
        assert suppress([a, b, c]) == [a, c]


class Bright(nn.Module):
    """Knows where a photo is bright: one face of side 48 where a third of the brightness lies."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        batch, _, h, w = pixels.shape
        logits = torch.full((batch, 1, h // 8, w // 8), -9.0)
        values = torch.zeros(batch, 5, h // 8, w // 8)
        for n, picture in enumerate(pixels):
            rows, columns = torch.nonzero((picture > 250).all(0)).float().unbind(1)
            if len(rows) == 0:
                continue
            frame = Frame(
                columns.mean().item() + 0.5, rows.mean().item() + 0.5, 4 * math.sqrt(len(rows))
            )
            if not SMALLEST <= frame.side <= LARGEST:
                continue
            heat, said, _ = encode([frame], h // 8, w // 8)
            logits[n] = torch.from_numpy(heat) * 14 - 9
            values[n] = torch.from_numpy(said)
        return logits, values


def photo_with_square(height: int, width: int, x: int, y: int, half: int) -> np.ndarray:
    photo = np.full((height, width, 3), 60, np.uint8)
    photo[y - half : y + half, x - half : x + half] = 255
    return photo


class TestFind:
    @pytest.mark.parametrize(
        ("size", "x", "y", "half"),
        [
            ((320, 320), 100, 200, 6),  # as it is
            ((150, 200), 60, 70, 8),  # enlarged
            ((1200, 900), 500, 300, 24),
            ((1200, 900), 450, 500, 100),
            ((1200, 900), 400, 600, 200),
            ((40, 40), 20, 20, 5),
        ],
    )
    def test_places_come_back_in_pixels_of_the_photo(
        self, size: tuple[int, int], x: int, y: int, half: int
    ) -> None:
        [found] = find_faces(Bright(), photo_with_square(*size, x, y, half))  # type: ignore[arg-type]
        side = 8 * half
        assert abs(found.frame.x - x) < 0.06 * side and abs(found.frame.y - y) < 0.06 * side
        assert found.frame.side == pytest.approx(side, rel=0.25)

    def test_the_surest_comes_first(self) -> None:
        torch.manual_seed(0)
        model = Detector().eval()
        noise = np.random.default_rng(0).integers(0, 256, (200, 260, 3), np.uint8)
        scores = [f.score for f in find_faces(model, noise, threshold=0.0)]
        assert 1 < len(scores) <= 20
        assert all(a >= b for a, b in pairwise(scores))

    def test_no_face_is_one_clear_sentence(self) -> None:
        with pytest.raises(NoFace, match="No face was found in this photo: ") as caught:
            find_face(Bright(), np.full((100, 120, 3), 60, np.uint8))  # type: ignore[arg-type]
        assert isinstance(caught.value, ValueError)
        assert str(caught.value).count(".") == 1 and "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "shape", [(1, 1), (16, 16), (3, 9), (1, 5000), (5000, 2), (3000, 2000)]
    )
    def test_a_photo_of_any_size_is_answered(self, shape: tuple[int, int]) -> None:
        model = Detector().eval()
        grey = np.full((*shape, 3), 128, np.uint8)
        for found in find_faces(model, grey, threshold=0.0, at_most=3):
            assert math.isfinite(found.frame.side)

    def test_small_enough_to_ship(self) -> None:
        assert sum(p.numel() for p in Detector().parameters()) <= 150_000

    def test_a_face_moved_by_the_stride_is_seen_the_same(self) -> None:
        torch.manual_seed(1)
        model = Detector().eval()
        scene = torch.randint(0, 256, (1, 3, 40, 40))
        wide = torch.full((1, 3, 256, 256), 128)
        moved = wide.clone()
        wide[..., 104:144, 104:144] = scene
        moved[..., 104:144, 112:152] = scene
        a, b = model(wide)[0], model(moved)[0]
        assert torch.allclose(a[..., 13:18, 13:18], b[..., 13:18, 14:19], atol=1e-4)
        assert not torch.allclose(a[..., 13:18, 13:18], b[..., 13:18, 13:18], atol=1e-4)
