"""The page of the core: its model is short, runs and learns, and its table is whole and true."""

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cvae.training import Schedule

CORE = Path(__file__).parents[2] / "cvae"
PAGE = (CORE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a reader has who types in every block, in a folder of his own."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.chdir(tmp_path_factory.mktemp("reader"))
        for block in BLOCKS:
            exec(compile(block, "cvae/README.md", "exec"), names)
        names["files"] = sorted(path.name for path in Path("run").iterdir())
        names["log"] = Path("run/stats.jsonl").read_text()
    return names


def test_a_model_with_its_training_takes_less_than_forty_lines() -> None:
    (model,) = [block for block in BLOCKS if "CVAE(" in block]
    assert "train(" in model
    assert len(model.splitlines()) < 40
    assert max(map(len, model.splitlines())) < 100


def near(answers: Tensor, goal: Tensor) -> Tensor:
    """Share of the answers to each condition that lie near the goal, by its distance off axis."""
    off = (answers - goal[:, None]).norm(dim=-1) / goal[:, 1:].abs()
    return (off < 0.3).float().mean(1)


def test_its_answers_are_two_and_follow_the_condition(shown: dict[str, Any]) -> None:
    c = torch.cartesian_prod(torch.tensor([-0.4, 0.0, 0.4]), torch.tensor([0.6, 1.0, 1.4]))
    other = c * torch.tensor([1.0, -1.0])
    with torch.no_grad():
        generator = torch.Generator().manual_seed(1)
        answers = shown["model"].sample(c, k=500, generator=generator)
    shares = torch.stack([near(answers, c), near(answers, other)])
    assert (shares > 0.25).all() and (shares.sum(0) > 0.65).all()
    wrong = answers[[1, 2, 0, 4, 5, 3, 7, 8, 6]]  # as good, but to another distance
    assert (near(wrong, c) + near(wrong, other) < 0.35).all()
    assert (answers[..., 0] - c[:, :1]).abs().mean() < 0.1


def test_the_answers_that_the_page_shows_are_what_it_says(shown: dict[str, Any]) -> None:
    answers = shown["answers"]
    assert answers.shape == (1, 1000, 2)
    for goal in ([0.2, 1.0], [0.2, -1.0]):
        assert near(answers, torch.tensor([goal])).item() == pytest.approx(0.4, abs=0.12)
    assert (answers[..., 0] - 0.2).abs().mean() < 0.1  # on the way, not anywhere


def test_its_run_and_its_latent_are_what_the_page_says(shown: dict[str, Any]) -> None:
    assert shown["files"] == ["checkpoint.pt", "stats.jsonl"]
    assert '"diagnostics"' in shown["log"]
    found = shown["found"]
    assert found.active_units == 1 and found.warning is None
    assert found.kl > 0.6  # which of two answers it is takes log 2 nats
    assert abs(found.gap) < 0.1


def test_names_in_the_text_are_those_of_the_code() -> None:
    assert "diagnose_every" in Schedule.__dataclass_fields__
    assert {"`diagnose_every`", "`resume=True`", "`stats.jsonl`"} <= set(re.findall("`.*?`", PAGE))


def defined(path: Path) -> set[str]:
    """Public names that a module defines, by its last name: `model.CVAE`."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {f"{path.stem}.{name}" for name in found if not name.startswith("_")}


def test_the_table_names_every_public_name_once_and_nothing_else() -> None:
    named = re.findall(r"^\| `(\w+\.\w+)` \| .+ \|$", PAGE, re.MULTILINE)
    public = {name for path in CORE.glob("*.py") for name in defined(path)}
    assert len(named) == len(set(named))
    assert public - set(named) == set(), "say in cvae/README.md what these are"
    assert set(named) - public == set(), "cvae/README.md names what is not there"
    for name in named:
        module, _, attribute = name.partition(".")
        assert hasattr(import_module(f"cvae.{module}"), attribute)
