"""What must hold of ours, and whether it does: against every other row, and against bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.motion.regressor import NAME, NOISY
from apps.motion.rivals import WALKER
from apps.motion.tables import FLOOR, OURS, SHOWN, Scores, Statistics
from apps.report import Cell, Column, Table
from cvae.metrics import Interval

BEATEN = {"ed5": "min-ED@5", "ed50": "min-ED@50", "energy": "energy score"}
AGAINST = (
    *(Column(f"d_{key}", f"{title}, ours − it", "", 2) for key, title in BEATEN.items()),
    Column("holds", "all below"),
)
CLAIMED = (
    Column("ours", "ours", "", 2),
    Column("difference", "ours − it", "", 2),
    Column("wanted", "wanted"),
    Column("holds", "holds"),
)
NOTE = (
    "Paired differences with 95 % bootstrap intervals over scenes. It holds (yes) where the whole "
    "interval is on the wanted side, and by its mean where the figure alone is."
)


@dataclass(frozen=True)
class Claim:
    """A score of ours, or its difference to that of another row, is below or above a bound.

    `shuffled`: beside our own score for the still of another scene.
    """

    row: str
    key: str
    bound: float = 0.0
    above: bool = False
    beside: str | None = None
    shuffled: bool = False


CLAIMS = {
    "min-ED@5 as shown, px": Claim(SHOWN, "ed5", 3.0),
    "min-ED@5 as shown, moving cells, px": Claim(SHOWN, "moving5", 6.0),
    "energy score, px": Claim(OURS, "energy", 2.6),
    "AUC of moving cells": Claim(OURS, "auc", 0.8, above=True),
    f"NLL, beside {NAME}": Claim(OURS, "nll", beside=NAME),
    f"NLL, beside {NOISY}": Claim(OURS, "nll", beside=NOISY),
    f"NLL, beside {WALKER}": Claim(OURS, "nll", beside=WALKER),
    f"Parzen NLL, beside {NAME}": Claim(OURS, "parzen", beside=NAME),
    f"Parzen NLL, beside {NOISY}": Claim(OURS, "parzen", beside=NOISY),
    f"Parzen NLL, beside {WALKER}": Claim(OURS, "parzen", beside=WALKER),
    "energy score, beside shuffled stills": Claim(OURS, "energy", shuffled=True),
    "min-ED@5, beside shuffled stills": Claim(OURS, "ed5", shuffled=True),
}


def against_table(
    ours: str, results: Mapping[str, Scores | None], statistics: Statistics
) -> Table:
    """One of our rows against every row that is not ours and has not seen the truth."""
    table = Table(f"What must hold: {ours} against every other", AGAINST, notes=[NOTE])
    own = results.get(ours)
    for name, scores in results.items():
        if name in (OURS, SHOWN, FLOOR):
            continue
        if own is None or scores is None:
            table.add(name, {"holds": "not trained"})
            continue
        found = {key: statistics.difference(own[key], scores[key]) for key in BEATEN}
        cells: dict[str, Cell] = {f"d_{key}": value for key, value in found.items()}
        verdicts = [_verdict(value, 0.0, above=False) for value in found.values()]
        worst = next(
            (v for v in ("**no**", "not measured", "by its mean") if v in verdicts), "yes"
        )
        table.add(name, cells | {"holds": worst})
    return table


def claims_table(
    results: Mapping[str, Scores | None],
    strange: Mapping[str, Scores],
    statistics: Statistics,
) -> Table:
    """Every other claim; one beside a row that is not there stays open."""
    table = Table("What must hold, besides", CLAIMED, notes=[NOTE])
    for title, claim in CLAIMS.items():
        table.add(title, _cells(claim, results, strange, statistics))
    return table


def _cells(
    claim: Claim,
    results: Mapping[str, Scores | None],
    strange: Mapping[str, Scores],
    statistics: Statistics,
) -> dict[str, Cell]:
    wanted = f"{'>' if claim.above else '<'} {claim.bound:g}"
    own = (results.get(claim.row) or {}).get(claim.key)
    if own is None:
        return {"wanted": wanted, "holds": "not measured"}
    judged = statistics.interval(own)
    cells: dict[str, Cell] = {"ours": judged, "wanted": wanted}
    if claim.beside or claim.shuffled:
        rows = strange if claim.shuffled else results
        other = (rows.get(claim.beside or claim.row) or {}).get(claim.key)
        if other is None:
            return cells | {"holds": "not measured"}
        judged = statistics.difference(own, other)
        cells["difference"] = judged
    return cells | {"holds": _verdict(judged, claim.bound, above=claim.above)}


def _verdict(found: Interval | None, bound: float, *, above: bool) -> str:
    if found is None:
        return "not measured"
    side = 1 if above else -1
    nearest = found.low if above else found.high
    whole, figure = (side * (value - bound) > 0 for value in (nearest, found.mean))
    return "yes" if whole else "by its mean" if figure else "**no**"
