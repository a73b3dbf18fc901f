"""Scenes: known from their number, and their labels lie where the faces are."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from apps.faces.detector import GREY, LARGEST, SMALLEST, encode
from apps.faces.detector_data import (
    SCENE,
    Scenes,
    Sources,
    _bound,
    _paste,
    _scrambled,
    load_sources,
)
from apps.faces.frame import CELEBA_96, LFW
from apps.faces.place import LEFT_EYE, MOUTH, RIGHT_EYE, Frame


def marked(side: int, frame: Frame) -> np.ndarray:
    """A picture with a red left eye, a green right one and a blue mouth, on black."""
    face = np.zeros((side, side, 3), np.uint8)
    for channel, (x, y) in enumerate(frame.points([LEFT_EYE, RIGHT_EYE, MOUTH])):
        colour = [0, 0, 0]
        colour[channel] = 255
        place = (round((x - 0.5) * 16), round((y - 0.5) * 16))  # in sixteenths, from centres
        cv2.circle(face, place, round(0.07 * frame.side * 16), colour, -1, cv2.LINE_AA, 4)
    return face


def sources() -> Sources:
    rng = np.random.default_rng(0)
    small, large = Frame(48, 48, 96), Frame(64, 62, 92, -0.02)
    return Sources(
        faces=[(marked(96, small), small)],
        whole=[(marked(128, large), large)],
        photos=[rng.integers(0, 256, (70, 90, 3), np.uint8) for _ in range(3)],
    )


def centre_of(canvas: np.ndarray, channel: int) -> np.ndarray:
    weight = canvas[..., channel].astype(float)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]] + 0.5
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("place", [Frame(60, 70, 50, 0.4), Frame(64, 60, 28, -0.3)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_eyes_and_mouth_come_where_the_label_says(place: Frame, mirrored: bool) -> None:
    frame = Frame(66, 62, 92, -0.1)
    pixels = marked(128, frame)
    if mirrored:
        pixels, frame = pixels[:, ::-1], frame.mirror(128)
    canvas = np.zeros((SCENE, SCENE, 3), np.uint8)
    _paste(canvas, pixels, frame, False, place, np.random.default_rng(0))
    marks = [RIGHT_EYE, LEFT_EYE, MOUTH] if mirrored else [LEFT_EYE, RIGHT_EYE, MOUTH]
    for channel, expected in enumerate(place.points(marks)):
        assert np.linalg.norm(centre_of(canvas, channel) - expected) < 0.2


def test_a_scene_is_known_from_its_number() -> None:
    one, again, other = Scenes(sources()), Scenes(sources()), Scenes(sources(), seed=1)
    numbers = torch.tensor([5, 2])
    for a, b in zip(one(numbers), again(numbers), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one(numbers)[0], other(numbers)[0])
    swapped = again(numbers.flip(0))[0].flip(0)  # nothing is left over from the scene before
    assert torch.equal(one(numbers)[0], swapped)


def test_batches_hold_what_the_scenes_do() -> None:
    scenes = Scenes(sources())
    pixels, heat, values, mask = scenes(torch.arange(4))
    assert pixels.shape == (4, 3, 128, 128) and pixels.dtype == torch.uint8
    assert heat.shape == mask.shape == (4, 1, 16, 16) and values.shape == (4, 5, 16, 16)
    picture, frames = scenes.scene(3)
    assert np.array_equal(pixels[3].permute(1, 2, 0).numpy(), picture)
    assert np.array_equal(heat[3].numpy(), encode(frames, 16, 16)[0])


def test_scenes_with_none_one_and_two_faces_in_the_trained_sizes() -> None:
    scenes = [Scenes(sources()).scene(n)[1] for n in range(150)]
    assert {len(frames) for frames in scenes} == {0, 1, 2}
    frames = [frame for many in scenes for frame in many]
    sides = np.array([frame.side for frame in frames])
    assert sides.min() >= SMALLEST and sides.max() <= LARGEST
    assert sides.min() < 1.2 * SMALLEST and sides.max() > LARGEST / 1.2
    rolls = np.degrees([frame.roll for frame in frames])
    assert abs(rolls).max() <= 30 and rolls.min() < -20 and rolls.max() > 20
    assert all(0 <= f.x < SCENE and 0 <= f.y < SCENE for f in frames)


def test_beyond_the_bounds_all_is_grey_and_no_face_is_told() -> None:
    canvas = np.full((SCENE, SCENE, 3), 255, np.uint8)
    first, second = Frame(40, 40, 30), Frame(120, 120, 30)
    frames = _bound(canvas, [first, second], np.random.default_rng(0))
    assert frames == [first]  # at most 1.5 sides away from the first is left
    assert (canvas[40, 40] == 255).all() and (canvas[120, 120] == GREY).all()


def test_scrambling_deals_the_quarters_and_keeps_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    out, _, _ = _scrambled(pixels, Frame(32, 32, 64), True, np.random.default_rng(3))
    assert not np.array_equal(out, pixels)
    assert np.array_equal(np.sort(out.ravel()), np.sort(pixels.ravel()))


def test_nothing_to_paste_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one face"):
        Sources(faces=[], whole=[], photos=[np.zeros((8, 8, 3), np.uint8)])


def toy_data(folder: Path, *, split: str = "train") -> Path:
    """The layout of the shared sets with a handful of made pictures."""
    rng = np.random.default_rng(0)
    files = {
        "celeba/images": {"000001.jpg": 83, "000002.jpg": 96},
        "lfw/lfw-deepfunneled": {"A_B/A_B_0001.jpg": 128, "C_D/C_D_0001.jpg": 128},
        "photos/images": {
            "scenes/sea/1.jpg": 100,
            "objects/Faces/1.jpg": 128,
            "large/1.jpg": 232,
        },
    }
    for base, pictures in files.items():
        for name, side in pictures.items():
            path = folder / base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), rng.integers(0, 256, (side, side, 3), np.uint8))
        with (folder / base).parent.joinpath("split.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("file", "split"))
            rows.writerows((name, split) for name in pictures)
            rows.writerow(("missing.jpg", "test"))
    return folder


def test_sources_are_read_with_the_frame_of_their_set(tmp_path: Path) -> None:
    got = load_sources(toy_data(tmp_path), "train")
    assert len(got.photos) == 1 and got.photos[0].shape == (100, 100, 3)  # no people
    frames = {len(pixels): frame for pixels, frame in got.faces}
    assert frames[83] == Frame(41.5, 41.5, 83)
    assert frames[96].side == pytest.approx(96 * CELEBA_96.side)
    assert [f.side for _, f in got.whole] == [pytest.approx(128 * LFW.side)] * 2


def test_a_folder_of_that_name_above_the_data_leaves_nothing_out(tmp_path: Path) -> None:
    assert len(load_sources(toy_data(tmp_path / "large"), "train").photos) == 1


def test_no_more_are_read_than_asked_for(tmp_path: Path) -> None:
    got = load_sources(toy_data(tmp_path), "train", faces=1, whole=1)
    assert len(got.faces) == len(got.whole) == 1
