"""What toggles do: those of a row, the same said louder, and real faces pasted together."""

from torch import Tensor

from apps.faces import realism
from apps.faces.attributes import STRONG, STRONG_COLUMNS
from apps.faces.held_out import toggled
from apps.faces.judge import Judge, Seen
from apps.faces.loudness import loudest, said
from apps.faces.measured import Measured
from apps.faces.paste import REGIONS, paste
from apps.faces.rows import Row
from apps.faces.scores import toggles
from apps.faces.truth import Plan, Truth


def measure_toggles(
    row: Row, apart: float, truth: Truth, judge: Judge, plan: Plan, *, gain: float = 1.0
) -> Measured:
    """Each strong attribute off and on in the first held-out requests, said `gain` times as loud.

    Args:
        apart: mean distance of the judge's features between different faces of the row.
    """
    asked = truth.test.asked[: plan.pairs]
    pairs = row.toggle(asked, *said(*toggled(asked), gain), seed=plan.seed + 1)
    off, on = (judge.see(faces) for faces in pairs)
    found = _moved(off, on, apart, truth, plan)
    found.figures["frechet_on"] = realism.frechet(
        on.features,
        truth.reference,
        truth.keep[:, : len(asked)].repeat_interleave(len(STRONG), 1),
        resamples=plan.resamples,
    )
    return found


def measure_louder(row: Row, seen: Seen, truth: Truth, judge: Judge, plan: Plan) -> Measured:
    """The same at the gain at which they are heard most often on val."""
    asked = truth.val.asked[: plan.pairs]
    gain = loudest(row, asked, judge, truth.lines, seed=plan.seed + 1)
    apart = realism.mean_apart(realism.apart(seen.features))
    found = measure_toggles(row, apart, truth, judge, plan, gain=gain)
    found.numbers["gain"] = gain
    return found


def measure_pasted(truth: Truth, judge: Judge, plan: Plan) -> Measured:
    """Held-out faces that lack an attribute, and the same with that of another real face."""
    test = truth.test.first(plan.pairs)
    pixels, labels = truth.donors
    lack = test.labels[:, list(STRONG_COLUMNS)] < 0  # (M, T)
    on = test.pixels[:, None].repeat(1, len(STRONG), 1, 1, 1)
    for t, (name, column) in enumerate(zip(STRONG, STRONG_COLUMNS, strict=True)):
        if name not in REGIONS or not (labels[:, column] > 0).any():
            lack[:, t] = False
        own = lack[:, t]
        if own.any():
            on[own, t] = paste(test.pixels[own], test.labels[own], pixels, labels, name)
    off = Seen(*(of[: len(test)].repeat_interleave(len(STRONG), 0) for of in truth.seen))
    apart = realism.mean_apart(truth.apart[0])
    return _moved(off, judge.see(on.flatten(0, 1)), apart, truth, plan, lack)


def _moved(
    off: Seen, on: Seen, apart: float, truth: Truth, plan: Plan, counted: Tensor | None = None
) -> Measured:
    found = toggles(
        off,
        on,
        lines=truth.lines,
        scale=truth.scale,
        apart=apart,
        weights=truth.weights(plan, plan.pairs),
        counted=counted,
    )
    flip, drift = (of.nanmean(1) for of in (found.flip, found.drift))
    figures = {"flip": flip, "drift": drift, "cost": drift / flip.clamp(min=1e-3)}
    return Measured(figures=figures | {"identity": found.identity}, toggles=found)
