"""What every node can hold: bounds by interval arithmetic, or by what was observed."""

import math
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.views import View


def check_finite(graph: Graph) -> None:
    """Refuse a graph whose weights are NaN or infinite.

    Raises:
        ValueError: with the line that uses them.
    """
    for node in graph.nodes:
        if not all(a is None or np.isfinite(a).all() for a in node.plain_numbers()):
            raise ValueError(f"{node.label} has NaN or infinite weights; look at how they were trained.")
    for output in graph.outputs:
        view = output.value
        if isinstance(view, View) and not np.isfinite([view.multiplier, view.offset]).all():
            raise ValueError(
                "a result of the function is scaled or shifted by NaN or infinite weights; look at how "
                "they were trained."
            )


def bounds(graph: Graph) -> tuple[float, ...]:
    """The largest magnitude each node can reach, by interval arithmetic over the ranges of arguments."""
    intervals: list[ValueInterval] = []
    for node in graph.nodes:
        with np.errstate(over="ignore", invalid="ignore"):  # what has no bound is refused as too deep
            intervals.append(node.interval(intervals, graph.batch))
    return tuple(map(largest_of, intervals))


def largest_of(interval: ValueInterval) -> float:
    """The largest magnitude in an interval; infinity where it has no bound."""
    largest = max(float(np.abs(end).max()) for end in interval)
    return math.inf if math.isnan(largest) else largest


def observed_bounds(graph: Graph, values: Sequence[np.ndarray], margin: float) -> tuple[float, ...]:
    """The bound of each node by what was observed: `margin` times its largest magnitude.

    No bound is above that by interval arithmetic.

    Args:
        graph: what is computed.
        values: of every node, as observed.
        margin: 1 or more.
    """
    largest = (float(np.abs(v).max(initial=0.0)) * margin for v in values)
    return tuple(min(seen, limit) for seen, limit in zip(largest, bounds(graph), strict=True))
