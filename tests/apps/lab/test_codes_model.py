"""Codecs keep the size of digits, and laws hear all that they are told."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from apps.kinds import rebuild
from apps.lab.codes_model import KINDS, Codec, LawSize, build_law, told
from apps.lab.codes_recipe import CODECS, CODES, law_name
from apps.lab.digits import Digits
from apps.lab.recipe import RECIPES
from cvae.vqvae import VQVAE
from tests.apps.lab.codes_toy import codec, noise


@pytest.mark.parametrize(("halvings", "sides"), [((2,), (7,)), ((2, 1), (8, 4)), ((4, 1), (2, 1))])
def test_digits_come_back_as_large_as_they_went(
    digits: Digits, halvings: tuple[int, ...], sides: tuple[int, ...]
) -> None:
    model = codec((6, 5)[: len(halvings)], halvings)
    x, _ = digits.tensors(slice(0, 3))
    codes = model.encode(x)
    assert model.sides == sides and [tuple(c.shape) for c in codes] == [(3, n, n) for n in sides]
    assert model.decode(codes).shape == model(x)[0].shape == x.shape


def test_the_edge_is_background_all_round_and_is_cut_off(digits: Digits) -> None:
    model = codec((6, 5), (2, 1))
    x, _ = digits.tensors(slice(0, 3))
    wide = F.pad(x, [2, 2, 2, 2])
    codes = VQVAE.encode(model, wide)
    for ours, theirs in zip(model.encode(x), codes, strict=True):
        assert torch.equal(ours, theirs)
    whole = VQVAE.decode(model, codes)
    assert whole.shape[-2:] == (32, 32)
    assert torch.equal(model.decode(codes), whole[..., 2:30, 2:30])
    assert torch.equal(model(x)[0], VQVAE.forward(model, wide)[0][..., 2:30, 2:30])


def test_class_and_codes_can_both_be_told_from_what_is_asked_with() -> None:
    labels, above = torch.arange(10).repeat_interleave(7), torch.arange(7).repeat(10)
    asked = told(labels, above[:, None, None], 7)
    assert len(asked.unique()) == 70 and asked.max() == 69
    assert torch.equal(told(labels, None, 0), labels)


def law(**options: Any) -> Any:
    torch.manual_seed(0)
    return build_law(LawSize(codes=5, width=8, blocks=2, kernel=3, features=8, **options))


def test_the_coarsest_law_hears_the_class() -> None:
    model = law()
    codes = torch.randint(5, (1, 4, 4), generator=noise()).expand(10, -1, -1)
    assert len(model.log_prob(codes, torch.arange(10)).detach().unique()) == 10


def test_a_finer_law_hears_the_class_and_the_codes_above() -> None:
    model = law(above=3)
    codes = torch.randint(5, (1, 4, 4), generator=noise()).expand(10, -1, -1)
    above = torch.randint(3, (1, 2, 2), generator=noise()).expand(10, -1, -1)
    by_class = model.log_prob(codes, told(torch.arange(10), above, 3)).detach()
    assert len(by_class.unique()) == 10
    other = above.clone()
    other[:, 1, 1] = (above[:, 1, 1] + 1) % 3
    changed = model.log_prob(codes, told(torch.arange(10), other, 3)).detach()
    assert (changed != by_class).all()


def test_a_law_of_pixels_is_told_nothing() -> None:
    with pytest.raises(ValueError, match="got a condition, expected none"):
        law(told=False).log_prob(torch.zeros(2, 4, 4, dtype=torch.long), torch.arange(2))


@pytest.mark.parametrize("name", CODES)
def test_every_recipe_can_be_built_again_from_what_it_stores(name: str) -> None:
    recipe = CODES[name]
    objective: Any = recipe.objective()
    again = rebuild({"model": recipe.model, "size": asdict(recipe.size)}, KINDS)
    again.load_state_dict(objective.model.state_dict(), strict=True)


@pytest.mark.parametrize("name", CODECS)
def test_laws_fit_the_codes_of_their_codec(name: str) -> None:
    """Of codes of a digit, the law of each level gives a number of nats."""
    made: Any = Codec(CODECS[name].size).eval()
    codes = made.encode(torch.rand(2, 1, 28, 28, generator=noise()))
    for level in range(len(codes)):
        recipe = CODES[law_name(name, level)]
        assert (recipe.after, recipe.level) == (name, level)
        above = codes[level + 1] if level + 1 < len(codes) else None
        model: Any = build_law(recipe.size)
        condition = told(torch.arange(2), above, recipe.size.above)
        assert recipe.size.codes == made.sizes[level]
        assert model.log_prob(codes[level], condition).shape == (2,)
    assert law_name(name, len(codes)) not in CODES


def test_no_recipe_has_the_name_of_another() -> None:
    assert not CODES.keys() & RECIPES.keys()
