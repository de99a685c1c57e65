"""The picture of the bootstrapping experiment: precision, times of stages, levels, and the chain."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments import table
from experiments.bootstrapping_plan import KINDS
from experiments.bootstrapping_stages import STAGES
from experiments.picture import INK, QUIET, tidy

FOUND, PREDICTED = "#2a5fb0", "#dd9a1f"
PEER = "#7f8794"
OPENFHE = {"mean": 19.1, "worst": 16.1}  # measured, bits
COLOURS = dict(zip(KINDS, ("#7f8794", "#3fa39b", "#2a5fb0", "#dd9a1f", "#8c6239", "#c9ccd3"), strict=True))
LEFT, RIGHT = 0.055, 0.985
GRID = {"left": LEFT, "right": RIGHT, "top": 0.85, "bottom": 0.135, "hspace": 0.36, "wspace": 0.3}

BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "frameon": False, "fontsize": 9}


def draw(results: dict[str, Any]) -> Figure:
    """Draw what `run` returns: two panels above two, the last of them the chain if there was one."""
    figure = Figure(figsize=(13, 8.6), dpi=150)
    _write_title(figure, results)
    grid = figure.add_gridspec(2, 20, **GRID)
    _draw_precision(figure.add_subplot(grid[0, :12]), results)
    _draw_times(figure.add_subplot(grid[0, 14:]), results["seconds"])
    chain = results["chain"]
    _draw_levels(figure.add_subplot(grid[1, : 12 if chain else 20]), results["parameters"])
    if chain:
        _draw_chain(figure.add_subplot(grid[1, 13:]), chain)
    return figure


def _write_title(figure: Figure, results: dict[str, Any]) -> None:
    found, mean = results["parameters"], results["precision"]["measured"]["mean"]
    warm = sum(results["seconds"][name]["warm"] for name in STAGES)
    levels = found["levels"]["left"]
    title = (
        f"Bootstrapping: {levels} level{'' if levels == 1 else 's'} back in {_duration(warm)}, "
        f"{mean:.1f} bits right"
    )
    figure.text(LEFT, 0.95, title, fontsize=16, fontweight="bold")
    security = table.protection(found)
    power = found["ring_degree"].bit_length() - 1
    text = (
        f"{found['slots']:,} complex numbers, $N = 2^{{{power}}}$, log2 QP = {found['log2_modulus']:.0f}, "
        f"{security}; {_failure(found['failure_probability_log2'])}; "
        f"{results['machine']['cores']} cores"
    )
    figure.text(LEFT, 0.917, text, fontsize=10.5, color=QUIET)


def _draw_precision(axes: Axes, results: dict[str, Any]) -> None:
    found, precision = results["histogram"], results["precision"]["measured"]
    edges, counts = np.array(found["edges"]), np.array(found["measured"])
    total = counts.sum()
    axes.stairs(100 * counts / total, edges, fill=True, color=FOUND, alpha=0.75, label="measured")
    predicted = 100 * np.array(found["predicted"]) / total
    axes.stairs(predicted, edges, color=PREDICTED, linewidth=2, label="predicted before keys existed")
    highest = 100 * max(max(found["predicted"]), max(found["measured"])) / total
    low, high = min(OPENFHE["worst"], precision["worst"]) - 1.8, precision["mean"] + 9
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.3 * highest)
    for name, value in OPENFHE.items():
        _mark(axes, value, f"OpenFHE,\n{name} {value:.1f}", PEER, "--")
    for name in OPENFHE:
        _mark(axes, precision[name], f"{name}\n{precision[name]:.1f}", INK, "-")
    axes.legend(loc="upper right", frameon=False, fontsize=9)
    axes.set_xlabel("bits after the point that are right", fontsize=9.5, color=QUIET)
    axes.set_ylabel("% of real and imaginary parts", fontsize=9.5, color=QUIET)
    _title(axes, "Precision over all slots (the mean is of the root mean square error)")
    tidy(axes, "y")


def _mark(axes: Axes, value: float, text: str, colour: str, line: str) -> None:
    axes.axvline(value, ymax=0.84, color=colour, linestyle=line, linewidth=1.4)
    place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "bottom"}
    axes.annotate(text, (value, 0.855), fontsize=9, color=colour, linespacing=1.15, **place)


def _draw_times(axes: Axes, seconds: dict[str, Any]) -> None:
    warm = [seconds[name]["warm"] for name in STAGES]
    kinds = ("slots to coefficients", "level 0", "coefficients to slots", "modular reduction")
    axes.barh(range(len(STAGES)), warm, color=[COLOURS[kind] for kind in kinds], height=0.62)
    for row, value in enumerate(warm):
        text = f" {_duration(value)}, {100 * value / sum(warm):.0f} %"
        axes.text(value, row, text, va="center", fontsize=9.5, color=INK)
    axes.set_yticks(range(len(STAGES)), [_folded(name) for name in STAGES])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.4 * max(warm))
    axes.set_xlabel("seconds, warm", fontsize=9.5, color=QUIET)
    _title(axes, "Time of each stage")
    tidy(axes, "x")


def _draw_levels(axes: Axes, parameters: dict[str, Any]) -> None:
    *rows, special = parameters["level_bits"]
    gap = len(rows) + 1
    positions = [*range(len(rows)), gap]
    bits = np.array([row["bits"] for row in parameters["level_bits"]])
    colours = [COLOURS[row["kind"]] for row in parameters["level_bits"]]
    axes.bar(positions, np.minimum(bits, _ceiling(rows)), color=colours)
    if special["bits"] > _ceiling(rows):
        _cut(axes, gap, _ceiling(rows), f"{special['bits']:.0f}")
    axes.set_ylim(0, 1.2 * _ceiling(rows))
    for name, place in (("input", "before"), ("output", "after")):
        _point(axes, name, parameters["levels"][place], rows)
    step = 1 if len(rows) <= 16 else 2
    shown = [*range(0, len(rows), step)]
    axes.set_xticks([*shown, gap], [*map(str, shown), "P"])
    axes.set_xlim(-0.7, gap + 0.7)
    axes.set_xlabel("level", fontsize=9.5, color=QUIET)
    axes.set_ylabel("bits of the modulus", fontsize=9.5, color=QUIET)
    handles = [Patch(color=COLOURS[kind], label=_sum(kind, parameters["level_bits"])) for kind in KINDS]
    axes.legend(handles=handles, ncols=3, **BELOW)
    _title(axes, f"Where the {parameters['log2_modulus']:.0f} bits of the modulus go")
    tidy(axes, "y")


def _cut(axes: Axes, position: float, height: float, text: str) -> None:
    """A bar that goes on: its height in words, and a white gap across it."""
    axes.text(position, height, text, ha="center", va="bottom", fontsize=9, color=INK)
    ends = [position - 0.55, position + 0.55]
    for low in (0.88, 0.91):
        axes.plot(ends, [low * height, (low + 0.03) * height], color="white", linewidth=2)


def _ceiling(rows: list[dict[str, Any]]) -> float:
    """The bar of the special primes is cut here: it is several times as high as all others."""
    return 1.25 * max(row["bits"] for row in rows)


def _sum(kind: str, rows: list[dict[str, Any]]) -> str:
    return f"{kind}: {sum(row['bits'] for row in rows if row['kind'] == kind):.0f} bits"


def _point(axes: Axes, name: str, level: int, rows: list[dict[str, Any]]) -> None:
    top = rows[level]["bits"]
    arrow = {"arrowstyle": "-|>", "color": INK, "linewidth": 1}
    place = {"ha": "center", "va": "bottom", "fontsize": 9, "color": INK}
    axes.annotate(name, (level, top + 0.5), (level, 1.06 * _ceiling(rows)), arrowprops=arrow, **place)


def _draw_chain(axes: Axes, chain: list[dict[str, Any]]) -> None:
    numbers = range(1, len(chain) + 1)
    styles = (("measured", FOUND, "o", "-"), ("predicted", PREDICTED, "D", "--"))
    for name, colour, marker, line in styles:
        for key, width, filled in (("mean", 1.8, colour), ("worst", 1.1, "white")):
            error = [2.0 ** -row[name][key] for row in chain]
            style = {"marker": marker, "markersize": 5, "markerfacecolor": filled, "linewidth": width}
            label = f"{name}, {'root mean square' if key == 'mean' else 'largest'}"
            axes.plot(numbers, error, color=colour, linestyle=line, label=label, **style)
    axes.set_yscale("log", base=2)
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.5, high * 1.5)
    axes.set_xticks(range(1, len(chain) + 1, max(1, len(chain) // 10)))
    axes.set_xlabel("bootstraps", fontsize=9.5, color=QUIET)
    axes.legend(ncols=2, columnspacing=1, handlelength=1.6, **BELOW)
    _title(axes, r"Error along a chain: $z^2 + c$ between bootstraps")
    tidy(axes, "y")


def _failure(power: float | None) -> str:
    return "cannot fail" if power is None else f"fails with probability $2^{{{power:.1f}}}$"


def _folded(name: str) -> str:
    return name.replace(" to ", "\nto ").replace("modular ", "modular\n").replace("modulus ", "modulus\n")


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else table.seconds(seconds)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold", color=INK)
