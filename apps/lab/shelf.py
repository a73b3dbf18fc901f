"""The models of the lab that are shipped, each loaded when somebody first looks at it."""

from collections.abc import Iterator, Mapping

from apps.lab.predict import LatentLab
from pretrained import store

# What the page calls them, and their names in `pretrained`.
MODELS = {
    "Digits": "lab-digits",
    "Digits in a plane": "lab-plane",
    "Sprites": "lab-sprites",
}


class Shelf(Mapping[str, LatentLab]):
    """What is shipped of MODELS, by title.

    Raises:
        pretrained.store.WeightsError: nothing of it is.
    """

    def __init__(self, device: str = "auto") -> None:
        there = store.shipped()
        self._names = {title: name for title, name in MODELS.items() if name in there}
        self._device = device
        self._labs: dict[str, LatentLab] = {}
        if not self._names:
            raise store.WeightsError(
                f"got none of {', '.join(MODELS.values())} among the shipped models, which are: "
                f"{', '.join(there) or 'none'}; train one and export it"
            )

    def __getitem__(self, title: str) -> LatentLab:
        if title not in self._labs:
            name = self._names[title]
            self._labs[title] = LatentLab.from_pretrained(name, device=self._device)
        return self._labs[title]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
