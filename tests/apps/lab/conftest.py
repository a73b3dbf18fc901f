"""A toy set of digits in a folder and in memory."""

from pathlib import Path

import numpy as np
import pytest

from apps.lab.digits import Digits, load_digits
from tests.apps.lab.toy import arrays
from tests.threads import one_thread as one_thread


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy set."""
    folder = tmp_path_factory.mktemp("digits")
    np.savez_compressed(folder / "mnist.npz", **arrays())  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="session")
def digits(data: Path) -> Digits:
    """Its train split."""
    return load_digits(data, "train")
