"""Reading sets of photos, Lab, and the changes made to a batch."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import color

from apps.colorization import data


def write(path: Path, seed: int, *, size: int = 40, grey: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (size, size + 10))
    if grey:
        pixels = pixels[..., :1].repeat(3, -1)
    cv2.imwrite(str(path), pixels)


def test_split_file_decides(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"photos/images/a/{i}.png", i)
    rows = ["file,split", "a/0.png,train", "a/1.png,val", "a/2.png,train"]
    (tmp_path / "photos/split.csv").write_text("\n".join(rows) + "\n")
    train = data.find_photos(tmp_path, "train")
    assert [p.path.name for p in train] == ["0.png", "2.png"]
    assert {p.set for p in train} == {"photos"}
    assert len(data.find_photos(tmp_path, "val")) == 1
    with pytest.raises(ValueError, match="no test pictures"):
        data.find_photos(tmp_path, "test")


def test_without_split_file_persons_stay_together(tmp_path: Path) -> None:
    for person in range(40):
        for i in range(3):
            write(tmp_path / f"faces/P_{person}/P_{person}_{i:04d}.jpg", i)
    splits: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        try:
            found = data.find_photos(tmp_path, split)
        except ValueError:
            continue
        for photo in found:
            splits.setdefault(photo.group, set()).add(split)
    assert len(splits) == 40
    assert all(len(s) == 1 for s in splits.values())
    assert {"train"} in splits.values()


def test_photos_in_a_person_like_folder_are_grouped_by_themselves(tmp_path: Path) -> None:
    write(tmp_path / "trips/rome/forum.jpg", 0)
    write(tmp_path / "trips/rome/tiber.jpg", 1)
    groups = {p.group for s in ("train",) for p in data.find_photos(tmp_path, s)}
    assert groups <= {"rome/forum.jpg", "rome/tiber.jpg"}


def test_near_grey_and_broken_photos_are_dropped(tmp_path: Path) -> None:
    write(tmp_path / "s/colour.png", 1)
    write(tmp_path / "s/grey.png", 2, grey=True)
    (tmp_path / "s/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    names = ("colour.png", "grey.png", "broken.png")
    photos = [data.Photo(tmp_path / "s" / n, "s", "train", n) for n in names]
    loaded = data.load_photos(photos, progress=False)
    assert [p.path.name for p in loaded.photos] == ["colour.png"]
    with pytest.raises(ValueError, match="expected at least one readable colour picture"):
        data.load_photos(photos[1:], progress=False)


def test_tensors_are_the_photo(tmp_path: Path) -> None:
    write(tmp_path / "s/a.png", 3, size=128)
    photo = data.Photo(tmp_path / "s/a.png", "s", "train", "a")
    grey, chroma = data.load_photos([photo], progress=False).tensors(slice(None))
    assert grey.shape == (1, 1, 128, 128) and chroma.shape == (1, 2, 64, 64)
    bgr = cv2.imread(str(photo.path))
    assert bgr is not None
    pixels = bgr[5:133, :, ::-1]
    lab = color.rgb2lab(pixels)
    assert np.abs((grey[0, 0].numpy() + 1) * 50 - lab[..., 0]).max() < 0.6
    small = color.rgb2lab(cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA))
    assert np.abs(chroma[0].numpy() * 128 - small[..., 1:].transpose(2, 0, 1)).max() < 1.0


def test_lab_matches_an_outside_oracle() -> None:
    cube = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert np.abs(data.to_lab(cube) - color.rgb2lab(cube)).max() < 0.02


def test_augmentation_keeps_ranges_shapes_and_is_reproducible() -> None:
    grey = torch.rand(16, 1, 128, 128) * 2 - 1
    chroma = torch.rand(16, 2, 64, 64) - 0.5
    augment = data.Augment(old=1.0)
    first = augment(grey, chroma, torch.Generator().manual_seed(4))
    second = augment(grey, chroma, torch.Generator().manual_seed(4))
    other = augment(grey, chroma, torch.Generator().manual_seed(5))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == grey.shape and first[1].shape == chroma.shape
    assert first[0].abs().max() <= 1


def test_augmentation_moves_grey_and_chroma_together() -> None:
    """A picture whose chroma is its lightness keeps that tie through every crop and flip."""
    ramp = torch.linspace(-0.9, 0.9, 128).expand(1, 1, 128, 128) * 0.7
    ramp = (ramp + 0.2 * ramp.transpose(2, 3)).repeat(32, 1, 1, 1)
    chroma = torch.nn.functional.avg_pool2d(ramp, 2).repeat(1, 2, 1, 1)
    grey, moved = data.Augment(old=0.0)(ramp, chroma, torch.Generator().manual_seed(0))
    small = torch.nn.functional.avg_pool2d(grey, 2)
    scale = (moved[:, :1] / small).flatten(1).median(1).values  # chroma is scaled a little
    assert (scale - 1).abs().max() < 0.11
    assert (moved[:, :1] - small * scale[:, None, None, None]).abs().max() < 0.02
    flipped = small[:, 0, 30, 40] < small[:, 0, 30, 20]
    assert 4 < flipped.sum() < 28


def test_age_changes_only_what_it_is_given_and_stays_in_range() -> None:
    grey = torch.rand(8, 1, 64, 64) * 2 - 1
    before = grey.clone()
    aged = data.age(grey, torch.Generator().manual_seed(0))
    assert torch.equal(grey, before)
    assert aged.min() >= -1 and aged.max() <= 1
    assert ((aged - grey).abs().mean((1, 2, 3)) > 1e-3).all()
