"""From measures to the tables of the report."""

from collections.abc import Mapping

from apps.lab import published
from apps.lab.measure import Plan
from apps.report import Cell, Column, Table

Cells = Mapping[str, Cell]
NOT_TRAINED = "not trained"

LIKELIHOOD = {
    "vae-static": "VAE, static",
    "iwae-50": "IWAE-50, static",
    "vae-dynamic": "VAE, dynamic",
    "conv": "convolutional VAE, dynamic",
}
LATENTS = {"ae": "autoencoder", "vae-dynamic": "VAE"}
DIGITS, TOLD = "real digits", "CVAE"
QUADRANTS = ("baseline", "CVAE, mean of one-draw bounds", "CVAE, importance-weighted")


def likelihood_table(results: Mapping[str, Cells | None], plan: Plan) -> Table:
    """−log p(x) by recipe; None: it is not trained."""
    table = Table(
        "Likelihood of binarised digits",
        (
            Column("few", f"−log p(x), {plan.draws:,} draws", digits=2),
            Column("many", f"{plan.many:,} draws", digits=2),
            Column("published", "published", digits=2),
            Column("by", "by draws", digits=0),
            Column("kl", "KL, nats", digits=1),
            Column("active", "active units", digits=0),
            Column("epochs", "epochs", digits=0),
        ),
        notes=[
            "Nats a digit; bounds from above by importance sampling, with 95 % bootstrap "
            f"intervals over digits. {plan.many:,} draws are taken for {plan.bounded:,} digits "
            "only: what they change the bound by there is added to that of all, and so are the "
            "intervals. "
            "Static: every pixel drawn once from its grey value, by a seed of our own, so that "
            "published figures are comparable, not of the same pixels. Dynamic: drawn afresh at "
            "every step; measured on the same static draw. Static and dynamic do not compare.",
            *(f"{LIKELIHOOD[name]}: {found.source}." for name, found in published.NLL.items()),
        ],
    )
    for recipe, name in LIKELIHOOD.items():
        known = published.NLL.get(recipe)
        cells: dict[str, Cell] = {}
        if known is not None:
            cells = {"published": known.nats, "by": float(known.draws)}
        _add(table, name, results.get(recipe), cells)
    return table


def quadrant_table(results: Mapping[tuple[str, int], Cell], plan: Plan) -> Table:
    """−log p(hidden | given) by row of `QUADRANTS` and quadrants given; absent: not trained."""
    columns = []
    for n in (1, 2, 3):
        given = f"{n} quadrant{'s' if n > 1 else ''} given"
        columns += [Column(f"given{n}", given, "lower", 1), Column(f"known{n}", "published")]
    table = Table(
        "Quadrants",
        columns,
        notes=[
            "−log p of the pixels that are not given, nats a digit, with 95 % bootstrap intervals "
            f"over digits. Published: {published.TUTORIAL}. As there, pixels are grey, and what "
            "is summed over them is the cross-entropy; its figure for the CVAE is the mean of ten "
            f"bounds by one draw of the posterior each, the second row the same of "
            f"{plan.tutorial}. The third row, the importance-weighted bound by {plan.draws:,} "
            "draws, is nearer to the likelihood itself.",
        ],
    )
    for name, figures in zip(
        QUADRANTS, (published.GUESSES, published.QUADRANTS, None), strict=True
    ):
        cells: dict[str, Cell] = {
            f"given{n}": results.get((name, n), NOT_TRAINED) for n in (1, 2, 3)
        }
        if figures is not None:
            cells |= {f"known{n}": str(nats) for n, nats in figures.items()}
        table.add(name, cells)
    return table


def latent_table(results: Mapping[str, Cells | None], plan: Plan) -> Table:
    """The autoencoder beside the VAE; None: it is not trained."""
    table = Table(
        "Gaps and separability",
        (
            Column("probe", "linear probe", "higher"),
            Column("knn", "nearest neighbours", "higher"),
            Column("between", "between classes", "higher"),
            Column("prior", "of the prior", "higher"),
            Column("fitted", "of a fitted Gaussian", "higher"),
            Column("epochs", "epochs", digits=0),
        ),
        notes=[
            "One network, trained with the noise and the divergence of the bound and without. "
            "Accuracy on held-out digits of a linear discriminant and of the "
            f"{plan.neighbours} nearest neighbours, both on posterior means of train. Then shares "
            "of decoded pictures that a classifier of digits gives a class with more than "
            f"{plan.sure:.0%}: halfway between the codes "
            "of two digits of different classes; of z from N(0, I); of z from a Gaussian with the "
            "mean and the deviation of the codes in every dimension. 95 % bootstrap intervals.",
        ],
    )
    for recipe, name in LATENTS.items():
        _add(table, name, results.get(recipe))
    return table


def class_table(digits: Cells | None, told: Cells | None, plan: Plan) -> Table:
    """Digits asked for by class; None: the classifier or the model is not trained."""
    table = Table(
        "Digits by class",
        (
            Column("asked", "as asked", "higher"),
            Column("recognised", "recognised", "higher"),
            Column("few", f"−log p, {plan.draws:,} draws", digits=2),
            Column("epochs", "epochs", digits=0),
        ),
        notes=[
            "What the classifier finds to be of the class that was asked for, and what it gives "
            f"any class with more than {plan.sure:.0%}; real digits are the ceiling. The bound is "
            "that of binarised digits given their class.",
        ],
    )
    _add(table, DIGITS, digits, reference=True)
    _add(table, TOLD, told)
    return table


def _add(
    table: Table,
    name: str,
    found: Cells | None,
    also: Cells | None = None,
    *,
    reference: bool = False,
) -> None:
    keys = {column.key for column in table.columns}
    cells = {key: cell for key, cell in (found or {}).items() if key in keys}
    note = NOT_TRAINED if found is None else ""
    table.add(name, {**cells, **(also or {})}, note=note, reference=reference)
