"""What a canvas sends, and what somebody sends who has none."""

import base64
from typing import Any

import numpy as np
import pytest

from apps import images
from apps.canvas import MOST_MASK, TO_PAINT, CanvasError, arrow_of, mask_of, strokes_of, to_paint
from tests.apps.pages import painted


def test_a_photo_is_put_on_the_canvas_small_and_clean() -> None:
    value = to_paint(np.full((20, 2 * TO_PAINT, 3), 90, np.uint8))
    head, _, data = value["photo"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert images.read(base64.b64decode(data)).pixels.shape == (10, TO_PAINT, 3)
    assert value["mask"] is None and value["arrow"] is None


def test_a_mask_is_brought_to_the_size_of_the_photo() -> None:
    mask = mask_of(strokes_of(painted((50, 60), slice(20, 40), slice(0, 60))), (100, 120))
    assert mask is not None and mask.shape == (100, 120)
    assert mask[45:75].min() == 255 and mask[:35].max() == 0


@pytest.mark.parametrize(
    "value",
    [None, {}, "x", {"mask": None}, {"mask": ""}, painted((9, 9), slice(0, 0), slice(0, 0))],
)
def test_where_nothing_is_painted_there_is_no_mask(value: Any) -> None:
    assert mask_of(strokes_of(value), (5, 5)) is None


@pytest.mark.parametrize(
    "mask",
    [
        "data:image/png;base64,AAAA",  # no picture
        "data:image/png;base64,A",  # no base64
        "data:image/svg+xml;base64,AAAA",
        "http://example.org/mask.png",
        "/etc/passwd",
        ["x"],
        5,
        "data:image/png;base64," + "A" * MOST_MASK,
    ],
)
def test_masks_that_no_canvas_sends(mask: Any) -> None:
    with pytest.raises(CanvasError, match="mask cannot be read"):
        mask_of(strokes_of({"mask": mask}), (5, 5))


@pytest.mark.parametrize(
    ("value", "arrow"),
    [
        ({"arrow": [0.25, 0.5, 0.75, 0]}, (0.25, 0.5, 0.75, 0)),
        ({"arrow": [-5, 0.5, 10**400, 0.5]}, (0, 0.5, 1, 0.5)),
        ({"arrow": [0.5, 0.5, 0.505, 0.495]}, None),  # a click
        ({"arrow": None}, None),
        (None, None),
    ],
)
def test_an_arrow_lies_on_the_photo(value: Any, arrow: Any) -> None:
    assert arrow_of(value) == arrow


@pytest.mark.parametrize("arrow", ["left", [1, 2, 3], [0, 0, 1, "1"], [0, 0, 1, float("nan")], 7])
def test_arrows_that_no_canvas_sends(arrow: Any) -> None:
    with pytest.raises(CanvasError, match="arrow cannot be read"):
        arrow_of({"arrow": arrow})
