"""The picture of an experiment: images with their labels, and the error of every layer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from fhejax import nn
from fhejax.program.verification import VerifiedLayer

COLUMNS, SHOWN, MISTAKES = 10, 20, 5
RIGHT, WRONG = "#2a7a3f", "#c03028"
QUIET, INK = "#505560", "#202430"
LEFT = 0.06
GRID = {"left": LEFT, "right": 1 - LEFT, "top": 0.76, "bottom": 0.2, "hspace": 0.45, "wspace": 0.3}
SERIES = (
    ("magnitude", "largest value", "#9aa0a8", "s"),
    ("fixed_error", "rounding of weights, rms", "#dd9a1f", "o"),
    ("encrypted_error", "noise of encryption, rms", "#2a5fb0", "o"),
)
OPERATIONS = {
    "argument": "pixels",
    "conv_general_dilated": "convolution",
    "dot_general": "dense",
    "reduce_window_sum": "pooling",
    "integer_pow": "power",
    "mul": "product",
}


def draw(
    headline: str,
    dataset: nn.Dataset,
    clear: np.ndarray,
    encrypted: np.ndarray,
    layers: Sequence[VerifiedLayer],
) -> Figure:
    """Draw test images with their labels `clear` and `encrypted`, above the layers' errors.

    `headline` is two lines. Labels are int `(images,)`, `layers` a `Verification`'s.
    """
    figure = Figure(figsize=(10, 7.2), dpi=150)
    title, _, rest = headline.partition("\n")
    figure.text(LEFT, 0.945, title, fontsize=16, fontweight="bold")
    figure.text(LEFT, 0.912, rest, fontsize=10.5, color=QUIET)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1))
    _draw_images(upper, dataset, clear, encrypted)
    _draw_layers(lower.add_axes((LEFT + 0.02, 0.22, 0.92 - LEFT, 0.64)), layers)
    return figure


def chosen(labels: np.ndarray, encrypted: np.ndarray) -> np.ndarray:
    """Return the indices of the images to show: the first that are right, then some mistakes."""
    wrong = np.flatnonzero(encrypted != labels)[:MISTAKES]
    right = np.flatnonzero(encrypted == labels)[: SHOWN - len(wrong)]
    return np.concatenate([right, wrong])


def set_frame(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Lines of a grid behind what is drawn, and axes on two sides alone."""
    axes.grid(axis=grid, color="#e4e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def tidy(axes: Axes, grid: Literal["x", "y", "both"] = "both") -> None:
    """The frame, with small labels at quiet ticks."""
    axes.tick_params(labelsize=9, color=QUIET, labelcolor=INK)
    set_frame(axes, grid)


def _draw_images(figure: SubFigure, dataset: nn.Dataset, clear: np.ndarray, encrypted: np.ndarray) -> None:
    shown = chosen(dataset.test_labels, encrypted)
    wrong = int(np.sum(encrypted[shown] != dataset.test_labels[shown]))
    rows = -(-SHOWN // COLUMNS)
    grid = figure.subplots(rows, COLUMNS, squeeze=False, gridspec_kw=GRID)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, shown, strict=False):
        label = dataset.test_labels[index]
        axes.imshow(dataset.test_images[index, ..., 0], cmap="gray_r", vmin=0, vmax=1)
        _write(axes, 0.33, clear[index], label, "normal")
        _write(axes, 0.67, encrypted[index], label, "bold")
        if encrypted[index] != label:
            axes.set_title(f"a {label}", fontsize=9, color=QUIET, pad=3)
    figure.text(LEFT, 0.05, _caption(len(shown), wrong), fontsize=9.5, color=QUIET)


def _caption(shown: int, wrong: int) -> str:
    mistakes = {0: "", 1: ", the last of them a mistake"}.get(wrong, f", the last {wrong} of them mistakes")
    return (
        f"{shown} test images{mistakes}. Below each: the label in the clear and, in bold, "
        "encrypted; red is wrong."
    )


def _write(axes: Axes, position: float, found: int, label: int, weight: str) -> None:
    axes.text(
        position,
        -0.08,
        str(found),
        transform=axes.transAxes,
        ha="center",
        va="top",
        fontsize=12,
        fontweight=weight,
        color=RIGHT if found == label else WRONG,
    )


def _draw_layers(axes: Axes, layers: Sequence[VerifiedLayer]) -> None:
    positions = np.arange(len(layers))
    for field, name, colour, marker in SERIES:
        values = np.array([getattr(layer, field) for layer in layers])
        drawn = np.where(values > 0, values, np.nan)  # an exact layer has no place on a log axis
        axes.plot(positions, drawn, marker=marker, color=colour, label=name, linewidth=1.6)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.12)
    for position, layer in zip(positions, layers, strict=True):
        text = f"{layer.bits:.1f} bits"
        place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top"}
        axes.annotate(text, (position, 0.97), fontsize=9, color="#303540", **place)
    axes.set_xticks(positions, [_name(layer) for layer in layers], fontsize=9)
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_title(
        "Every layer: its values, and what is lost to fixed point and to encryption",
        loc="left",
        fontsize=11,
        fontweight="bold",
    )
    set_frame(axes, "y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, fontsize=9)


def _name(layer: VerifiedLayer) -> str:
    primitive = layer.label.split(" ")[0]
    return f"{OPERATIONS.get(primitive, primitive)}\nlevel {layer.level}"
