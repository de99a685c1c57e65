"""The picture of images that were classified one at a time, with their labels."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import table
from experiments.picture import LEFT, QUIET, RIGHT, WRONG
from experiments.resnet_table import name_of

COLUMNS, SHOWN = 6, 12


def draw(results: dict[str, Any], images: np.ndarray, headline: str | None = None) -> Figure:
    """Draw the first images that were classified encrypted, each with its label in the clear and encrypted.

    Args:
        results: of the experiment.
        images: (count, height, width, 3) in [0, 1], of which the rows of `results` give the numbers.
        headline: two lines, by default on these images.
    """
    shown = results["encrypted"][:SHOWN]
    rows = -(-len(shown) // COLUMNS)
    height = 1.7 + 2.3 * rows
    figure = Figure(figsize=(10, height), dpi=150)
    title, rest = _headline(results) if headline is None else headline.split("\n")
    figure.text(LEFT, 1 - 0.5 / height, title, fontsize=16, fontweight="bold")
    figure.text(LEFT, 1 - 0.85 / height, rest, fontsize=10.5, color=QUIET)
    edges = {"left": LEFT, "right": 1 - LEFT, "top": 1 - 1.2 / height, "bottom": 0.95 / height}
    grid = figure.subplots(rows, COLUMNS, squeeze=False, gridspec_kw=edges | {"hspace": 0.4, "wspace": 0.2})
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, shown, strict=False):
        _draw_image(axes, row, images[row["image"]])
    caption = "Below each: the label in the clear and, in bold, encrypted; red is wrong."
    figure.text(LEFT, 0.2 / height, caption, fontsize=9.5, color=QUIET)
    return figure


def _draw_image(axes: Axes, row: dict[str, Any], image: np.ndarray) -> None:
    axes.imshow(image, interpolation="nearest")
    for line, (key, weight) in enumerate((("predicted_clear", "normal"), ("predicted", "bold"))):
        axes.text(
            0.5,
            -0.06 - 0.14 * line,
            name_of(row[key]),
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=11,
            fontweight=weight,
            color=RIGHT if row[key] == row["label"] else WRONG,
        )
    if row["predicted"] != row["label"]:
        axes.set_title(f"{name_of(row['label'])}", fontsize=9, color=QUIET, pad=3)


def _headline(results: dict[str, Any]) -> tuple[str, str]:
    rows = results["encrypted"]
    right = sum(row["predicted"] == row["label"] for row in rows)
    same = sum(row["predicted"] == row["predicted_clear"] for row in rows)
    return (
        f"{results['name']}: {right} of {len(rows)} encrypted images right",
        f"{same} of {len(rows)} labels as in the clear, where {table.share(results, 'correct_clear')} of "
        f"{results['images']:,} are right; {table.protection(results['parameters'])}",
    )
