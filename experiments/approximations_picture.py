"""The picture of the approximation experiment: functions with their fits, and errors by degree."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from experiments import table
from experiments.approximations_methods import LOW_DEGREES, TARGETS, Fit, Target, in_the_clear
from experiments.picture import INK, QUIET, tidy

DRAWN_DEGREE = LOW_DEGREES[0]
LEFT, RIGHT = 0.06, 0.985
STYLES = {
    "least squares": ("#7f8794", "s", "-"),
    "Taylor": ("#b07aa1", "v", "--"),
    "Chebyshev": ("#3fa39b", "D", "-"),
    "modified Chebyshev": ("#dd9a1f", "^", "-"),
    "CryptoDL": ("#c03028", "X", "-"),
    "Hermite": ("#8c6239", "P", "--"),
    "C1": ("#2a7a3f", "o", "-"),
    "minimax": ("#2a5fb0", "o", "-"),
}
PANELS = (("error", "largest error of the value"), ("derivative_error", "largest error of the slope"))


def draw(
    results: dict[str, Any], fits: dict[str, Sequence[Fit]], sweeps: dict[str, list[dict[str, Any]]]
) -> Figure:
    """Draw one row for each function: its fits, and the errors of value and slope by degree.

    `fits` and `sweeps` are by the name of the function, in the order of `results`.
    """
    count = len(fits)
    height = 1.75 + 2.75 * count
    figure = Figure(figsize=(13, height), dpi=150)
    _write_title(figure, results, height)
    margins = {"top": 1 - 1.2 / height, "bottom": 1.25 / height, "left": LEFT, "right": RIGHT}
    grid = figure.subplots(count, 3, squeeze=False, gridspec_kw={**margins, "hspace": 0.32, "wspace": 0.2})
    for row, (name, found) in enumerate(zip(fits, results["functions"], strict=True)):
        _draw_function(grid[row, 0], TARGETS[name], fits[name], row == 0)
        for axes, (field, title) in zip(grid[row, 1:], PANELS, strict=True):
            _draw_errors(axes, field, sweeps[name], found["rows"])
            if field == "error":
                _write_composite(axes, found["rows"])
            axes.set_title(title if row == 0 else "", loc="left", fontsize=11, fontweight="bold")
    for axes in grid[-1, 1:]:
        axes.set_xlabel("degree (depth)", fontsize=9.5, color=QUIET)
    grid[-1, 0].set_xlabel("x", fontsize=9.5, color=QUIET)
    _write_legend(figure, height)
    return figure


def _write_title(figure: Figure, results: dict[str, Any], height: float) -> None:
    names = [found["function"] for found in results["functions"]]
    figure.text(
        LEFT,
        1 - 0.42 / height,
        f"{_listed(names)} as polynomials, in the clear and encrypted",
        fontsize=16,
        fontweight="bold",
    )
    figure.text(LEFT, 1 - 0.7 / height, _subtitle(results), fontsize=10.5, color=QUIET)


def _subtitle(results: dict[str, Any]) -> str:
    rows = [row for found in results["functions"] for row in found["rows"]]
    bits = [row["encrypted"]["bits"] for row in rows if row["encrypted"]]
    security = table.protection(results["parameters"][0])
    return (
        f"{len(bits)} polynomials evaluated encrypted at {security}; what encryption adds to their error is "
        f"$2^{{-{math.floor(min(bits))}}}$ or less, root mean square"
    )


def _listed(names: Sequence[str]) -> str:
    words = [names[0], *(name.lower() for name in names[1:])]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _draw_function(axes: Axes, target: Target, fits: Sequence[Fit], titled: bool) -> None:
    x = np.linspace(*target.interval, 601)
    truth = target.evaluate(x)
    axes.plot(x, truth, color=INK, linewidth=4, alpha=0.25, solid_capstyle="round")
    for fit in fits:
        if fit.degree == DRAWN_DEGREE and fit.approximation is not None:
            axes.plot(x, in_the_clear(fit.approximation, x), **_line(fit.method))
    spread = truth.max() - truth.min()
    axes.set_ylim(truth.min() - 0.3 * spread, truth.max() + 0.3 * spread)
    axes.set_xlim(*target.interval)
    axes.set_ylabel(target.title, fontsize=12, fontweight="bold", color=INK)
    title = f"the function (broad line) and fits of degree {DRAWN_DEGREE}"
    axes.set_title(title if titled else "", loc="left", fontsize=11, fontweight="bold")
    tidy(axes)


def _draw_errors(
    axes: Axes, field: str, swept: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> None:
    for method, (colour, marker, _) in STYLES.items():
        found = [row for row in swept if row["method"] == method]
        axes.plot([row["degree"] for row in found], [row[field] for row in found], **_line(method))
        measured = [row for row in rows if row["method"] == method and row["encrypted"]]
        if field == "error":
            values = [row["encrypted"]["error"] for row in measured]
            axes.plot([row["degree"] for row in measured], values, marker, color=colour, markersize=6)
    _scale(axes, [row[field] for row in swept if row["method"] != "Taylor"])
    tidy(axes)


def _line(method: str) -> dict[str, Any]:
    """The later a line is drawn the thinner it is, so that none hides another."""
    colour, _, line = STYLES[method]
    width = 2.4 - 1.2 * list(STYLES).index(method) / (len(STYLES) - 1)
    return {"color": colour, "linestyle": line, "linewidth": width}


def _write_composite(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """The composites lie far below and to the right of the panel."""
    composites = [row for row in rows if row["method"].startswith("composite")]
    if not composites:
        return
    best = min(composites, key=lambda row: row["error"])
    error, place = (
        (best["encrypted"]["error"], "encrypted") if best["encrypted"] else (best["error"], "in the clear")
    )
    text = f"{best['method']} (depth {best['depth']}):\n{error:.1e} {place}"
    axes.text(0.03, 0.05, text, transform=axes.transAxes, fontsize=9, color=QUIET, va="bottom")


def _scale(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    if max(values) < 100 * min(values):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    ticks = [2**depth - 1 for depth in range(2, 6)]
    axes.set_xticks(ticks, [f"{degree} ({degree.bit_length()})" for degree in ticks])
    axes.minorticks_off()
    axes.set_xlim(2.8, 33)
    axes.set_ylim(min(values) / 1.8, max(values) * 1.8)


def _write_legend(figure: Figure, height: float) -> None:
    lines = [
        Line2D([], [], marker=marker, markersize=6, label=name, **_line(name))
        for name, (_, marker, _) in STYLES.items()
    ]
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.32 / height), "ncols": len(lines)}
    figure.legend(handles=lines, frameon=False, fontsize=10, **place)
    figure.text(
        0.5,
        0.2 / height,
        "Lines: in the clear. Markers: measured over all slots of an encrypted evaluation. "
        "Taylor's errors lie above the panels.",
        fontsize=9.5,
        color=QUIET,
        ha="center",
    )
