"""A toy world of faces in which what is labelled can be seen."""

from pathlib import Path

import pytest
import torch

from apps.faces.attributes import NAMES, OFFERED
from apps.faces.data import Face, Faces
from tests.threads import one_thread as one_thread


@pytest.fixture(scope="session")
def world() -> Faces:
    """Smiling faces are bright below, blond ones yellow above; all else is chance."""
    n = 96
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (n, len(NAMES)), generator=generator) * 2 - 1
    x = torch.full((n, 3, 64, 64), 120.0)
    x += 20 * torch.randn(n, 3, 1, 1, generator=generator)
    smiling = labels[:, NAMES.index("Smiling")].view(n, 1, 1, 1)
    blond = labels[:, NAMES.index("Blond_Hair")].view(n, 1, 1)
    x[:, :, 40:] += 60.0 * smiling
    x[:, 2, :20] -= 60.0 * blond
    pixels = x.clamp(0, 255).to(torch.uint8)
    faces = tuple(
        Face(Path(str(i)), "world", "train", str(i), labels[i].numpy()) for i in range(n)
    )
    return Faces(pixels, labels.to(torch.int8), faces)


@pytest.fixture
def batch(world: Faces) -> tuple[torch.Tensor, ...]:
    """(x, y) to encode and (x, y) for critics, eight of each."""
    from apps.faces.attributes import COLUMNS

    x, labels = world.tensors(torch.arange(16))
    y = labels[:, COLUMNS]
    assert y.shape[1] == len(OFFERED)
    return x[:8], y[:8], x[8:], y[8:]
