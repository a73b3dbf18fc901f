"""The schema of attributes, and what people may type."""

from itertools import combinations

import pytest
import torch

from apps.faces import attributes
from apps.faces.attributes import GROUPS, NAMES, OFFERED, STRONG, WITHHELD, RequestError, request


def test_the_schema_is_whole() -> None:
    assert len(NAMES) == len(set(NAMES)) == 40
    assert list(NAMES) == sorted(NAMES)  # CelebA's order is the alphabet
    assert set(WITHHELD) < set(NAMES) and not set(WITHHELD) & set(OFFERED)
    assert len(OFFERED) + len(WITHHELD) == 40
    assert set(STRONG) <= set(OFFERED) and len(set(STRONG)) == 10
    assert [NAMES[i] for i in attributes.COLUMNS] == list(OFFERED)
    assert {"Attractive", "Pale_Skin"} <= set(WITHHELD)


def test_every_offered_name_is_in_one_group() -> None:
    grouped = [name for group in GROUPS.values() for name in group]
    assert sorted(grouped) == sorted(OFFERED)
    assert list(GROUPS) == ["hair", "face", "accessories"]


@pytest.mark.parametrize("name", OFFERED)
def test_names_are_read_in_any_case_with_spaces_or_underscores(name: str) -> None:
    for form in (name, name.lower(), name.upper(), name.replace("_", " "), f" {name} "):
        assert attributes.canonical(form) == name
    assert attributes.canonical(attributes.title(name)) == name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("smilling", "Smiling"), ("glasses", "Eyeglasses"), ("blonde hair", "Blond_Hair")],
)
def test_an_unknown_name_lists_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(RequestError, match=meant) as caught:
        attributes.canonical(typed)
    assert typed in str(caught.value)


@pytest.mark.parametrize("name", WITHHELD)
def test_a_withheld_name_says_why_and_names_only_offered_ones(name: str) -> None:
    with pytest.raises(RequestError, match="not offered because") as caught:
        attributes.canonical(name.lower().replace("_", " "))
    nearest = str(caught.value).rpartition("nearest are ")[2].rstrip(".")
    assert set(nearest.replace(" and ", ", ").split(", ")) <= set(OFFERED)


@pytest.mark.parametrize("name", ["", "x" * 5000, "🙂", "Bald\nBangs", "0"])
def test_whatever_is_typed_gets_one_short_sentence(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        attributes.canonical(name)
    assert len(str(caught.value)) < 200 and "\n" not in str(caught.value)


def test_lists_are_texts_or_sequences() -> None:
    expected = ("Smiling", "Blond_Hair", "Male")
    assert attributes.parse("Smiling, blond hair,,male ,") == expected
    assert attributes.parse(["smiling,BLOND_HAIR", "male"]) == expected
    assert attributes.parse("") == attributes.parse([]) == ()


def test_both_forms_end_as_one_vector() -> None:
    first = request({"smiling": True, "Male": False, "Young": None})
    assert first.shape == (len(OFFERED),) and first.dtype == torch.float32
    assert first[OFFERED.index("Smiling")] == 1 and first[OFFERED.index("Male")] == -1
    assert first.abs().sum() == 2
    assert torch.equal(first, request(on="Smiling", off=["male"]))
    assert torch.equal(first, request({"Smiling": True}, off="Male"))
    assert attributes.stated(first) == {"Smiling": True, "Male": False}
    assert torch.equal(request(), torch.zeros(len(OFFERED)))


def test_with_and_without_at_once_contradict() -> None:
    with pytest.raises(RequestError, match="Smiling is asked for both with and without"):
        request(on="Smiling, Male", off="smiling")
    with pytest.raises(RequestError, match="Smiling is asked for both"):
        request({"Smiling": False, "SMILING": True})
    assert request(on="Smiling, smiling").sum() == 1


@pytest.mark.parametrize("line", attributes.EXCLUSIVE)
def test_what_excludes_each_other_is_refused_only_when_both_are_on(line: tuple[str, ...]) -> None:
    for one, two in combinations(line, 2):
        with pytest.raises(RequestError, match=f"{one} and {two} contradict each other"):
            request(on=[two, one])
        assert request(on=one, off=two).abs().sum() == 2
        assert request(off=[one, two]).sum() == -2


@pytest.mark.parametrize("pair", ["Bald, Gray Hair", "No Beard, 5 o Clock Shadow", "Bald, Goatee"])
def test_what_goes_together_is_not_refused(pair: str) -> None:
    assert request(on=pair).sum() == 2


@pytest.mark.parametrize("value", ["yes", 1, 0, -1.0, [True]])
def test_a_state_is_true_false_or_none(value: object) -> None:
    with pytest.raises(RequestError, match="expected True, False or None"):
        request({"Smiling": value})  # type: ignore[dict-item]


def test_unknown_names_are_errors_whatever_is_said_of_them() -> None:
    with pytest.raises(RequestError, match="no attribute 'Beautiful'"):
        request({"Beautiful": None})


def test_stated_wants_the_modelled_attributes() -> None:
    with pytest.raises(ValueError, match="expected"):
        attributes.stated(torch.zeros(40))
