"""A tiny model with random weights, as a folder like those in pretrained/, and a toy world."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from apps.colorization.data import Photo, Photos
from apps.colorization.model import Size, build
from pretrained import store


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    size = Size(width=8, palette=4, spatial=2, components=4, rank=3)
    model = build(size)
    with torch.no_grad():  # louder than at the start of training, so that answers differ
        model.get_parameter("generation.out.weight").mul_(3)
    folder = tmp_path_factory.mktemp("weights")
    config = {"domain": "colorization", "model": "mixture", "size": asdict(size)}
    store.save(folder, state=model.state_dict(), config=config, card="# test\n")
    return folder


@pytest.fixture(scope="session")
def world() -> Photos:
    """Dark pictures are blue or green, bright ones red or yellow: two modes for either."""
    n = 64
    generator = torch.Generator().manual_seed(0)
    bright = torch.rand(n, generator=generator) < 0.5
    second = torch.rand(n, generator=generator) < 0.5
    palette = torch.tensor([[[20, -60], [-50, 40]], [[60, 40], [5, 70]]])
    ab = palette[bright.long(), second.long()]
    level = torch.where(bright, 200, 60).to(torch.uint8)
    lightness = level[:, None, None].expand(n, 128, 128).contiguous()
    chroma = ab[:, :, None, None].expand(n, 2, 64, 64).to(torch.int8).contiguous()
    photos = tuple(Photo(Path(str(i)), "world", "train", str(i)) for i in range(n))
    return Photos(lightness, chroma, photos)
