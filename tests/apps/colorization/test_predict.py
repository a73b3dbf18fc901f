"""From picture to pictures: size, lightness, determinism, order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from apps.colorization import Colorizer
from apps.colorization.data import to_lab
from pretrained.store import WeightsError


@pytest.fixture(scope="module")
def colorizer(weights: Path) -> Colorizer:
    return Colorizer.from_pretrained(weights, device="cpu")


def photo(height: int, width: int) -> np.ndarray:
    rows = np.linspace(10, 240, height)[:, None]
    columns = 10 * np.sin(np.linspace(0, 20, width))[None]
    return (rows + columns).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (97, 203), (300, 40), (1, 1), (1, 500)])
def test_size_and_lightness_are_kept(colorizer: Colorizer, shape: tuple[int, int]) -> None:
    grey = photo(*shape)
    answer = colorizer(grey, k=3)
    expected = to_lab(np.repeat(grey[..., None], 3, -1))[..., 0]
    assert len(answer.images) == 3
    for image in answer.images:
        assert image.shape == (*shape, 3) and image.dtype == np.uint8
        assert np.abs(to_lab(image)[..., 0] - expected).max() <= 0.5


def test_distinct_answers_are_ordered_and_reproducible(colorizer: Colorizer) -> None:
    first, second = colorizer(photo(60, 80)), colorizer(photo(60, 80))
    assert len(first.images) == 8
    assert first.probabilities == second.probabilities
    assert all(np.array_equal(a, b) for a, b in zip(first.images, second.images, strict=True))
    p = np.array(first.probabilities)
    assert (np.diff(p) <= 0).all() and p.sum() == pytest.approx(1) and (p > 0).all()
    pairs = [np.abs(a.astype(int) - b).mean() for a in first.images for b in first.images]
    assert sum(d == 0 for d in pairs) == 8  # only each with itself


def test_draw_j_knows_only_image_seed_and_j(colorizer: Colorizer) -> None:
    few = colorizer(photo(50, 50), k=2, seed=3, temperature=1.0)
    many = colorizer(photo(50, 50), k=5, seed=3, temperature=1.0)
    other = colorizer(photo(50, 50), k=2, seed=4, temperature=1.0)
    assert all(np.array_equal(a, b) for a, b in zip(few.images, many.images, strict=False))
    assert not np.array_equal(few.images[0], other.images[0])
    assert few.probabilities == [0.5, 0.5]


def test_temperature_and_intensity_calm(colorizer: Colorizer) -> None:
    def spread(temperature: float) -> float:
        answer = colorizer(photo(40, 40), k=6, temperature=temperature)
        return float(np.stack(answer.images).astype(float).std(0).mean())

    assert spread(0.05) < spread(1.0)
    grey = colorizer(photo(40, 40), k=1, intensity=0).images[0]
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()


def test_colour_is_turned_to_grey_first(colorizer: Colorizer) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(60, 200, (32, 32, 3), np.uint8)
    grey = colorizer.grey(colour)
    assert (grey[..., 0] == grey[..., 1]).all()
    a, b = colorizer(colour, k=2).images, colorizer(grey, k=2).images
    assert all(np.abs(x.astype(int) - y).mean() < 1.5 for x, y in zip(a, b, strict=True))


def test_paths_bytes_depth_and_alpha(colorizer: Colorizer, tmp_path: Path) -> None:
    alpha = np.zeros((20, 30), np.uint8)
    alpha[5:] = 255
    pixels = np.dstack([photo(20, 30)] * 3 + [alpha])
    Image.fromarray(pixels).save(tmp_path / "a.png")
    answer = colorizer(tmp_path / "a.png", k=1)
    assert answer.alpha is not None and np.array_equal(answer.alpha, alpha)
    again = colorizer((tmp_path / "a.png").read_bytes(), k=1)
    assert np.array_equal(answer.images[0], again.images[0])
    deep = colorizer(photo(20, 30).astype(np.uint16) * 257, k=1)
    shallow = colorizer(photo(20, 30), k=1)
    assert np.array_equal(deep.images[0], shallow.images[0])


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"k": 65}, {"temperature": 0}, {"temperature": 3}, {"intensity": -1}]
)
def test_numbers_out_of_range(colorizer: Colorizer, wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"got {next(iter(wrong))}="):
        colorizer(photo(8, 8), **wrong)


def test_global_noise_is_neither_used_nor_touched(colorizer: Colorizer) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    colorizer(photo(16, 16), k=2, temperature=1.0)
    colorizer(photo(16, 16), k=2)
    assert torch.equal(state, torch.get_rng_state())


def test_weights_of_another_domain_are_refused(tmp_path: Path) -> None:
    from pretrained import store

    store.save(tmp_path / "w", state={"a": torch.zeros(1)}, config={"domain": "x"}, card="")
    with pytest.raises(WeightsError, match="expected 'colorization'"):
        Colorizer.from_pretrained(tmp_path / "w")
