"""What evaluate is compared with comes from the cache, and from nowhere else."""

from pathlib import Path

import torch

from apps.colorization import recipe, rivals
from cvae import checkpoint


def test_nothing_is_trained_when_that_is_not_wanted(tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    assert rivals.rivals(tmp_path / "no data", tmp_path, device=cpu, training=False) == {}
    plan = rivals.plan_of(tmp_path, training=False)
    assert plan.unet is None and plan.ablation is None
    assert list(tmp_path.iterdir()) == []
    full = rivals.plan_of(tmp_path, training=True)
    assert full.unet is not None and full.ablation is not None


def test_a_run_counts_once_it_is_finished(tmp_path: Path) -> None:
    assert not rivals.finished(tmp_path / "absent", 5)
    checkpoint.save(tmp_path, {"trainer": {"step": 4}})
    assert not rivals.finished(tmp_path, 5)
    checkpoint.save(tmp_path, {"trainer": {"step": 5}})
    assert rivals.finished(tmp_path, 5)


def test_every_rival_has_a_recipe() -> None:
    assert set(rivals.RIVALS) <= set(recipe.RECIPES)
