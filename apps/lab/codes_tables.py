"""From measures of codes to the tables of the report."""

from collections.abc import Mapping

from apps.lab.codes_recipe import CODECS, PASSES
from apps.lab.measure import Plan
from apps.lab.tables import LIKELIHOOD, NOT_TRAINED, Cells
from apps.report import Cell, Column, Table

REAL, TOLD = "real digits", "CVAE"
EXACT = "PixelCNN, static"


def codec_name(recipe: str) -> str:
    """What a codec is called in tables.

    Example:
        >>> codec_name("vq2-16")
        'two levels of 16 codes'
    """
    sizes = CODECS[recipe].size.codes
    return f"{('one level', 'two levels')[len(sizes) - 1]} of {sizes[0]} codes"


def rate_table(results: Mapping[str, Cells]) -> Table:
    """Bits against errors by recipe of a codec; absent: not trained."""
    table = Table(
        "Rate and distortion of codes",
        (
            Column("bits", "bits a pixel", digits=4),
            Column("uniform", "all codes alike", digits=4),
            Column("mse", "mean squared error", digits=5),
            Column("used_0", "codes used, fine", digits=0),
            Column("perplexity_0", "perplexity, fine", digits=1),
            Column("used_1", "codes used, coarse", digits=0),
            Column("perplexity_1", "perplexity, coarse", digits=1),
            Column("epochs", "epochs", digits=0),
        ),
        notes=[
            "Grey digits in [0, 1] through a VQ-VAE. Bits a pixel: −log₂ p(codes | class) of the "
            "PixelCNNs over them, exact, over the 784 pixels; beside it what the codes would cost "
            "if all were as probable, log₂ K a place. One level has 7×7 places; two have 8×8 and "
            "4×4, of pictures with an edge of two pixels of background (32×32), which is cut off "
            "again. The error is that of what codes decode to, cut to [0, 1]. Use of the codes is "
            "counted over all these digits. 95 % bootstrap intervals over digits.",
        ],
    )
    for recipe in CODECS:
        found = results.get(recipe)
        cells = {"bits": NOT_TRAINED, **found} if found is not None else {}  # of no law: no bits
        table.add(codec_name(recipe), cells, note=NOT_TRAINED if found is None else "")
    return table


def exact_table(found: Cells | None, bounds: Mapping[str, Cells | None], plan: Plan) -> Table:
    """The PixelCNN alone, and bounds by recipe of a VAE; None: it is not trained."""
    table = Table(
        "Exact likelihood of binarised digits",
        (
            Column("nats", "−log p(x), exact", digits=2),
            Column("bound", f"bound, {plan.draws:,} draws", digits=2),
            Column("epochs", "epochs", digits=0),
        ),
        notes=[
            "Nats a digit of the same static pixels, with 95 % bootstrap intervals over digits. "
            "The PixelCNN has no latent: its likelihood is a product of as many probabilities as "
            "there are pixels, while those of the VAEs are bounds from above."
        ],
    )
    table.add(EXACT, found or {}, note=NOT_TRAINED if found is None else "")
    for recipe, name in LIKELIHOOD.items():
        known = bounds.get(recipe)
        cells = {"bound": known.get("few"), "epochs": known.get("epochs")} if known else {}
        table.add(name, cells, note="" if known else NOT_TRAINED)
    return table


def score_table(results: Mapping[str, Cell], plan: Plan) -> Table:
    """Accuracy scores by row: `REAL`, `TOLD`, recipes of codecs; absent: not trained."""
    table = Table(
        "Classification accuracy score",
        (Column("score", "accuracy on real digits", "higher"),),
        notes=[
            f"A classifier learns from {plan.samples:,} samples, as many of each class, of a "
            f"model that is told the class ({PASSES} passes), and is asked for real digits; the "
            "same on as many real digits of train is the ceiling. All start from the same weights "
            "and take the same steps. 95 % bootstrap intervals over digits.",
        ],
    )
    rows = {TOLD: TOLD, **{name: codec_name(name) for name in CODECS}}
    table.add(REAL, {"score": results.get(REAL)}, reference=True)
    for key, name in rows.items():
        note = "" if key in results else NOT_TRAINED
        table.add(name, {"score": results.get(key)}, note=note)
    return table
