"""An edit brings what was asked for, takes off what it replaces, and leaves complexion alone."""

import numpy as np

from apps.faces.change import transfer
from apps.faces.place import Frame, cut, paste

WHOLE = Frame(32, 32, 64)


def faces() -> tuple[np.ndarray, np.ndarray]:
    """A face of a photo, and a painting of it that is not quite it."""
    noise = np.random.default_rng(0).integers(-12, 13, (64, 64, 3))
    old = np.full((64, 64, 3), (170, 130, 110), np.uint8)
    return (old + noise).astype(np.uint8), old


def edited(face: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    assert np.array_equal(cut(face, WHOLE), face)
    return paste(face, WHOLE, *transfer(face, old, new)).astype(float)


def test_a_face_that_is_painted_darker_as_a_whole_keeps_its_complexion() -> None:
    face, old = faces()
    got = edited(face, old, old - 50)
    assert np.abs(got - face)[30:42, 26:38].max() < 1


def test_what_changes_in_places_arrives_though_the_face_darkens_with_it() -> None:
    face, old = faces()
    new = old - 50
    new[40:43, 26:38] = 10  # a moustache
    got = edited(face, old, new)
    assert got[41, 28:36].mean() < 70  # it is 60 brighter with the complexion that is kept
    assert np.abs(got - face)[30:36, 28:36].max() < 1


def test_what_much_is_painted_over_does_not_shine_through() -> None:
    face, old = faces()
    face[8:20, 20:44:2] = 20  # strands of dark hair that no painting has
    new = old.copy()
    new[4:24, 14:50] = 240
    got = edited(face, old, new)
    assert got[10:18, 24:40].min() > 225
    plain = paste(face, WHOLE, old, new).astype(float)
    assert plain[10:18, 24:40].min() < 140


def test_the_hair_of_a_painting_is_no_complexion() -> None:
    face, old = faces()
    new = old.copy()
    new[:14] = 30
    got = edited(face, old, new)
    assert got[10, 20:44].mean() < 60
    assert np.array_equal(got[34:40, 28:36], face[34:40, 28:36])


def test_around_the_face_faint_changes_are_left_out_and_large_ones_come() -> None:
    face, old = faces()
    new = old.copy()
    new[:, :10] += 6  # a wall that is a little lighter with another smile
    new[:12, 50:] = 20
    got = edited(face, old, new)
    assert np.array_equal(got[20:44, :10], face[20:44, :10])
    plain = paste(face, WHOLE, old, new).astype(float)
    assert not np.array_equal(plain[20:44, :10], face[20:44, :10])
    assert got[9, 53] @ np.ones(3) < plain[9, 53] @ np.ones(3)
