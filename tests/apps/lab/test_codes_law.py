"""Probabilities of codes add up, samples follow them, and one seed is one picture."""

import pytest
import torch
from scipy.stats import chi2

from apps.lab.codes_law import AT_ONCE, CodeLaw, check_codes, encode, fingerprint
from apps.lab.digits import Digits
from tests.apps.lab.codes_toy import codec, every_map, law, noise


def test_probabilities_of_all_codes_of_one_level_add_up_to_one() -> None:
    one = law(codec((2,), (4,)))
    maps = every_map(2, 2)
    for label in (0, 7):
        log_p = one.log_prob([maps], torch.full((16,), label))
        assert log_p.std() > 0.1
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_probabilities_of_all_codes_of_two_levels_add_up_to_one() -> None:
    two = law(codec((2, 3), (4, 1)))
    fine, coarse = every_map(2, 2).repeat(3, 1, 1), torch.arange(3).repeat_interleave(16)
    found = []
    for label in (0, 7):
        log_p = two.log_prob([fine, coarse[:, None, None]], torch.full((48,), label))
        assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-5)
        found.append(log_p)
    assert (found[0] - found[1]).abs().max() > 0.1  # and they hear the class


def test_samples_of_two_levels_follow_the_law() -> None:
    two, draws = law(codec((2, 3), (4, 1))), 3000
    fine, coarse = every_map(2, 2).repeat(3, 1, 1), torch.arange(3).repeat_interleave(16)
    log_p = two.log_prob([fine, coarse[:, None, None]], torch.full((48,), 4))
    drawn = two.sample(torch.full((draws,), 4), generator=noise())
    assert [tuple(level.shape) for level in drawn] == [(draws, 2, 2), (draws, 1, 1)]
    places = (drawn[0].flatten(1) * torch.tensor([8, 4, 2, 1])).sum(1)
    found = (16 * drawn[1].flatten() + places).bincount(minlength=48)
    expected = draws * log_p.exp()
    common = expected > 5
    statistic = ((found - expected).square() / expected)[common].sum().item()
    assert statistic < chi2.ppf(0.999, int(common.sum()))
    even = draws / 48
    assert ((found - even).square() / even).sum() > 2 * chi2.ppf(0.999, 47)  # a test that can fail


def test_pictures_are_what_their_codes_decode_to() -> None:
    two = law(codec((6, 5), (2, 1)))
    labels = torch.arange(4)
    x = two.draw(labels, generator=noise(3))
    with torch.no_grad():
        expected = two.codec.decode(two.sample(labels, generator=noise(3))).clamp(0, 1)
    assert x.shape == (4, 1, 28, 28) and torch.equal(x, expected)


def test_more_pictures_than_at_once_are_one_each() -> None:
    tiny = law(codec((2,), (4,)))
    n = AT_ONCE + 3
    assert tiny.draw(torch.zeros(n, dtype=torch.long), generator=noise()).shape[0] == n


def test_one_seed_and_class_is_one_picture() -> None:
    model = law(codec((16,), (2,)), loud=4.0)
    a, again, other, digit = (
        model.picture(label, seed=seed) for label, seed in ((7, 0), (7, 0), (7, 1), (2, 0))
    )
    assert a.dtype == "uint8" and a.shape == (28, 28)
    assert a.tobytes() == again.tobytes()
    assert a.tobytes() != other.tobytes() and a.tobytes() != digit.tobytes()


@pytest.mark.parametrize("label", [-1, 10])
def test_other_classes_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match=f"got class={label}, expected 0 to 9"):
        law(codec()).picture(label, seed=0)


def test_codes_of_digits_are_those_of_the_pictures(digits: Digits) -> None:
    model = codec((6, 5), (2, 1))
    x, _ = digits.tensors(slice(None))
    for all_at_once, found in zip(model.encode(x), encode(model, digits), strict=True):
        assert torch.equal(all_at_once, found)


def test_a_law_of_other_codes_is_refused() -> None:
    one, other = codec(), codec()
    assert fingerprint(one) == fingerprint(other)
    check_codes("law", {"codes": fingerprint(one)}, fingerprint(other))
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    with pytest.raises(ValueError, match=r"got law here of codes .*, expected one of codes"):
        check_codes("here", {"codes": fingerprint(one)}, fingerprint(other))
    with pytest.raises(ValueError, match="got 1 laws, expected 2"):
        CodeLaw(codec((2, 3), (4, 1)), law(one).laws)
