"""What must hold of ours, and whether it does: every claim with its bound and its interval."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from apps.faces.measured import Measured
from apps.faces.resamples import interval
from apps.faces.tables import ANCHOR, LOUDER, OURS, REAL, REFERENCES
from apps.report import Cell, Column, Table

BEST = "best other"

COLUMNS = (
    Column("ours", "ours"),
    Column("beside", "beside"),
    Column("other", "it has"),
    Column("difference", "ours − it"),
    Column("wanted", "wanted"),
    Column("holds", "holds"),
)
NOTE = (
    "Differences are paired. It holds (yes) where the whole 95 % interval is on the wanted side, "
    "and by its mean where the figure alone is."
)


@dataclass(frozen=True)
class Claim:
    """A measure of ours, or its difference to that of another row, is above or below a bound.

    `strict`: a tie does not hold.
    """

    title: str
    key: str
    bound: float
    above: bool = True
    beside: str | None = None
    strict: bool = False


CLAIMS = (
    Claim("AUC, ten strong", "auc_strong", -0.06, beside=REAL),
    Claim("AUC, ten strong", "auc_strong", 0.0, beside=ANCHOR, strict=True),
    Claim("AUC, all offered", "auc", -0.06, beside=REAL),
    Claim("AUC, all offered", "auc", 0.0, beside=ANCHOR, strict=True),
    Claim("flip rate", "flip", 0.85),
    Claim("drift of the others", "drift", 0.0, above=False, beside=ANCHOR, strict=True),
    Claim("drift of the others", "drift", 0.0, above=False, beside=LOUDER, strict=True),
    Claim("sharpness", "sharpness", 0.7),
    Claim("coverage", "coverage", 0.0, beside=BEST, strict=True),
    Claim("FD-attr", "frechet", 0.0, above=False, beside=BEST, strict=True),
    Claim("diversity of features", "diversity_features", 0.8),
    Claim("diversity of pixels", "diversity_pixels", 0.8),
    Claim("memorised", "memorised", 0.0, above=False, beside=REAL),
)


def holds_table(results: Mapping[str, Measured | None]) -> Table:
    """Every claim about ours; one beside a row that is not trained stays open."""
    table = Table("What must hold", COLUMNS, notes=[NOTE])
    for claim in CLAIMS:
        title = claim.title + (f", beside {claim.beside}" if claim.beside else "")
        table.add(title, _cells(claim, results))
    return table


def _cells(claim: Claim, results: Mapping[str, Measured | None]) -> dict[str, Cell]:
    sign = (">" if claim.above else "<") if claim.strict else ("≥" if claim.above else "≤")
    wanted = f"{sign} {claim.bound:g}".replace("-", "−")
    ours = _draws(results, OURS, claim.key)
    if ours is None:
        return {"wanted": wanted, "holds": "not trained"}
    cells: dict[str, Cell] = {"ours": interval(ours), "wanted": wanted}
    judged = ours
    if claim.beside:
        name = _best(claim, results) if claim.beside == BEST else claim.beside
        other = _draws(results, name, claim.key) if name else None
        if other is None:
            return cells | {"beside": name or "no other", "holds": "not trained"}
        judged = ours - other
        cells |= {"beside": name, "other": interval(other), "difference": interval(judged)}
    found = interval(judged)
    if found is None:
        return cells | {"holds": "not measured"}
    side, nearest = (1, found.low) if claim.above else (-1, found.high)
    margins = (side * (value - claim.bound) for value in (nearest, found.mean))
    whole, figure = (margin > 0 or (margin == 0 and not claim.strict) for margin in margins)
    holds = "yes" if whole else "by its mean" if figure else "**no**"
    return cells | {"holds": holds}


def _best(claim: Claim, results: Mapping[str, Measured | None]) -> str | None:
    """The other model that does best by this measure."""
    found = {
        name: draws[0].item() * (1 if claim.above else -1)
        for name in results
        if name not in (*REFERENCES, OURS)
        and (draws := _draws(results, name, claim.key)) is not None
    }
    return max(found, key=lambda name: found[name]) if found else None


def _draws(results: Mapping[str, Measured | None], name: str, key: str) -> Tensor | None:
    found = results.get(name)
    return None if found is None else found.figures.get(key)
