"""Bits, errors and use of codes whose answer is known."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from apps.lab.codes_law import encode
from apps.lab.codes_measure import (
    bits_per_pixel,
    exact_nll,
    measure_codes,
    squared_errors,
    uniform_bits,
    usage,
)
from apps.lab.codes_model import LawSize, build_law
from apps.lab.digits import Digits
from apps.lab.measure import Plan
from tests.apps.lab.codes_toy import codec, law, steady, uniform

PLAN = Plan(samples=20)
DESIGNS: Any = [((16,), (2,)), ((8, 32), (2, 1))]


@pytest.mark.parametrize(
    ("codes", "halvings", "bits"), [(*DESIGNS[0], 49 * 4), (*DESIGNS[1], 272)]
)
def test_a_uniform_law_needs_log_k_bits_a_place(
    digits: Digits, codes: tuple[int, ...], halvings: tuple[int, ...], bits: int
) -> None:
    """49 places of 4 bits; 64 of 3 and 16 of 5."""
    model = codec(codes, halvings)
    assert uniform_bits(model) == pytest.approx(bits / 784, rel=1e-12)
    found = bits_per_pixel(uniform(law(model)), encode(model, digits), digits.labels)
    assert found.shape == (len(digits),)
    torch.testing.assert_close(found, torch.full_like(found, bits / 784), rtol=1e-6, atol=0)


def test_bits_of_a_known_law_are_counted_over_pixels() -> None:
    """Codes of one and of three bits, at two levels."""
    model = codec((2, 4), (4, 1))
    logits = [torch.tensor([1 / 2, 1 / 2]).log(), torch.tensor([1 / 8, 5 / 8, 1 / 8, 1 / 8]).log()]
    known = steady(law(model), logits)
    fine = torch.tensor([[[0, 1], [1, 0]]]).expand(2, -1, -1)
    coarse = torch.tensor([0, 1])[:, None, None]
    found = bits_per_pixel(known, (fine, coarse), torch.tensor([3, 4]))
    expected = torch.tensor([4 + 3, 4 + math.log2(8 / 5)]) / 784
    torch.testing.assert_close(found, expected)


def painted(value: float) -> Any:
    """A codec that paints every pixel alike."""
    model: Any = codec((4,), (2,))
    with torch.no_grad():
        model.levels[0].up.out.weight.zero_()
        model.levels[0].up.out.bias.fill_(value)
    return model


@pytest.mark.parametrize(("value", "shown"), [(0.25, 0.25), (-3.0, 0.0), (9.0, 1.0)])
def test_errors_are_those_of_what_is_shown(digits: Digits, value: float, shown: float) -> None:
    x, _ = digits.tensors(slice(None))
    model = painted(value)
    found = squared_errors(model, encode(model, digits), digits)
    torch.testing.assert_close(found, (x - shown).square().mean((1, 2, 3)))


def test_codes_in_use_are_counted() -> None:
    assert usage(torch.full((3, 2, 2), 5), 8) == {"used": 1, "perplexity": 1}
    every = usage(torch.arange(8).view(2, 2, 2), 8)
    assert every["used"] == 8 and every["perplexity"] == pytest.approx(8, rel=1e-5)


@pytest.mark.parametrize(("codes", "halvings"), DESIGNS)
def test_a_level_is_measured_as_it_is(
    digits: Digits, codes: tuple[int, ...], halvings: tuple[int, ...]
) -> None:
    model = codec(codes, halvings)
    found: Any = measure_codes(model, law(model), digits.first(40), PLAN)
    uses = {f"{name}_{n}" for name in ("used", "perplexity") for n in range(len(codes))}
    assert set(found) == {"mse", "bits", "uniform"} | uses
    for n, level in enumerate(encode(model, digits.first(40))):
        assert found[f"used_{n}"] == len(level.unique())
        assert 1 <= found[f"perplexity_{n}"] <= found[f"used_{n}"] + 1e-4
    assert found["bits"].low < found["bits"].mean < found["bits"].high
    assert "bits" not in measure_codes(model, None, digits.first(40), PLAN)


def pixel_law() -> Any:
    torch.manual_seed(0)
    return build_law(LawSize(codes=2, told=False, width=4, blocks=1, kernel=3)).eval()


def test_a_coin_a_pixel_is_a_bit_a_pixel(digits: Digits) -> None:
    model = pixel_law()
    with torch.no_grad():
        model.head[-1].weight.zero_()
        model.head[-1].bias.zero_()
    found = exact_nll(model, digits.binarised())
    torch.testing.assert_close(found, torch.full_like(found, 784 * math.log(2)))


def test_nll_is_that_of_the_pixels_one_after_another(digits: Digits) -> None:
    """A law that knows only how much ink there is: the cross-entropy of a picture by hand."""
    model, p = pixel_law(), 0.3
    with torch.no_grad():
        model.head[-1].weight.zero_()
        model.head[-1].bias.copy_(torch.tensor([1 - p, p]).log())
    drawn = digits.binarised()
    ink: Tensor = drawn.tensors(slice(None))[0].sum((1, 2, 3))
    expected = -ink * math.log(p) - (784 - ink) * math.log(1 - p)
    torch.testing.assert_close(exact_nll(model, drawn), expected)
