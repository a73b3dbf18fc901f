"""Faces depend on (seed, j, attributes) alone; edits touch the face alone; errors are one line."""

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from apps.faces import FaceMaker
from apps.faces.attributes import COLUMNS, EXCLUSIVE, OFFERED, RequestError
from apps.faces.copula import Copula
from apps.faces.data import Faces
from apps.faces.edit import MaskError, _fill
from apps.faces.model import ReaderSize, Size, build, build_reader
from apps.faces.place import Frame
from pretrained import store

BOX = (20.0, 10.0, 84.0, 74.0)


@pytest.fixture(scope="module")
def folder(world: Faces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    size = Size(width=8, latent=8)
    model = build(size)
    for block in model.generation.blocks:  # type: ignore[union-attr]
        torch.nn.init.normal_(block.film.project.weight, std=0.3)
        torch.nn.init.normal_(block.conv2.weight, std=0.1)
    copula = Copula.fit((world.labels[:, COLUMNS] > 0).numpy()).to_config()
    config = {"domain": "faces", "model": "faces", "size": asdict(size), "copula": copula}
    path = tmp_path_factory.mktemp("faces")
    store.save(path, state=model.state_dict(), config=config, card="# test\n")
    return path


@pytest.fixture(scope="module")
def maker(folder: Path) -> FaceMaker:
    found = FaceMaker.from_pretrained(folder, device="cpu")
    torch.manual_seed(1)
    found.__dict__["_reader"] = build_reader(ReaderSize(width=8)).eval()
    return found


def photo(height: int = 90, width: int = 110) -> np.ndarray:
    small = np.random.default_rng(0).integers(60, 200, (5, 5, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_same_call_gives_the_same_bytes_and_k_changes_none(maker: FaceMaker) -> None:
    made = maker({"Smiling": True}, k=4, seed=3)
    again = maker({"Smiling": True}, k=2, seed=3)
    assert [i.shape for i in made.images] == [(64, 64, 3)] * 4
    assert all(np.array_equal(a, b) for a, b in zip(made.images, again.images, strict=False))
    assert made.requests[:2] == again.requests
    other = maker({"Smiling": True}, k=2, seed=4)
    assert not np.array_equal(made.images[0], other.images[0])
    assert not np.array_equal(made.images[0], made.images[1])


def test_what_is_asked_for_is_in_every_request_and_nothing_contradicts(maker: FaceMaker) -> None:
    made = maker({"bald": True, "Male": False, "Young": None}, k=40)
    assert all(r["Bald"] and not r["Male"] for r in made.requests)
    assert len({r["Young"] for r in made.requests}) == 2
    for asked in made.requests:
        assert asked.keys() == set(OFFERED)
        assert all(sum(asked[name] for name in line) <= 1 for line in EXCLUSIVE)


def test_a_toggle_keeps_the_person(maker: FaceMaker) -> None:
    on, off = (maker({"Smiling": state}, k=30, seed=0) for state in (True, False))
    moved = [
        sum(a[name] != b[name] for name in OFFERED if name != "Smiling")
        for a, b in zip(on.requests, off.requests, strict=True)
    ]
    assert np.mean(moved) < 3  # of 30; the labels of this world are independent


def test_temperature_scales_the_noise_and_nothing_else(maker: FaceMaker) -> None:
    assert torch.allclose(maker._latent(0, 1, 0.5), 0.5 * maker._latent(0, 1, 1.0))
    warm, cool = (maker({"Smiling": True}, k=3, temperature=t) for t in (1.0, 0.1))
    assert warm.requests == cool.requests
    assert not np.array_equal(warm.images[0], cool.images[0])


def test_a_progression_goes_from_off_to_on_of_the_same_face(maker: FaceMaker) -> None:
    steps = maker.progression("eyeglasses", 5, {"Male": True}, seed=2)
    assert len(steps) == 5
    apart = [np.abs(s.astype(int) - steps[0]).mean() for s in steps]
    assert apart[0] == 0 and apart == sorted(apart) and apart[-1] > 0
    asked = {**maker({"Male": True, "Eyeglasses": False}, k=1, seed=2).requests[0]}
    assert np.array_equal(steps[0], maker(asked, k=1, seed=2).images[0])
    calm = maker.progression("eyeglasses", 2, {"Male": True}, seed=2, temperature=0.5)
    assert np.array_equal(calm[0], maker(asked, k=1, seed=2, temperature=0.5).images[0])


def test_an_edit_changes_nothing_outside_the_face_and_nothing_if_nothing_is_asked(
    maker: FaceMaker,
) -> None:
    picture = photo()
    has = maker.read(picture, BOX)
    assert has.keys() == set(OFFERED) and all(0 < p < 1 for p in has.values())
    name = next(n for n in ("Smiling", "Eyeglasses", "Male") if has[n] != 0.5)
    edited = maker.edit(picture, {name: has[name] < 0.5}, BOX)
    assert edited.shape == picture.shape and edited.dtype == np.uint8
    inside = np.zeros(picture.shape[:2], bool)
    inside[10:74, 20:84] = True
    assert np.array_equal(edited[~inside], picture[~inside])
    assert not np.array_equal(edited, picture)
    frame = maker.locate(picture, BOX)  # found once, it may be given again
    assert np.array_equal(maker.edit(picture, {name: has[name] < 0.5}, frame), edited)


def test_completions_keep_every_seen_byte_and_differ(maker: FaceMaker) -> None:
    picture = photo()
    mask = np.zeros_like(picture)
    mask[30:55, 35:70] = 255
    filled = maker.complete(picture, mask, k=2, seed=0, box=BOX)
    for one in filled:
        assert np.array_equal(one[mask == 0], picture[mask == 0])
        assert not np.array_equal(one, picture)
    again = maker.complete(picture, mask, k=2, seed=0, box=BOX)
    assert all(np.array_equal(a, b) for a, b in zip(filled, again, strict=True))


def test_a_hole_is_filled_in_place_and_meets_its_surroundings() -> None:
    picture = photo(64, 64)
    hidden = np.zeros((64, 64), bool)
    hidden[20:41, 15:50] = True
    frame = Frame(32, 32, 64)
    # a face that is the photo itself, only darker: the hole takes on the light around it
    out = _fill(picture, hidden, frame, (picture.astype(int) - 30).clip(0).astype(np.uint8))
    assert np.abs(out[hidden].astype(int) - picture[hidden]).mean() < 3
    corner = np.zeros((64, 64), bool)
    corner[:9, 50:] = True  # at the edge of the photo
    out = _fill(picture, corner, frame, picture)
    assert np.abs(out[corner].astype(int) - picture[corner]).mean() < 25


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((90, 110, 3), np.uint8), "mask is empty"),
        (np.full((9, 11, 3), 255, np.uint8), "11 × 9 pixels and the photo 110 × 90"),
        (np.full((90, 110, 3), 255, np.uint8), "leave some of it"),
    ],
)
def test_masks_that_cannot_be_used(maker: FaceMaker, mask: np.ndarray, sentence: str) -> None:
    with pytest.raises(MaskError, match=sentence):
        maker.complete(photo(), mask, box=BOX)


def test_a_mask_beside_the_face_hides_nothing(maker: FaceMaker) -> None:
    mask = np.zeros((90, 110, 3), np.uint8)
    mask[80:, 95:] = 255
    with pytest.raises(MaskError, match="hides nothing of the face"):
        maker.complete(photo(), mask, box=BOX)


def test_bad_requests_get_one_sentence(maker: FaceMaker, folder: Path) -> None:
    with pytest.raises(RequestError, match="There is no attribute 'Grin'"):
        maker({"Grin": True})
    with pytest.raises(ValueError, match="got k=0, expected 1 to 256"):
        maker(k=0)
    with pytest.raises(ValueError, match="got steps=1"):
        maker.progression("Smiling", 1)
    with pytest.raises(store.WeightsError, match="expected 'faces'"):
        FaceMaker.from_pretrained("colorization")
