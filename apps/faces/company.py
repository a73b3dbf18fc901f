"""What goes with an attribute in real faces: how little a toggle can move that looks like them."""

import torch
from torch import Tensor

from apps.faces.attributes import STRONG_COLUMNS, partners
from apps.faces.resamples import mean


def company(logits: Tensor, labels: Tensor, *, scale: Tensor, weights: Tensor) -> Tensor:
    r"""How far the judge's other logits go along with an attribute's in real faces, `(R + 1, T)`.

    By a linear regression of each on that of the attribute and on all other labels: the mean of
    $|b_o|\,(\bar\ell_{on} - \bar\ell_{off}) / s_o$ over the others $o$, where $\bar\ell$ are mean
    logits of the attribute in faces with and without it. This is the drift (`scores.toggles`) of a
    toggle that changes a face as faces with the attribute differ from those without; one that
    drifts less shows it otherwise, or not as much.

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
    excluded = partners()
    found = []
    for t in STRONG_COLUMNS:
        others = ~excluded[t]
        others[t] = False
        held = [0, *(1 + a for a in range(attributes) if a != t), 1 + attributes + t]
        inverse = torch.linalg.pinv(products[:, held][:, :, held], hermitian=True)
        slope = (inverse @ along[:, held])[:, -1]
        off, on = (
            mean(weights[:, labels[:, t] == state], logits[labels[:, t] == state, t])
            for state in (-1, 1)
        )
        moved = slope.abs() * (on - off).abs()[:, None] / scale.clamp(min=1e-12)
        found.append(moved[:, others].mean(1))
    return torch.stack(found, 1)
