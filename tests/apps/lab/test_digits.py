"""The file and its damage, splits, pixels that are drawn, and quadrants."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from apps.lab.digits import HIDDEN, Digits, binarise, hidden, hide, load_digits
from tests.apps.lab.toy import arrays


def test_splits_part_the_file_and_hold_every_class(data: Path) -> None:
    parts = {split: load_digits(data, split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [220, 20, 60]
    numbers = torch.cat([part.numbers for part in parts.values()])
    assert sorted(numbers.tolist()) == list(range(300))
    whole = arrays()
    images = np.concatenate([whole["train_images"], whole["test_images"]])
    labels = np.concatenate([whole["train_labels"], whole["test_labels"]])
    for part in parts.values():
        assert np.array_equal(part.pixels[:, 0].numpy(), images[part.numbers])
        assert np.array_equal(part.labels.numpy(), labels[part.numbers])
        assert len(part.first(15).labels.unique()) > 4  # the file is sorted, these are not


def test_a_file_serves_as_well_as_its_folder_and_always_the_same(data: Path) -> None:
    one, other = load_digits(data, "val"), load_digits(data / "mnist.npz", "val")
    assert torch.equal(one.numbers, other.numbers) and torch.equal(one.pixels, other.pixels)


def test_the_names_that_keras_gives_are_known(tmp_path: Path, data: Path) -> None:
    own = ("train_images", "train_labels", "test_images", "test_labels")
    keras = ("x_train", "y_train", "x_test", "y_test")
    whole = arrays()
    named: dict[str, Any] = {k: whole[name] for k, name in zip(keras, own, strict=True)}
    np.savez(tmp_path / "mnist.npz", **named)
    one, other = load_digits(tmp_path, "test"), load_digits(data, "test")
    assert torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)


def test_tensors_are_in_range(digits: Digits) -> None:
    x, labels = digits.tensors(torch.tensor([3, 1]))
    assert x.shape == (2, 1, 28, 28) and x.dtype == torch.float32
    assert x.min() >= 0 and x.max() == 1
    assert torch.equal(labels, digits.labels[[3, 1]])


def test_an_unknown_split_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match="'holdout', expected one of train, val, test"):
        load_digits(data, "holdout")


def changed(**others: Any) -> bytes:
    """The file with other arrays; None leaves one out."""
    buffer = io.BytesIO()
    whole = {name: of for name, of in (arrays() | others).items() if of is not None}
    np.savez(buffer, **whole)
    return buffer.getvalue()


def endless() -> bytes:
    """A header that promises more than any memory holds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        header = io.BytesIO()
        form = {"descr": "|u1", "fortran_order": False, "shape": (10**15, 28, 28)}
        np.lib.format.write_array_header_1_0(header, form)
        archive.writestr("train_images.npy", header.getvalue())
    return buffer.getvalue()


def lone() -> bytes:
    """A single array, not an archive of them."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((20, 28, 28), np.uint8))
    return buffer.getvalue()


DAMAGE = {
    "empty": b"",
    "not an archive": b"digits, but in words",
    "cut short": changed()[:-2000],
    "a bit turned": changed()[:5000] + b"\xff\x00\xff" + changed()[5003:],
    "one array": lone(),
    "an array missing": changed(test_labels=None),
    "objects": changed(train_labels=np.array([{"a": 1}] * 240, dtype=object)),
    "endless": endless(),
    "flat pictures": changed(train_images=np.zeros((240, 784), np.uint8)),
    "small pictures": changed(test_images=np.zeros((60, 14, 14), np.uint8)),
    "floats": changed(train_images=np.zeros((240, 28, 28), np.float32)),
    "no labels for some": changed(train_labels=np.zeros(239, np.uint8)),
    "labels with a fraction": changed(test_labels=np.zeros(60)),
    "an eleventh class": changed(train_labels=np.full(240, 10, np.uint8)),
    "a class below": changed(train_labels=np.full(240, -1, np.int8)),
    "nothing to test": changed(
        test_images=np.zeros((0, 28, 28), np.uint8), test_labels=np.zeros(0, np.uint8)
    ),
    "a number": changed(train_images=np.uint8(3)),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_one_clear_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    path.write_bytes(DAMAGE[kind])
    for split in ("train", "test"):
        with pytest.raises(ValueError, match=r"got .*mnist\.npz.* expected") as found:
            load_digits(tmp_path, split)
        assert "\n" not in str(found.value)


def test_no_file_is_said_as_that(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file, expected an \.npz of train_images"):
        load_digits(tmp_path, "train")


def test_pixels_drawn_once_follow_from_the_seed_and_the_number(digits: Digits) -> None:
    drawn = digits.binarised()
    assert set(drawn.pixels.unique().tolist()) == {0, 255}
    assert torch.equal(drawn.pixels, digits.binarised().pixels)
    assert not torch.equal(drawn.pixels, digits.binarised(seed=1).pixels)
    order = torch.tensor([7, 3, 100])
    some = Digits(digits.pixels[order], digits.labels[order], digits.numbers[order])
    assert torch.equal(some.binarised().pixels, drawn.pixels[order])
    assert torch.equal(drawn.labels, digits.labels)


@pytest.mark.parametrize("grey", [0, 1, 64, 128, 254, 255])
def test_a_pixel_is_on_with_the_probability_of_its_grey(grey: int) -> None:
    n = 300
    pixels = torch.full((n, 1, 28, 28), grey, dtype=torch.uint8)
    drawn = Digits(pixels, torch.zeros(n, dtype=torch.long), torch.arange(n)).binarised()
    x, _ = drawn.tensors(slice(None))
    p = grey / 255
    assert abs(x.mean().item() - p) <= 5 * (p * (1 - p) / x.numel()) ** 0.5
    # neither two pixels of a picture nor two pictures share a lot
    if 0 < p < 1:
        assert x.mean(0).std() < 0.2 and x.mean((1, 2, 3)).std() < 0.1


def test_pixels_drawn_afresh_follow_from_the_generator_and_have_the_same_mean() -> None:
    x = torch.linspace(0, 1, 784).reshape(1, 1, 28, 28).expand(2000, -1, -1, -1)
    drawn = binarise(x, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, binarise(x, torch.Generator().manual_seed(0)))
    assert not torch.equal(drawn, binarise(x, torch.Generator().manual_seed(1)))
    assert ((drawn == 0) | (drawn == 1)).all()
    assert (drawn.mean(0) - x[0]).abs().max() < 0.06  # five deviations


def test_quadrants_part_the_picture() -> None:
    steps = [hidden(n - 1) & ~hidden(n) for n in (1, 2, 3)]
    assert [step.sum() for step in steps] == [196] * 3 and hidden(3).sum() == 196
    assert (torch.stack([*steps, hidden(3)]).sum(0) == 1).all()
    corners = [(27, 0), (0, 0), (0, 27)]  # in the order of the tutorial
    assert [step[corner].item() for step, corner in zip(steps, corners, strict=True)] == [True] * 3
    assert hidden(3)[27, 27]


def test_what_is_hidden_cannot_be_read(digits: Digits) -> None:
    x, _ = digits.tensors(slice(0, 4))
    for given in (1, 2, 3):
        mask = hidden(given)
        told = hide(x, given)
        assert (told[..., mask] == HIDDEN).all()
        assert torch.equal(told[..., ~mask], x[..., ~mask])
        assert torch.equal(told, hide(torch.where(mask, 1 - x, x), given))


@pytest.mark.parametrize("given", [-1, 4])
def test_other_numbers_of_quadrants_are_refused(given: int) -> None:
    with pytest.raises(ValueError, match=f"got {given} quadrants, expected 0 to 3"):
        hidden(given)
