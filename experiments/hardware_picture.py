"""The picture of what machines would make of programs: a band for each, on a scale of powers of ten."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import hardware_table
from experiments.picture import INK, LEFT, QUIET, tidy

COLOURS = {
    hardware_table.TOGETHER: "#2a5fb0",
    "graphics processors": "#2a7a3f",
    "tensor processors": "#dd9a1f",
    "processors": "#c03028",
}
ROW = 0.24  # inches


def draw(results: dict[str, Any]) -> Figure:
    """Draw a panel for each program, with a row for each machine that is known well enough."""
    names = list(results["programs"])
    found = hardware_table.groups(results["machines"], names[0])
    rows = [(kind, row) for kind in COLOURS for row in found.get(kind, [])]
    height = 2.0 + ROW * len(rows)
    figure = Figure(figsize=(4.0 + 3.4 * len(names), height), dpi=150)
    figure.text(
        LEFT, 1 - 0.45 / height, "How far other hardware would take programs", fontsize=15, fontweight="bold"
    )
    text = (
        "Bars go from units that overlap to units one after the other; an arrow begins at a lower end alone."
    )
    figure.text(LEFT, 1 - 0.75 / height, text, fontsize=9.5, color=QUIET)
    edges = {"left": 0.16, "right": 0.98, "top": 1 - 1.3 / height, "bottom": 0.65 / height}
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True, gridspec_kw=edges | {"wspace": 0.08})[
        0
    ]
    for axes, name in zip(panels, names, strict=True):
        _draw_program(axes, name, results["programs"][name], rows)
    panels[0].set_yticks(range(len(rows)), [row["name"] for _, row in rows], fontsize=9)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _draw_program(axes: Axes, name: str, program: dict[str, Any], rows: list[tuple[str, Any]]) -> None:
    for place, (kind, row) in enumerate(rows):
        _draw_band(axes, place, row["programs"][name], COLOURS[kind])
    axes.set_xscale("log")
    tidy(axes, "x")
    axes.set_xlabel("seconds", fontsize=9, color=INK)
    axes.set_title(f"{program['title']},\n{program['unit']}", loc="left", fontsize=10, fontweight="bold")


def _draw_band(axes: Axes, place: int, band: dict[str, Any], colour: str) -> None:
    lower, upper = band["lower"], band["upper"]
    if lower is None:
        return
    if upper is None:
        axes.plot([lower], [place], marker=">", color=colour, markersize=5, fillstyle="none")
        return
    axes.plot([lower, upper], [place, place], color=colour, linewidth=5, marker="o", markersize=5)
