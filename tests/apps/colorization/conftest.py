"""A tiny model with random weights, as a folder like those in pretrained/."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

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
    config = {"domain": "colorization", "size": asdict(size)}
    store.save(folder, state=model.state_dict(), config=config, card="# test\n")
    return folder
