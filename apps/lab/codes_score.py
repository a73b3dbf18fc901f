"""Classification accuracy score: what a classifier learns from samples, asked of real digits.

Ravuri & Vinyals (2019), *Classification accuracy score for conditional generative models*: where
samples lack what real pictures of a class show, it will not be recognised.
"""

import torch
from torch import Tensor

from apps.lab.codes_recipe import pupil
from apps.lab.digits import CLASSES, Digits
from apps.lab.measure import Plan, judged
from cvae.metrics import Interval
from cvae.training import Trainer, rows_of


def accuracy_score(x: Tensor, labels: Tensor, held: Digits, plan: Plan) -> Interval:
    """Accuracy on held-out digits of a classifier that has seen `x` `(N, 1, 28, 28)` alone.

    The same first weights, steps and batches for any N pictures, whoever drew them.
    """
    real, truth = held.tensors(slice(None))
    model = taught(x, labels)
    return plan.interval(judged(model, real).argmax(1) == truth)


def taught(x: Tensor, labels: Tensor) -> torch.nn.Module:
    """A classifier that has learnt from pictures and their labels, in memory."""
    recipe = pupil(len(x))
    schedule = recipe.schedule
    with torch.random.fork_rng():
        torch.manual_seed(schedule.seed)
        objective = recipe.objective()
    trainer = Trainer(objective, schedule, device=torch.device("cpu"))
    for step in range(schedule.steps):
        rows = rows_of(step, size=len(x), batch=schedule.batch, seed=schedule.seed)
        trainer.update((x[rows], labels[rows]))
    trainer.model.load_state_dict(trainer.average)
    return trainer.model.eval()


def classes_in_turn(n: int) -> Tensor:
    """Labels of n pictures to draw: 0 to 9, over and over."""
    return torch.arange(n) % CLASSES
