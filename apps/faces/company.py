"""What goes with an attribute in real faces: a drift to compare toggles with."""

import torch
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS
from apps.faces.resamples import mean
from apps.faces.scores import drift


def company(logits: Tensor, labels: Tensor, *, scale: Tensor, weights: Tensor) -> Tensor:
    r"""How far the judge's other logits go along with an attribute's in real faces, `(R + 1, T)`.

    By a linear regression of each on that of the attribute and on all other labels: the mean of
    $|b_o|\,(\bar\ell_{on} - \bar\ell_{off}) / s_o$ over the others $o$, where $\bar\ell$ are mean
    logits of the attribute in faces with and without it. This is the `drift` of a toggle that
    moves the attribute's own logit by as much, as it moves from face to face: a figure to compare
    with, no bound.

    Faces of which a label is not known do not count; where none is left it is NaN.

    Shapes: logits `(N, A)` of faces the judge has not learnt from; labels `(N, A)` in {-1, 0, 1},
    0 not known; scale `(A,)`, deviations of logits; weights `(R + 1, N)`.
    """
    whole = (labels != 0).all(1)
    logits, labels, weights = logits[whole].double(), labels[whole].double(), weights[:, whole]
    n, attributes = labels.shape
    table = torch.cat([torch.ones(n, 1, dtype=torch.float64), labels, logits], 1)
    products = torch.stack([table.T @ (row[:, None] * table) for row in weights])
    along = products[:, :, 1 + attributes :]  # with every logit
    found = []
    for t in STRONG_COLUMNS:
        held = [0, *(1 + a for a in range(attributes) if a != t), 1 + attributes + t]
        inverse = torch.linalg.pinv(products[:, held][:, :, held], hermitian=True)
        slope = (inverse @ along[:, held])[:, -1]
        off, on = (
            mean(weights[:, labels[:, t] == state], logits[labels[:, t] == state, t])
            for state in (-1, 1)
        )
        found.append(slope * (on - off)[:, None])
    return drift(torch.stack(found, 1), scale)
