"""Whether requests are heard: exact on models that do what they do on purpose."""

import pytest
import torch

from apps.faces import held_out, scores
from apps.faces.attributes import OFFERED, STRONG
from apps.faces.judge import Seen
from apps.faces.resamples import resampled
from cvae.fidelity import auc, balanced_accuracy
from tests.apps.faces import planted
from tests.apps.faces.planted import A

N = 60
ONES = torch.ones(1, N, dtype=torch.float64)


def ranked() -> tuple[torch.Tensor, torch.Tensor]:
    """Scores with ties that know something of labels, of which some are unknown."""
    generator = torch.Generator().manual_seed(0)
    states = planted.labels(N, unknown=0.2)[:, 0]
    return (states + 2 * torch.randn(N, generator=generator)).round(), states


def test_auc_and_accuracy_are_those_of_the_core_where_labels_are_known() -> None:
    found, states = ranked()
    known = states != 0
    assert 0 < (~known).sum() < N
    area = scores.auc_draws(found, states, ONES)
    assert area.item() == pytest.approx(auc(found[known], states[known] > 0))
    right = scores.accuracy_draws(found, states, 0.5, ONES)
    assert right.item() == pytest.approx(balanced_accuracy(found[known], states[known] > 0, 0.5))


def test_a_weight_counts_a_picture_so_often() -> None:
    found, states = ranked()
    weights = resampled(range(N), resamples=5)
    for draw, rate, times in zip(
        scores.auc_draws(found, states, weights),
        scores.accuracy_draws(found, states, 0.5, weights),
        weights.long(),
        strict=True,
    ):
        often = torch.repeat_interleave(torch.arange(N), times)
        often = often[states[often] != 0]
        assert draw.item() == pytest.approx(auc(found[often], states[often] > 0))
        expected = balanced_accuracy(found[often], states[often] > 0, 0.5)
        assert rate.item() == pytest.approx(expected)


def test_one_state_alone_is_not_measured_and_does_not_count() -> None:
    states = planted.labels(N)
    states[:, OFFERED.index("Bald")] = -1
    seen = planted.judge().see(planted.faces(states))
    found = scores.requested(seen.logits, states, torch.zeros(A), ONES)
    assert found.auc[:, OFFERED.index("Bald")].isnan().all()
    for average in scores.averages(found.auc):
        assert average.item() == 1.0


def test_a_model_that_obeys_one_that_does_not_and_one_that_hears_the_strong_alone() -> None:
    states, judge = planted.labels(N), planted.judge()
    lines = torch.zeros(A)
    heard = torch.tensor([1.0 if name in STRONG else 0.0 for name in OFFERED])
    half = (10 + 0.5 * (A - 10)) / A
    for hears, strong, every in ((0.0, 0.5, 0.5), (1.0, 1.0, 1.0), (heard, 1.0, half)):
        seen = judge.see(planted.row(hears).make(states, seed=0))
        found = scores.requested(seen.logits, states, lines, ONES)
        for of in (found.auc, found.accuracy):
            averages = [average.item() for average in scores.averages(of)]
            assert averages == pytest.approx([strong, every])


def toggled(heard: torch.Tensor | float, spill: torch.Tensor | None = None) -> scores.Toggles:
    judge, row, asked = planted.judge(), planted.row(heard, spill), planted.labels(20)
    off, on = (judge.see(faces) for faces in row.toggle(asked, *held_out.toggled(asked), seed=0))
    ones = torch.ones(1, 20, dtype=torch.float64)
    return scores.toggles(
        off, on, lines=torch.zeros(A), scale=torch.full((A,), 2.0), apart=4.0, weights=ones
    )


def test_every_toggle_flips_where_it_is_heard_and_nothing_else_moves() -> None:
    heard = torch.ones(A)
    heard[OFFERED.index("Smiling")] = 0
    heard[OFFERED.index("Male")] = -1  # the wrong way round is no flip
    found = toggled(heard)
    expected = [0.0 if name in ("Smiling", "Male") else 1.0 for name in STRONG]
    assert found.flip[0].tolist() == expected
    # those that hair colours and baldness exclude are switched off, and do not count as drift
    assert found.drift.abs().max() < 1e-6


def test_drift_is_the_mean_of_the_others_in_their_own_spread() -> None:
    spill = torch.zeros(A, A)
    smiling, young = OFFERED.index("Smiling"), OFFERED.index("Young")
    spill[smiling, young] = 0.1
    found = toggled(1.0, spill)
    # 0.2 in the cell, times 4 in the logit, over a spread of 2, one of all but Smiling itself
    expected = [0.4 / (A - 1) if name == "Smiling" else 0.0 for name in STRONG]
    assert found.drift[0].tolist() == pytest.approx(expected, abs=0.002)
    # the judge's features move by the toggled cell and that one
    assert toggled(0.0).identity.item() == 0.0


def test_identity_is_the_step_in_features_over_how_far_faces_are_apart() -> None:
    heard = torch.zeros(A)
    heard[OFFERED.index("Smiling")] = 1.0
    # one cell of ten toggles moves by 1, faces are 4 apart
    assert toggled(heard).identity.item() == pytest.approx(0.1 / 4, rel=0.01)


def test_a_flip_needs_both_sides_of_the_line_and_counts_by_weight() -> None:
    m, t = 3, len(STRONG)
    off = Seen(torch.zeros(m * t, A), torch.zeros(m * t, 5))
    on = Seen(torch.zeros(m * t, A), torch.zeros(m * t, 5))
    bald = OFFERED.index("Bald")
    on.logits[1 * t + STRONG.index("Bald"), bald] = 0.5
    off.logits[2 * t + STRONG.index("Bald"), bald] = 0.4
    on.logits[2 * t + STRONG.index("Bald"), bald] = 0.5
    lines = torch.full((A,), 0.3).double()
    weights = torch.tensor([[1.0, 1, 1], [0, 2, 1]]).double()
    found = scores.toggles(off, on, lines=lines, scale=torch.ones(A), apart=1.0, weights=weights)
    assert found.flip[:, STRONG.index("Bald")].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found.flip.sum(1).tolist() == pytest.approx([1 / 3, 2 / 3])


def test_pairs_that_do_not_count_are_as_if_they_were_not_there() -> None:
    m, t = 4, len(STRONG)
    generator = torch.Generator().manual_seed(0)
    off, on = (
        Seen(
            torch.randn(m * t, A, generator=generator), torch.randn(m * t, 5, generator=generator)
        )
        for _ in range(2)
    )
    counted = torch.ones(m, t, dtype=torch.bool)
    counted[2:] = False
    counted[:, 3] = False

    def found(off: Seen, on: Seen, counted: torch.Tensor | None = None) -> scores.Toggles:
        ones = torch.ones(1, len(off.logits) // t).double()
        lines, scale = torch.zeros(A).double(), torch.ones(A)
        return scores.toggles(
            off, on, lines=lines, scale=scale, apart=1.0, weights=ones, counted=counted
        )

    some = found(off, on, counted)
    first, then = (Seen(*(of[: 2 * t] for of in seen)) for seen in (off, on))
    few = found(first, then)
    rest = [i for i in range(t) if i != 3]
    for name in ("flip", "drift"):
        of, beside = getattr(some, name), getattr(few, name)
        assert torch.allclose(of[:, rest], beside[:, rest])
        assert of[:, 3].isnan().all()
    steps = (on.features - off.features).norm(dim=1).view(m, t)[:2, rest]
    assert some.identity.item() == pytest.approx(steps.mean().item())
