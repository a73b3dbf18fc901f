"""Layers that are apart, and layers that are not."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from apps.faces.measure import Measured
from apps.faces.rows import Row
from apps.faces.separation import separation
from apps.faces.tables import LAYERS, layers_table
from cvae.model import CVAE
from cvae.networks import StandardPrior
from tests.apps.faces import planted

N = 12
Gate = Callable[[Tensor], Tensor]
TOP = torch.arange(64)[:, None].expand(64, 64) < 32  # the rows of all attributes


class Layers(nn.Module):
    """Attributes and the latent f in front, b behind; `gate` `(B, f)` -> logits `(B, 64, 64)`."""

    front_size = 4

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def layers(self, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        f, b = z[:, :4], z[:, 4:]
        front, back = torch.zeros(len(z), 64), torch.zeros(len(z), 64)
        front[:, : planted.A] = 0.3 * y
        front[:, :4] += 0.2 * torch.tanh(f)
        back[:] = 0.5 * torch.tanh(b.repeat(1, 16))
        return planted.paint(front), self.gate(f)[:, None], planted.paint(back)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        face, gate, scene = self.layers(z, y)
        return gate.sigmoid() * face + (1 - gate.sigmoid()) * scene


def found(gate: Gate) -> dict[str, float]:
    model = CVAE(
        condition=nn.Identity(),
        recognition=planted.Read(),
        prior=StandardPrior(8),
        generation=Layers(gate),
    )
    figures = separation(
        Row("layered", model, device=planted.CPU),
        planted.labels(N),
        planted.judge(),
        scale=torch.ones(planted.A),
        weights=torch.ones(2, N, dtype=torch.float64),
        seed=0,
    )
    for values in figures.values():
        assert values.shape == (2,)
        torch.testing.assert_close(values[0], values[1])
    return {name: values[0].item() for name, values in figures.items()}


def test_a_face_that_is_apart_is_not_moved_by_another_scene() -> None:
    figures = found(lambda f: torch.where(TOP, 20.0, -20.0).expand(len(f), -1, -1))
    assert figures["front"] == pytest.approx(0.5, abs=1e-6)
    assert figures["undecided"] == 0 and figures["follows"] == pytest.approx(0, abs=1e-6)
    assert figures["by_scene"] == 0 and figures["by_face"] > 0


def test_an_open_gate_lets_the_scene_into_the_face() -> None:
    figures = found(lambda f: torch.zeros(len(f), 64, 64))
    assert figures["front"] == 0.5 and figures["undecided"] == 1 and figures["follows"] == 0
    assert figures["by_scene"] > figures["by_face"] > 0


def test_a_gate_that_follows_the_face_is_seen_to() -> None:
    half = torch.where(TOP, 20.0, -20.0)
    figures = found(lambda f: torch.where(f[:, :1, None] > 0, half, -half))
    assert figures["front"] == pytest.approx(0.5, abs=1e-6)
    assert figures["undecided"] == 0 and figures["follows"] > 0.2


def test_only_what_has_layers_is_in_their_table() -> None:
    layered = Measured(figures={column.key: torch.tensor([0.5, 0.4, 0.6]) for column in LAYERS})
    table = layers_table({"layered": layered, "flat": Measured(), "none": None})
    assert list(table.rows) == ["layered"] and len(table.rows["layered"]) == len(LAYERS)
