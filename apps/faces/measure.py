"""Everything that is measured of one row of the table."""

import torch
from torch import Tensor

from apps.faces import realism
from apps.faces.evidence import bits, reconstruct
from apps.faces.judge import Judge, Seen
from apps.faces.layered import LayeredDecoder
from apps.faces.measure_toggles import measure_toggles
from apps.faces.measured import Measured
from apps.faces.resamples import from_jackknife, mean
from apps.faces.rows import Row
from apps.faces.scores import averages, requested
from apps.faces.separation import separation
from apps.faces.truth import Plan, Truth
from cvae.likelihoods import FLOOR
from cvae.objective import active_units


def measure(row: Row, truth: Truth, judge: Judge, plan: Plan) -> Measured:
    """Make a face for each held-out one, toggle some, encode and decode the real ones."""
    faces = row.make(truth.test.asked, seed=plan.seed)
    seen = judge.see(faces)
    distances = realism.apart(seen.features)
    found = measure_toggles(row, realism.mean_apart(distances), truth, judge, plan)
    found.seen = seen
    _add_requested(found, seen, truth, plan)
    _add_realism(found, faces, seen, distances, truth, judge, plan)
    if row.encodes:
        _add_evidence(found, row, truth, judge, plan)
    if isinstance(row.model.generation, LayeredDecoder):
        found.figures |= separation(
            row,
            truth.test.asked[: plan.pairs],
            judge,
            scale=truth.scale,
            weights=truth.weights(plan, plan.pairs),
            seed=plan.seed,
        )
    return found


def measure_real(truth: Truth, plan: Plan) -> Measured:
    """The ceiling: held-out faces themselves, beside others that the judge has not learnt from."""
    found = Measured()
    _add_requested(found, truth.seen, truth, plan)
    sets = realism.against(
        truth.seen.features, truth.reference, truth.keep, resamples=plan.resamples
    )
    weights = truth.weights(plan, plan.copies)
    copied = realism.memorised(truth.nearness, truth.nearness, weights)
    found.figures |= sets | {"memorised": copied}
    return found


def measure_shuffled(ours: Seen, truth: Truth, plan: Plan) -> Measured:
    """The floor: ours, each judged by what was asked for in place of another."""
    order = torch.randperm(len(ours.logits), generator=torch.Generator().manual_seed(plan.seed))
    found = Measured()
    _add_requested(found, Seen(ours.logits[order], ours.features[order]), truth, plan)
    return found


def _add_requested(found: Measured, seen: Seen, truth: Truth, plan: Plan) -> None:
    weights = truth.weights(plan)
    found.requested = requested(seen.logits, truth.test.labels, truth.lines, weights)
    strong, every = averages(found.requested.auc)
    found.figures |= {"auc_strong": strong, "auc": every}
    strong, every = averages(found.requested.accuracy)
    found.figures |= {"accuracy_strong": strong, "accuracy": every}


def _add_realism(
    found: Measured,
    faces: Tensor,
    seen: Seen,
    distances: Tensor,
    truth: Truth,
    judge: Judge,
    plan: Plan,
) -> None:
    weights = truth.weights(plan)
    fine, real = (mean(weights, realism.sharpness_of(x)) for x in (faces, truth.test.pixels))
    found.figures["sharpness"] = fine / real
    found.figures |= realism.against(
        seen.features, truth.reference, truth.keep, resamples=plan.resamples
    )
    own = {"features": distances, "pixels": realism.apart(faces)}
    for (name, of), real_of in zip(own.items(), truth.apart, strict=True):
        ratio = realism.within(of, truth.test.asked, truth.keep) / realism.within(
            real_of, truth.test.asked, truth.keep
        )
        found.figures[f"diversity_{name}"] = from_jackknife(ratio, resamples=plan.resamples)
    nearness = truth.known.nearness(faces[: plan.copies], judge)
    found.figures["memorised"] = realism.memorised(
        nearness, truth.nearness, truth.weights(plan, plan.copies)
    )


def _add_evidence(found: Measured, row: Row, truth: Truth, judge: Judge, plan: Plan) -> None:
    test, val = truth.test, truth.val
    weights = truth.weights(plan)
    again = reconstruct(row, test.pixels, test.asked, seed=plan.seed + 2)
    moved = (judge.see(again.pixels).features - truth.seen.features).norm(dim=1)
    apart = realism.mean_apart(truth.apart[0])
    # the one scale that suits draws of the posterior best, on other faces than those judged
    drawn = reconstruct(row, val.pixels, val.asked, seed=plan.seed + 2).drawn
    variance = max(drawn.mean().item(), FLOOR**2)
    few = test.first(plan.bounded)
    bound = bits(
        row,
        few.pixels,
        few.asked,
        variance=variance,
        samples=plan.draws,
        seed=plan.seed + 3,
    )
    found.figures |= {
        "mae": mean(weights, again.mae),
        "mse": mean(weights, again.mse),
        "feature": mean(weights, moved) / apart,
        "bits": mean(truth.weights(plan, plan.bounded), bound),
        "nats": mean(weights, again.kl.sum(1)),
    }
    found.numbers |= {"active": float(active_units(again.means)), "deviation": variance**0.5}
    found.kl = again.kl.mean(0)
