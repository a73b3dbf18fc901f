"""A small set of clips whose motion is known, and windows without any clip."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from apps.motion.data import Window, Windows
from apps.motion.working import CELLS, SIZE


@pytest.fixture(scope="session")
def write_clip() -> Callable[[Path, np.ndarray], None]:
    """Write frames at 10 a second as an MP4."""
    from flow.write import encode_mp4

    def write(path: Path, frames: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_mp4(frames, fps=10))

    return write


@pytest.fixture
def make_windows() -> Callable[..., Windows]:
    """Windows with the given coefficients `(N, 5, 2, 20, 26)`; frames are noise by default."""

    def make(coefficients: torch.Tensor, frames: torch.Tensor | None = None) -> Windows:
        n = len(coefficients)
        if frames is None:
            generator = torch.Generator().manual_seed(0)
            # large patches: what looks alike at small size must be alike
            coarse = torch.randint(256, (n, 3, 10, 13), generator=generator, dtype=torch.uint8)
            frames = coarse.repeat_interleave(16, 2).repeat_interleave(16, 3)
        assert frames.shape == (n, 3, *SIZE)
        return Windows(
            frames=frames,
            coefficients=coefficients.half(),
            confidence=torch.full((n, *CELLS), 255, dtype=torch.uint8),
            static=torch.ones(n, dtype=torch.bool),
            inlier_ratio=torch.ones(n),
            motion=torch.ones(n),
            moving=torch.ones(n),
            windows=tuple(Window(f"g/{i}.mp4", f"s{i}", "train", 0.0) for i in range(n)),
        )

    return make
