"""From measures of models of sprites to the tables of the report."""

from collections.abc import Mapping

from apps.lab import published
from apps.lab.factor_measure import FactorPlan
from apps.lab.factors import HELD
from apps.lab.recipe import WEIGHTS
from apps.lab.tables import NOT_TRAINED, Cells
from apps.report import Column, Table
from cvae.metrics import Interval

OBJECTIVES = {"beta": "β-VAE", "tc": "β-TC-VAE"}
RECIPES = {
    f"{kind}-{beta}": f"{OBJECTIVES[kind]}, β {beta}"
    for kind, betas in WEIGHTS.items()
    for beta in betas
}
THEMSELVES = "the factors themselves"

SCORES = (
    Column("beta_vae", "BetaVAE metric", "higher"),
    Column("factor_vae", "FactorVAE metric", "higher"),
    Column("mig", "MIG", "higher"),
    Column("sap", "SAP", "higher"),
    Column("disentanglement", "DCI disentanglement", "higher"),
    Column("completeness", "DCI completeness", "higher"),
    Column("informativeness", "DCI informativeness", "higher"),
    Column("linear", "linear accuracy", "higher"),
    Column("efficiency", "statistical efficiency"),
)
BOUND = (
    Column("bound", "−ELBO", "lower", 2),
    Column("kl", "KL, nats", digits=2),
    Column("latents", "by latent, largest first"),
    Column("active", "active units", digits=0),
    Column("epochs", "epochs", digits=1),
)


def score_table(
    results: Mapping[str, Cells], plan: FactorPlan, ceiling: Mapping[str, Interval]
) -> Table:
    """Scores by recipe; absent: not trained.

    Args:
        ceiling: scores of the factors themselves.
    """
    few = plan.rows - plan.rows // 3
    table = Table(
        "Sprites: does each factor have a latent of its own?",
        SCORES,
        notes=[
            "One network and ten latents; what β weighs is the divergence (β-VAE) or the total "
            "correlation alone (β-TC-VAE). Scores are of posterior means over the whole set, with "
            f"{plan.sizes} values of shape, scale, rotation, x and y: means over {plan.repeats} "
            "draws of factors, with 95 % bootstrap intervals over these draws. They say what "
            "other draws would give of the same model; another start of its training may move a "
            "score by more.",
            "The last row is the ceiling: twenty bins do not hold forty rotations. Pictures tell "
            "less: a square looks the same after a quarter of a turn, an ellipse after half. "
            f"Linear accuracy is the mean over factors with {few:,} labels, efficiency the share "
            "of it that 100 labels give, which is near 1 for noise too. DCI is by forests, its "
            "informativeness an accuracy.",
        ],
    )
    _fill(table, results)
    table.add(THEMSELVES, ceiling, reference=True)
    return table


def bound_table(results: Mapping[str, Cells], plan: FactorPlan) -> Table:
    """The bound by recipe and what it spends on which latent; absent: not trained."""
    table = Table(
        "Sprites: the bound",
        BOUND,
        notes=[
            f"Nats a picture, by one draw of z, on {plan.pictures:,} of {HELD:,} combinations of "
            "factors that were held out, with 95 % bootstrap intervals over pictures; KL is that "
            "of posterior and prior. β is 1 here, however a model was trained. "
            f"{published.SPRITES}",
        ],
    )
    _fill(table, results)
    return table


def _fill(table: Table, results: Mapping[str, Cells]) -> None:
    keys = [column.key for column in table.columns]
    for recipe, name in RECIPES.items():
        found = results.get(recipe)
        cells = {key: found[key] for key in keys if key in found} if found else {}
        table.add(name, cells, note="" if found else NOT_TRAINED)
