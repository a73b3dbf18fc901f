"""What is pasted lies in its region, comes of who is most alike, and leaves all else alone."""

import pytest
import torch

from apps.faces.attributes import OFFERED
from apps.faces.paste import REGIONS, paste
from tests.apps.faces.planted import A

SMILING, HAT, MALE = (OFFERED.index(name) for name in ("Smiling", "Wearing_Hat", "Male"))


def plain(*values: int) -> torch.Tensor:
    """One grey face a value."""
    return torch.tensor(values, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 64, 64)


def states(n: int, on: tuple[int, ...] = ()) -> torch.Tensor:
    labels = -torch.ones(n, A)
    labels[:, list(on)] = 1
    return labels


def test_only_the_region_changes_and_its_middle_is_the_donors() -> None:
    made = paste(plain(100), states(1), plain(200), states(1, (HAT,)), "Wearing_Hat")[0]
    region = torch.from_numpy(REGIONS["Wearing_Hat"])
    assert (made[:, :20] == 200).all() and (made[:, 36:] == 100).all()
    assert ((made > 150) == region).all()
    assert (made[0].int().diff(dim=0) <= 0).all()  # one soft seam


def test_of_those_who_have_it_it_is_the_one_of_the_other_labels_then_of_the_seam() -> None:
    labels = torch.cat([states(1), states(1, (HAT, MALE)), states(2, (HAT,))])
    donors = plain(100, 101, 160, 130)  # without a hat, another sex, and two alike
    assert paste(plain(100), states(1), donors, labels, "Wearing_Hat")[0].max() == 101
    many = torch.cat([labels, states(40, (HAT,))])
    grey = torch.cat([donors, plain(*[180] * 40)])
    # among so many who are alike nobody looks at the other sex
    assert paste(plain(100), states(1), grey, many, "Wearing_Hat")[0].max() == 130


def test_skin_takes_on_the_colour_around_it() -> None:
    donor = plain(180)
    donor[:, :, 44:48, 28:36] = 220  # a mouth
    made = paste(plain(100), states(1), donor, states(1, (SMILING,)), "Smiling")[0]
    assert (made[:, :34] == 100).all()
    assert made[0, 46, 32] == 140 and made[0, 40, 32] == 100


def test_labels_that_are_not_known_are_unlike_nothing() -> None:
    labels = torch.cat([states(1, (HAT, MALE)), states(1, (HAT,))])
    open_ = torch.zeros(1, A)
    donors = plain(101, 160)
    assert paste(plain(100), open_, donors, labels, "Wearing_Hat")[0].max() == 101


def test_what_cannot_be_pasted_is_said() -> None:
    with pytest.raises(ValueError, match="Male, expected an attribute with a region"):
        paste(plain(1), states(1), plain(1), states(1, (MALE,)), "Male")
    with pytest.raises(ValueError, match="expected one that has Smiling"):
        paste(plain(1), states(1), plain(1), states(1), "Smiling")
