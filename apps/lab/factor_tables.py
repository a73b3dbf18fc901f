"""From measures of models of sprites to the tables of the report."""

from collections.abc import Mapping, Sequence

from apps.lab import published
from apps.lab.factor_measure import FactorPlan
from apps.lab.factors import HELD
from apps.lab.recipe import WEIGHTS
from apps.lab.tables import NOT_TRAINED
from apps.report import Cell, Column, Table

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
    Column("efficiency", "statistical efficiency", "higher"),
)
BOUND = (
    Column("bound", "−ELBO", "lower", 2),
    Column("kl", "KL, nats", digits=2),
    Column("active", "active units", digits=0),
    Column("epochs", "epochs", digits=1),
)


def factor_table(
    results: Mapping[str, Mapping[str, Cell]], plan: FactorPlan, ceiling: Mapping[str, Cell]
) -> Table:
    """Scores and bound by recipe; absent: not trained.

    Args:
        ceiling: scores of the factors themselves.
    """
    few = plan.rows - plan.rows // 3
    table = Table(
        "Sprites: does each factor have a latent of its own?",
        (*SCORES, *BOUND),
        notes=[
            "One network and ten latents; what is weighed by β is the divergence (β-VAE) or the "
            "total correlation alone (β-TC-VAE). "
            f"Scores are of posterior means over the whole set, its {plan.sizes} values of shape, "
            f"scale, rotation, x and y: means over {plan.repeats} draws of factors, with 95 % "
            "bootstrap intervals over these draws. They say what another draw would give of the "
            "same model; another start of its training may move a score by more.",
            "The last row is the ceiling where a score is not 1: twenty bins do not hold forty "
            "rotations. Pictures themselves hold less than it: a square looks the same after a "
            "quarter of a turn, an ellipse after half. Linear accuracy is the mean over factors "
            f"with {few:,} labels, efficiency the share of it that 100 labels give, which is near "
            "1 for noise too. DCI is by forests, with accuracy as informativeness.",
            f"−ELBO and KL are nats a picture, by one draw of z, on {plan.pictures:,} of {HELD:,} "
            "combinations of factors that were held out, with 95 % bootstrap intervals over "
            "pictures; "
            f"β is 1 there, however a model was trained. {published.SPRITES}",
        ],
    )
    for recipe, name in RECIPES.items():
        found = results.get(recipe)
        table.add(name, found or {}, note=NOT_TRAINED if found is None else "")
    if ceiling:
        table.add(THEMSELVES, ceiling)
    return table


def divergence_table(results: Mapping[str, Sequence[float]]) -> Table:
    """KL(q || p) of every latent by recipe, largest first; absent: not trained."""
    most = max(map(len, results.values()), default=10)
    table = Table(
        "Sprites: what each latent carries",
        [Column(str(n), str(n), digits=2) for n in range(1, most + 1)],
        notes=["KL(q ‖ p) in nats, mean over held-out pictures, largest first."],
    )
    for recipe, name in RECIPES.items():
        kl = results.get(recipe)
        cells = {str(n): nats for n, nats in enumerate(kl or (), 1)}
        table.add(name, cells, note=NOT_TRAINED if kl is None else "")
    return table
