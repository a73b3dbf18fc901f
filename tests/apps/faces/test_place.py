"""Cutting faces out of photos and putting edits back, against closed forms."""

import math

import cv2
import numpy as np
import pytest

from apps.faces import place
from apps.faces.frame import CELEBA_96
from apps.faces.place import LEFT_EYE, RIGHT_EYE, Frame, cut, paste


def smooth(height: int, width: int, seed: int = 0, *, sigma: float = 6.0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((height, width, 3)).astype(np.float32)
    x = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.rint(128 + 40 * x / x.std()).clip(0, 255).astype(np.uint8)


def rough(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


class TestFrame:
    def test_points_turn_clockwise_around_the_centre(self) -> None:
        frame = Frame(30, 20, 10, math.pi / 2)
        # the middle of the right edge comes below the centre, as y runs down
        np.testing.assert_allclose(frame.points([(0.5, 0.5), (1, 0.5)]), [(30, 20), (30, 25)])

    def test_matrix_agrees_with_points(self) -> None:
        frame = Frame(31.3, 17.9, 40, 0.4)
        pixel = frame.matrix(64) @ (10, 50, 1)  # centre of a pixel, counted from centres
        np.testing.assert_allclose(pixel + 0.5, frame.points([(10.5 / 64, 50.5 / 64)])[0])

    def test_mirror_maps_left_eye_to_right(self) -> None:
        frame = Frame(30, 20, 10, 0.3)
        (x, y), (u, v) = frame.points([LEFT_EYE, RIGHT_EYE])
        mirrored = frame.mirror(100).points([LEFT_EYE, RIGHT_EYE])
        np.testing.assert_allclose(mirrored, [(100 - u, v), (100 - x, y)])

    def test_within_composes(self) -> None:
        outer, inner = Frame(70, 60, 80, 0.5), Frame(30, 50, 20, -0.2)
        whole = inner.within(outer, 96)
        expected = outer.points(inner.points([(0, 0), (1, 0.2)]) / 96)
        np.testing.assert_allclose(whole.points([(0, 0), (1, 0.2)]), expected)

    def test_from_crop_is_the_sets_constant(self) -> None:
        frame = Frame.from_crop(CELEBA_96, 96, 96)
        assert frame.side == CELEBA_96.side * 96
        assert (frame.x, frame.y) == (CELEBA_96.x * 96, CELEBA_96.y * 96)

    @pytest.mark.parametrize("box", [(5, 5, 5, 50), (0, 0, math.nan, 3), (0, 0, math.inf, 9)])
    def test_an_empty_box_is_one_clear_error(self, box: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="drag one of at least one pixel"):
            Frame.from_box(*box)

    @pytest.mark.parametrize("wrong", [(0, 0, 0), (0, 0, -1), (math.nan, 0, 5), (0, math.inf, 5)])
    def test_no_frame_without_a_size(self, wrong: tuple[float, float, float]) -> None:
        with pytest.raises(ValueError, match="expected finite numbers"):
            Frame(*wrong)


class TestCut:
    def test_whole_pixels_are_copied(self) -> None:
        photo = rough(100, 120)
        got = cut(photo, Frame.from_box(20, 10, 84, 74))
        np.testing.assert_array_equal(got, photo[10:74, 20:84])

    @pytest.mark.parametrize("factor", [3, 5, 16, 40])
    def test_shrinking_averages_blocks(self, factor: int) -> None:
        photo = rough(8 * factor, 8 * factor)
        blocks = photo.reshape(8, factor, 8, factor, 3).mean((1, 3))
        got = cut(photo, Frame(4 * factor, 4 * factor, 8 * factor), 8)
        assert np.abs(got - blocks).max() <= 1.5  # rounded twice

    @pytest.mark.parametrize("roll", [-0.5, 0.2, math.pi / 2])
    @pytest.mark.parametrize("scale", [0.7, 2.0])
    def test_a_turned_face_is_cut_upright(self, roll: float, scale: float) -> None:
        face = smooth(64, 64)
        frame = Frame(110.3, 95.7, 64 * scale, roll)
        photo = cv2.warpAffine(face, frame.matrix(64), (220, 200), flags=cv2.INTER_CUBIC)
        got = cut(photo, frame)
        assert difference(got[8:-8, 8:-8], face[8:-8, 8:-8]) < 1.5
        wrong = cut(photo, Frame(frame.x, frame.y, frame.side, -roll))
        assert difference(wrong[8:-8, 8:-8], face[8:-8, 8:-8]) > 10

    def test_the_edge_goes_on_outside(self) -> None:
        photo = np.full((10, 12, 3), (7, 90, 200), np.uint8)
        assert (cut(photo, Frame(0, 0, 40)) == photo[0, 0]).all()
        assert (cut(photo, Frame(500, -300, 20, 1.0)) == photo[0, 0]).all()

    @pytest.mark.parametrize("shape", [(1, 1, 3), (2, 40_000, 3), (16, 16, 3)])
    def test_any_photo_will_do(self, shape: tuple[int, int, int]) -> None:
        photo = np.full(shape, 50, np.uint8)
        for side in (0.5, 30.0, 60_000.0):
            assert (cut(photo, Frame(shape[1] / 2, shape[0] / 2, side, 0.1)) == 50).all()

    def test_refuses_what_is_no_picture(self) -> None:
        with pytest.raises(ValueError, match="expected uint8"):
            cut(np.zeros((5, 5)), Frame(2, 2, 4))


class TestPaste:
    frame = Frame(101.4, 88.2, 70, 0.35)

    def test_nothing_changed_is_nothing_changed(self) -> None:
        photo = rough(180, 200)
        face = cut(photo, self.frame)
        np.testing.assert_array_equal(paste(photo, self.frame, face, face), photo)

    def test_outside_the_frame_every_byte_stays(self) -> None:
        photo = rough(180, 200)
        face = cut(photo, self.frame)
        edited = paste(photo, self.frame, face, 255 - face)
        y, x = np.mgrid[:180, :200] + 0.5
        c, s = math.cos(0.35), math.sin(0.35)
        u = c * (x - 101.4) + s * (y - 88.2)
        v = c * (y - 88.2) - s * (x - 101.4)
        outside = np.maximum(abs(u), abs(v)) > 36
        np.testing.assert_array_equal(edited[outside], photo[outside])
        assert (edited != photo).any()

    def test_a_local_change_stays_local(self) -> None:
        photo = rough(180, 200)
        before = cut(photo, self.frame)
        after = before.copy()
        after[30:34, 30:34] ^= 128
        changed = np.argwhere((paste(photo, self.frame, before, after) != photo).any(-1)) + 0.5
        away = np.linalg.norm(changed[:, ::-1] - (101.4, 88.2), axis=1)
        assert len(changed) > 0 and away.max() < 6 * 70 / 64

    @pytest.mark.parametrize("side", [20, 64, 150])
    def test_what_was_pasted_is_what_is_cut(self, side: int) -> None:
        photo = smooth(180, 200, sigma=10)
        frame = Frame(100, 90, side, -0.3)
        before = cut(photo, frame)
        bump = 60 * np.exp(-((np.mgrid[:64, :64] - 31.5) ** 2).sum(0) / 2 / 12**2)[..., None]
        after = (before * 0.6 + bump).clip(0, 255).astype(np.uint8)
        got = cut(paste(photo, frame, before, after), frame)
        assert difference(got[12:-12, 12:-12], after[12:-12, 12:-12]) < 2
        assert difference(before[12:-12, 12:-12], after[12:-12, 12:-12]) > 10

    def test_the_photo_keeps_its_own_detail(self) -> None:
        photo = (rough(400, 400) // 2) + 40
        frame = Frame(200, 200, 380)
        before = cut(photo, frame)
        edited = paste(photo, frame, before, before + 30)
        middle = np.s_[150:250, 150:250]
        np.testing.assert_array_equal(edited[middle], photo[middle] + 30)

    def test_it_fades_towards_the_border(self) -> None:
        photo = np.full((100, 100, 3), 100, np.uint8)
        face = np.full((64, 64, 3), 100, np.uint8)
        row = paste(photo, Frame(50, 50, 80), face, face + 100)[50, :, 0].astype(int)
        assert (np.diff(row[:50]) >= 0).all() and np.diff(row).max() < 25
        assert row[10] <= 102 and row[50] == 200

    def test_one_answer_across_tiles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        photo, face = rough(180, 200), rough(64, 64)
        whole = paste(photo, self.frame, face, face[::-1])
        monkeypatch.setattr(place, "_TILE", 37)
        tiled = paste(photo, self.frame, face, face[::-1])
        # the warp rounds places to parts of a pixel, from another corner in each tile
        assert np.abs(tiled.astype(int) - whole).max() <= 2

    def test_refuses_edits_of_another_size(self) -> None:
        face = np.zeros((64, 64, 3), np.uint8)
        with pytest.raises(ValueError, match="squares of one size"):
            paste(face, Frame(32, 32, 64), face, face[:32, :32])
