"""What can be asked of a face: CelebA's attributes, which of them are offered, and how to say so.

A request has three states an attribute: on (+1), off (-1), don't care (0).
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor

# CelebA's own order (Liu et al. 2015); columns of labels stand in it.
NAMES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs"),
    *("Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair"),
    *("Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair"),
    *("Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline"),
    *("Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings"),
    *("Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young"),
)

# Never asked for and never conditioned on. Each says why.
WITHHELD = {
    "Attractive": "it judges people",
    "Pale_Skin": "it sorts people by the colour of their skin",
    "Big_Lips": "it stands in for race",
    "Big_Nose": "it judges people and stands in for race",
    "Pointy_Nose": "it judges people and stands in for race",
    "Narrow_Eyes": "it stands in for race",
    "Chubby": "it judges people by their weight",
    "Double_Chin": "it judges people by their weight",
    "Blurry": "it describes the photo and not the person",
}

# What the model is conditioned on: A names, in this order.
OFFERED = tuple(name for name in NAMES if name not in WITHHELD)
COLUMNS = tuple(NAMES.index(name) for name in OFFERED)  # of OFFERED among NAMES

# For the page; every offered name stands in exactly one group.
GROUPS = {
    "hair": (
        *("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald", "Bangs"),
        *("Receding_Hairline", "Straight_Hair", "Wavy_Hair"),
        *("No_Beard", "5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"),
    ),
    "face": (
        *("Male", "Young", "Smiling", "Mouth_Slightly_Open", "High_Cheekbones", "Oval_Face"),
        *("Rosy_Cheeks", "Bags_Under_Eyes", "Arched_Eyebrows", "Bushy_Eyebrows"),
    ),
    "accessories": (
        *("Eyeglasses", "Wearing_Hat", "Wearing_Earrings", "Wearing_Necklace", "Wearing_Necktie"),
        *("Wearing_Lipstick", "Heavy_Makeup"),
    ),
}

# Visible at 64 pixels and labelled reliably: the ten that everything is judged by first.
STRONG = (
    *("Male", "Smiling", "Eyeglasses", "Blond_Hair", "Black_Hair"),
    *("Bald", "Bangs", "Wearing_Hat", "Mustache", "Gray_Hair"),
)
STRONG_COLUMNS = tuple(OFFERED.index(name) for name in STRONG)

# No face has two of one line. They exclude each other by meaning, and CelebA's labels have them
# together at less than a fifth of chance. Hence not here: Bald with Gray_Hair (a wreath of grey
# hair, five times chance) and No_Beard with 5_o_Clock_Shadow (a third of all shadows).
EXCLUSIVE = (
    ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    *(("Bald", other) for other in ("Black_Hair", "Blond_Hair", "Brown_Hair", "Bangs")),
    *(("Bald", other) for other in ("Straight_Hair", "Wavy_Hair")),
    ("Straight_Hair", "Wavy_Hair"),
    ("Bangs", "Receding_Hairline"),
    ("No_Beard", "Goatee"),  # No_Beard means clean-shaven in these labels
    ("No_Beard", "Mustache"),
)


class RequestError(ValueError):
    """A request that no face can answer; the message is one sentence for the person who asked."""


def canonical(name: str) -> str:
    """The offered attribute that a name means, in any case, with spaces or underscores.

    Raises:
        RequestError: unknown or withheld; the sentence lists the nearest offered names.

    Example:
        >>> canonical("blond hair"), canonical("5 o'clock shadow")
        ('Blond_Hair', '5_o_Clock_Shadow')
        >>> canonical("Smilling")
        Traceback (most recent call last):
        apps.faces.attributes.RequestError: There is no attribute 'Smilling': the nearest are \
Smiling, Sideburns and Wearing_Hat.
    """
    key = _key(name)
    if key in _OFFERED_BY_KEY:
        return _OFFERED_BY_KEY[key]
    close = difflib.get_close_matches(key, _OFFERED_BY_KEY, n=3, cutoff=0.0)
    first, second, third = (_OFFERED_BY_KEY[c] for c in close)
    nearest = f"the nearest are {first}, {second} and {third}"
    if key in _WITHHELD_BY_KEY:
        withheld = _WITHHELD_BY_KEY[key]
        raise RequestError(f"{withheld} is not offered because {WITHHELD[withheld]}: {nearest}.")
    shown = str(name) if len(str(name)) <= 40 else str(name)[:39] + "…"
    raise RequestError(f"There is no attribute {shown!r}: {nearest}.")


def parse(names: str | Iterable[str]) -> tuple[str, ...]:
    """Canonical names of a list, or of a text with commas; empty pieces are passed over.

    Example:
        >>> parse("Smiling, blond hair")
        ('Smiling', 'Blond_Hair')
    """
    pieces = [names] if isinstance(names, str) else list(names)
    split = [part for piece in pieces for part in str(piece).split(",")]
    return tuple(canonical(part) for part in split if part.strip())


def request(
    attributes: Mapping[str, bool | None] | None = None,
    *,
    on: str | Iterable[str] = (),
    off: str | Iterable[str] = (),
) -> Tensor:
    """What is asked of a face as one vector over `OFFERED`: +1 on, -1 off, 0 don't care.

    Takes a mapping (None is don't care), lists of names, or both. Float32 `(A,)`.

    Raises:
        RequestError: a name that is not offered, a value that is neither bool nor None, or
            attributes that contradict each other.

    Example:
        >>> vector = request({"Smiling": True, "Male": False})
        >>> torch.equal(vector, request(on="smiling", off="male"))
        True
        >>> stated(vector)
        {'Male': False, 'Smiling': True}
        >>> request(on="Bald, Bangs")
        Traceback (most recent call last):
        apps.faces.attributes.RequestError: Bald and Bangs contradict each other: ask for one of \
them.
    """
    wanted = [*_items(attributes or {})]
    wanted += [(name, True) for name in parse(on)] + [(name, False) for name in parse(off)]
    states = dict(wanted)
    for name, state in wanted:
        if state != states[name]:
            raise RequestError(f"{name} is asked for both with and without: choose one.")
    check(states)
    vector = torch.zeros(len(OFFERED))
    for name, state in wanted:
        vector[OFFERED.index(name)] = 1.0 if state else -1.0
    return vector


def check(states: Mapping[str, bool]) -> None:
    """Raise `RequestError` where two attributes that are on exclude each other."""
    for line in EXCLUSIVE:
        both = [name for name in line if states.get(name)]
        if len(both) > 1:
            names = f"{', '.join(both[:-1])} and {both[-1]}"
            raise RequestError(f"{names} contradict each other: ask for one of them.")


def stated(vector: Tensor) -> dict[str, bool]:
    """What a vector `(A,)` over `OFFERED` states, by name; the inverse of `request`."""
    if vector.shape != (len(OFFERED),):
        raise ValueError(f"got shape {tuple(vector.shape)}, expected ({len(OFFERED)},)")
    states = zip(OFFERED, vector.tolist(), strict=True)
    return {name: value > 0 for name, value in states if value}


def consistent(y: Tensor, said: Collection[str]) -> Tensor:
    """`y` `(A,)` over `OFFERED` with what excludes each other switched off, but for what was said.

    Example:
        >>> both = torch.where(request(on="Bald") + request(on="Bangs") > 0, 1.0, -1.0)
        >>> [name for name, on in stated(consistent(both, {"Bangs"})).items() if on]
        ['Bangs']
    """
    y = y.clone()
    for line in EXCLUSIVE:
        on = [name for name in line if y[OFFERED.index(name)] > 0]
        keep = next((name for name in on if name in said), on[0] if on else None)
        for name in on:
            if name != keep:
                y[OFFERED.index(name)] = -1
    return y


def partners() -> Tensor:
    """Which attributes exclude which, `(A, A)` bool."""
    excludes = torch.zeros(len(OFFERED), len(OFFERED), dtype=torch.bool)
    for line in EXCLUSIVE:
        columns = torch.tensor([OFFERED.index(name) for name in line])
        excludes[columns[:, None], columns] = True
    return excludes.fill_diagonal_(False)


def title(name: str) -> str:
    """A canonical name as a person reads it.

    Example:
        >>> title("Blond_Hair"), title("5_o_Clock_Shadow")
        ('Blond hair', "5 o'clock shadow")
    """
    return name.replace("_o_Clock", " o'clock").replace("_", " ").capitalize()


def _items(attributes: Mapping[str, bool | None]) -> Iterable[tuple[str, bool]]:
    for name, state in attributes.items():
        if not isinstance(state, bool | None):
            raise RequestError(
                f"{canonical(name)} is {state!r}: expected True, False or None (don't care)."
            )
        if state is None:
            canonical(name)  # unknown names are errors whatever is said of them
        else:
            yield canonical(name), state


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", str(name).casefold())


_OFFERED_BY_KEY = {_key(name): name for name in OFFERED}
_WITHHELD_BY_KEY = {_key(name): name for name in WITHHELD}
