"""What goes with an attribute in real faces: exact on logits that are made of one another."""

import pytest
import torch

from apps.faces.attributes import OFFERED, STRONG, STRONG_COLUMNS
from apps.faces.company import company
from apps.faces.resamples import resampled
from tests.apps.faces import planted
from tests.apps.faces.planted import A

N = 4000
SMILING = STRONG.index("Smiling")
ONES = torch.ones(1, N, dtype=torch.float64)


def seen(labels: torch.Tensor) -> torch.Tensor:
    """A judge who sees each label through noise of its own."""
    generator = torch.Generator().manual_seed(1)
    return labels.double() + torch.randn(N, A, generator=generator, dtype=torch.float64) / 4


def test_what_the_judge_reads_along_is_found_in_the_units_of_drift() -> None:
    labels = planted.labels(N)
    logits = seen(labels)
    along, other = OFFERED.index("Bags_Under_Eyes"), OFFERED.index("Young")
    logits[:, along] += 0.5 * logits[:, STRONG_COLUMNS[SMILING]]
    logits[:, other] += 3 * labels[:, along]  # a label that is held: not the attribute's doing
    scale = torch.full((A,), 2.0, dtype=torch.float64)
    found = company(logits, labels, scale=scale, weights=ONES)[0]
    few = company(seen(labels), labels, scale=scale, weights=ONES)[0]
    assert few.max() < 0.05  # the regression's noise
    # half of the two logits between off and on, in deviations of 2, among the A - 1 others
    assert (found - few)[SMILING].item() == pytest.approx(0.5 * 2 / 2 / (A - 1), abs=0.003)


def test_faces_of_which_something_is_not_known_do_not_count() -> None:
    labels, scale = planted.labels(N), torch.ones(A)
    logits = seen(labels)
    weights = resampled(range(N), resamples=3)
    first = company(logits[: N // 2], labels[: N // 2], scale=scale, weights=weights[:, : N // 2])
    labels[N // 2 :, 3] = 0
    assert torch.allclose(company(logits, labels, scale=scale, weights=weights), first)
    nobody = company(logits, torch.zeros(N, A), scale=scale, weights=weights)
    assert nobody.isnan().all()
