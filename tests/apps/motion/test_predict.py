"""From a still to forecasts: units, order, seeds, hints, masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from apps import images
from apps.kinds import rebuild
from apps.motion.answers import apart, draw
from apps.motion.model import KINDS, Size, build
from apps.motion.predict import (
    Forecast,
    Forecaster,
    Hint,
    agreement,
    animate,
    network_size,
)
from apps.motion.scores import joint_energy
from pretrained import store

SIZE = Size(width=8, whole=3, spatial=2, components=2, rank=2)


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    torch.manual_seed(0)
    model = build(SIZE)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return Forecaster(model, device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (400, 300))


@pytest.fixture(scope="module")
def forecast(forecaster: Forecaster, photo: np.ndarray) -> Forecast:
    return forecaster(photo, k=4, seed=3)


def test_a_forecast_is_what_it_says(forecast: Forecast) -> None:
    assert forecast.displacements.shape == (4, 30, 20, 26, 2)
    assert forecast.displacements.dtype == np.float32
    assert forecast.grid.shape == (20, 26, 2)
    assert forecast.grid[0, 0] == pytest.approx([400 / 52 - 0.5, 300 / 40 - 0.5])
    shares = forecast.probabilities
    assert (np.diff(shares) <= 0).all() and shares.sum() == pytest.approx(1)
    pairs = [np.abs(a - b).max() for a in forecast.displacements for b in forecast.displacements]
    assert sorted(pairs)[4] > 0.1  # four are their own
    assert forecast.seed == 3


def test_the_same_seed_gives_the_same_bytes(
    forecaster: Forecaster, photo: np.ndarray, forecast: Forecast
) -> None:
    again = forecaster(photo, k=4, seed=3)
    assert again.displacements.tobytes() == forecast.displacements.tobytes()
    assert again.probabilities.tobytes() == forecast.probabilities.tobytes()
    other = forecaster(photo, k=4, seed=4)
    assert other.displacements.tobytes() != forecast.displacements.tobytes()


def test_motion_scales_with_the_image(forecaster: Forecaster, photo: np.ndarray) -> None:
    """A picture and itself enlarged go the same way, in pixels of each."""
    small = photo[:160, :208]
    large = small.repeat(4, 0).repeat(4, 1)
    one, four = forecaster(small, k=2), forecaster(large, k=2)
    assert one.displacements * 4 == pytest.approx(four.displacements, abs=1e-3)
    assert four.grid[1, 1] == pytest.approx((one.grid[1, 1] + 0.5) * 4 - 0.5)


def test_sources_of_every_kind(forecaster: Forecaster, photo: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(images.encode_png(photo))
    assert np.array_equal(
        forecaster(path, k=1).displacements, forecaster(photo, k=1).displacements
    )
    assert forecaster(photo[..., 0], k=1).displacements.shape[0] == 1
    with pytest.raises(images.ImageError):
        forecaster(b"no picture", k=1)


@pytest.mark.parametrize("size", [(1, 1), (20, 3000), (700, 90)])
def test_any_size_has_a_grid(forecaster: Forecaster, size: tuple[int, int]) -> None:
    found = forecaster(np.zeros((*size, 3), np.uint8), k=1)
    h, w = (side // 8 for side in network_size(*size))
    assert found.displacements.shape == (1, 30, h, w, 2) and found.grid.shape == (h, w, 2)
    assert np.isfinite(found.displacements).all()


@pytest.mark.parametrize("k", [0, 33])
def test_k_out_of_range(forecaster: Forecaster, photo: np.ndarray, k: int) -> None:
    with pytest.raises(ValueError, match=f"got k={k}, expected 1 to 32"):
        forecaster(photo, k=k)


def test_draws_are_decoded_means_of_the_prior(forecaster: Forecaster) -> None:
    frames = torch.randint(256, (2, 3, 32, 48), dtype=torch.uint8)
    drawn, again = (
        draw(forecaster.model, frames, 40, generator=torch.Generator().manual_seed(0))
        for _ in range(2)
    )
    assert drawn.shape == (2, 40, 5, 2, 4, 6)
    assert torch.equal(drawn, again)
    # the distance between draws is that of the score
    pair = joint_energy(drawn[:1, :1], drawn[0, 1:2])
    assert apart(drawn[0])[0, 1].item() == pytest.approx(pair.item(), rel=1e-3)


def test_a_hint_is_followed() -> None:
    """Half of the draws go right at the place pointed at, half left, one not at all."""
    motions = torch.zeros(9, 5, 2, 20, 26)
    motions[:4, 0, 0, 8:12, 8:12] = 10.0
    motions[4:8, 0, 0, 8:12, 8:12] = -10.0
    weights = agreement(motions, Hint((80.0, 80.0), (120.0, 80.0)))
    assert weights.sum().item() == pytest.approx(1)
    assert weights[:4].sum() > 0.95 and weights[8] < 1e-3
    assert torch.allclose(weights[:4], weights[0])
    up = agreement(motions, Hint((80.0, 80.0), (80.0, 40.0)))  # nothing goes there: no choice
    assert torch.allclose(up[:8], up[0])
    with pytest.raises(ValueError, match="expected two places"):
        agreement(motions, Hint((80.0, 80.0), (80.0, 80.0)))


def test_a_hint_changes_the_order(forecaster: Forecaster, photo: np.ndarray) -> None:
    ends = []
    for x in (300.0, 100.0):
        found = forecaster(photo, k=3, hint=Hint((200.0, 150.0), (x, 150.0)))
        cell = found.displacements[:, :, 10, 13, 0].mean(1)
        ends.append(float(cell @ found.probabilities))
    assert ends[0] > ends[1]


def test_animation(forecaster: Forecaster, photo: np.ndarray, forecast: Forecast) -> None:
    frames = forecaster.animate(photo, 0, forecast=forecast)
    assert frames.shape == (60, 300, 400, 3) and frames.dtype == np.uint8
    assert np.array_equal(frames[0], photo)
    assert np.array_equal(forecaster.animate(photo, 0, strength=0, forecast=forecast)[30], photo)
    left = np.zeros((300, 400), np.uint8)
    left[:, :200] = 255
    masked = forecaster.animate(photo, 0, mask=left, forecast=forecast)
    assert np.array_equal(masked[30][:, 320:], photo[:, 320:])
    with pytest.raises(ValueError, match="got i=9, expected 0 to 3"):
        forecaster.animate(photo, 9, forecast=forecast)
    with pytest.raises(ValueError, match="mask of 10 x 10"):
        forecaster.animate(photo, 0, mask=left[:10, :10], forecast=forecast)


def test_large_images_move_at_two_megapixels() -> None:
    pixels = np.zeros((1500, 3000, 3), np.uint8)
    pixels[700:800, 1400:1600] = 255
    grid = np.stack(np.meshgrid(np.arange(26) * 116.0, np.arange(13) * 116.0), -1)
    still = np.zeros((1, 30, 13, 26, 2), np.float32)
    forecast = Forecast(still, grid.astype(np.float32), np.ones(1, np.float32), 0)
    frames = animate(pixels, forecast, 0)
    assert frames.shape == (60, 1000, 2000, 3)


def test_weights_of_another_domain_are_refused(tmp_path: Path) -> None:
    store.save(tmp_path / "w", state={"a": torch.zeros(1)}, config={"domain": "tea"}, card="")
    with pytest.raises(store.WeightsError, match="expected 'motion'"):
        Forecaster.from_pretrained(tmp_path / "w")


def test_a_model_for_comparison_makes_no_forecasts(tmp_path: Path) -> None:
    config = {"domain": "motion", "model": "walker", "size": {"width": 3}}
    store.save(tmp_path / "w", state=rebuild(config, KINDS).state_dict(), config=config, card="")
    with pytest.raises(store.WeightsError, match="expected a 'mixture'"):
        Forecaster.from_pretrained(tmp_path / "w")
