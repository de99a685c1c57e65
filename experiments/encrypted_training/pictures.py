"""The picture of an encrypted training: accuracy by step, and how far weights are from the oracle's."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.encrypted_training import tables
from experiments.picture import INK, LEFT, QUIET, tidy

CLEAR, ENCRYPTED = "#9aa0a8", "#2a5fb0"


def draw(results: dict[str, Any]) -> Figure:
    """Draw what an encrypted run, or a dry one, came to."""
    figure = Figure(figsize=(10, 4.6), dpi=150)
    title, rest = tables.headline(results)
    figure.text(LEFT, 0.93, title, fontsize=15, fontweight="bold", color=INK)
    figure.text(LEFT, 0.87, rest, fontsize=10, color=QUIET)
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": LEFT + 0.01, "right": 0.98, "top": 0.74, "bottom": 0.13, "wspace": 0.22}
    )
    _draw_accuracy(left, results)
    _draw_differences(right, results)
    return figure


def _draw_accuracy(axes: Axes, results: dict[str, Any]) -> None:
    clear = 100 * np.array(results["accuracy_clear"])
    axes.plot(np.arange(1, len(clear) + 1), clear, color=CLEAR, linewidth=1.6, label="in the clear")
    probes = results.get("probes", [])
    found = [100 * probe["accuracy"] for probe in probes]
    axes.plot(_steps(probes), found, "o", color=ENCRYPTED, label="encrypted")
    _label(axes, "Test samples right, percent")


def _draw_differences(axes: Axes, results: dict[str, Any]) -> None:
    predicted, probes = results.get("predicted_differences", []), results.get("probes", [])
    axes.plot(np.arange(1, len(predicted) + 1), predicted, color=CLEAR, linewidth=1.6, label="predicted")
    axes.plot(
        _steps(probes), [probe["difference"] for probe in probes], "o", color=ENCRYPTED, label="encrypted"
    )
    if predicted:
        axes.set_yscale("log")
    _label(axes, "Difference of weights, root mean square")


def _steps(probes: list[dict[str, Any]]) -> list[int]:
    return [probe["step"] for probe in probes]


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color=INK)
    axes.set_xlabel("step", fontsize=9, color=QUIET)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    tidy(axes)
