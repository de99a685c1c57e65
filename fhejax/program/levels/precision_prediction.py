"""The prediction of the error of every result, from a few evaluations in the clear."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.circuit.entries import view_difference, view_values
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, sums_over_batch
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.sensitivity import noise_gains
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Values
from fhejax.program.circuit.views import View
from fhejax.program.packing.sample_per_slot.slots import in_slots

_FEW = 3  # samples that tell most settings of too little precision from others
_SLACK = 0.5  # bits by which they may be wrong


@dataclasses.dataclass(frozen=True, eq=False)
class _Layout:
    """The values of a graph in slots.

    share: columns there are for each slot that a shared result is averaged over.
    """

    arguments: Sequence[np.ndarray]
    values: list[Values]
    slots: Slots | None
    share: float


def root_mean_square(values: np.ndarray) -> float:
    """The root mean square of numbers whose squares may be too large or too small for float64.

    Args:
        values: of any shape.

    Returns:
        Infinity or NaN where the values hold any.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.sqrt(np.mean((values / largest) ** 2)))


def _of_each_sample(graph: Graph, view: View) -> View:
    """The view with a value for each sample, also where a block is one sample and has no batch axis."""
    lacks = graph.least_slots and view.batch_axis is None
    return dataclasses.replace(view, batch_axis=0) if lacks else view


class Predictor:
    """The predictions of a graph's precision under any settings, from a few evaluations.

    There is one for each rounding of weights, and one for each way in which samples fill slots.

    The effect of noise on a result has an odd part, which is nearly linear, and an even one: a bias, since
    squares of noise do not cancel. Noise being symmetric, both add up as squares.
    """

    def __init__(self, graph: Graph, sample: Sequence[np.ndarray]) -> None:
        self.graph, self.sample = graph, sample
        self.values = evaluate_graph(graph, sample)
        self.views = [_of_each_sample(graph, o.value) for o in graph.outputs if isinstance(o.value, View)]
        self.sizes = self._root_mean_squares(self.values)
        self._rounded: dict[tuple, np.ndarray] = {}
        self._even: dict[tuple, np.ndarray] = {}
        self._gains: dict[int, np.ndarray] = {}
        self._layouts: dict[int, _Layout] = {}

    def bits(self, settings: Settings, lowered: Lowered, wanted: float) -> float:
        """The precision of the worst result: -log2 of its error's root mean square over its own.

        What is below `wanted` by one kind of error is not looked at any further.

        Args:
            settings: what the planner chose.
            lowered: the graph lowered under them.
            wanted: bits below which the number is not looked at any further, and is an upper bound.
        """
        error = self._linear_noise(settings, lowered)
        if self._bits(error) < wanted:
            return self._bits(error)
        likely = self._bits(np.hypot(error, self._rounding(settings, lowered, few=True)))
        if likely < wanted - _SLACK:
            return likely
        for kind in (self._rounding, self._even_noise):
            error = np.hypot(error, kind(settings, lowered))
            if self._bits(error) < wanted:
                break
        return self._bits(error)

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def bits_of_noise(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        """The precision that noise leaves to first order, for each of many settings.

        Args:
            settings: arrays, of one ring.
            lowered: the circuit lowered under all of them.
        """
        variances = np.zeros((len(self.graph.nodes), settings.input_bits.size))
        for node, deviation in lowered.noise.items():
            variances[node] = deviation**2
        for node, deviation in self._rounding_deviations(lowered).items():
            variances[node] += deviation**2
        errors = np.sqrt(self._noise_gains(settings.ring.slots) ** 2 @ variances)
        relative = errors / np.where(self.sizes > 0, self.sizes, 1.0)[:, None]
        worst = np.nan_to_num(relative, nan=np.inf).max(0, initial=0.0)
        return -np.log2(np.maximum(worst, 2.0**-60))

    def errors(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        """The root mean square error of every encrypted result: noise, and weights rounded."""
        return np.hypot(self.noise(settings, lowered), self._rounding(settings, lowered))

    def noise(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        """The root mean square of what encryption adds to every encrypted result."""
        return np.hypot(self._linear_noise(settings, lowered), self._even_noise(settings, lowered))

    @np.errstate(over="ignore", invalid="ignore")
    def _linear_noise(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        gains = self._noise_gains(settings.ring.slots) * self._repetition(settings)
        deviations = np.zeros(len(self.graph.nodes))
        deviations[list(lowered.noise)] = list(lowered.noise.values())
        return np.sqrt(gains**2 @ deviations**2)

    def _repetition(self, settings: Settings) -> np.ndarray:
        """What bootstraps' noise in shared results is larger by, [result, node]: means are over fewer slots.

        Bootstraps of few slots leave noise that repeats itself as the samples do.
        """
        if settings.bootstrapping is None:
            return np.ones((1, 1))
        shared = np.array([[view.batch_axis is None] for view in self.views])
        bootstrapped = np.array([node.bootstraps for node in self.graph.nodes])
        ratio = settings.ring.slots / settings.bootstrapping.slots
        return np.where(shared & bootstrapped, np.sqrt(ratio), 1.0)

    def _even_noise(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        """The half of what noise and its opposite do together, in one draw."""
        key = (settings.ring.slots, *lowered.noise.items())
        if key not in self._even:
            self._even[key] = self._draw_even_noise(settings, lowered)
        return self._even[key]

    def _draw_even_noise(self, settings: Settings, lowered: Lowered) -> np.ndarray:
        layout = self._layout(settings.ring.slots)
        opposite = {node: -deviation for node, deviation in lowered.noise.items()}
        known = layout.arguments, layout.slots
        above, below = (
            evaluate_graph(self.graph, known[0], noise=n, slots=known[1]) for n in (lowered.noise, opposite)
        )
        errors = []
        for view in self.views:
            both = above[view.node] + below[view.node]
            difference = view_difference(view, both / 2 - layout.values[view.node])
            errors.append(difference.mean(-1) if view.batch_axis is None else difference)
        return np.array([root_mean_square(e) for e in errors])

    def _bits(self, errors: np.ndarray) -> float:
        relative = errors / np.where(self.sizes > 0, self.sizes, 1.0)
        return float(-np.log2(max(np.nan_to_num(relative, nan=np.inf).max(initial=0.0), 2.0**-60)))

    def _root_mean_squares(self, values: Sequence[Values]) -> np.ndarray:
        return np.array([root_mean_square(view_values(v, values[v.node])) for v in self.views])

    @np.errstate(over="ignore", invalid="ignore")
    def _rounding(self, settings: Settings, lowered: Lowered, few: bool = False) -> np.ndarray:
        """The error of rounded weights: computed, or that of noise where a node knows the deviation.

        Of few samples it is about the same, and known sooner.
        """
        known = self._rounding_deviations(lowered)
        rest = {node: factors for node, factors in lowered.rounding.items() if node not in known}
        gains = self._noise_gains(settings.ring.slots)
        variances = np.zeros(len(self.graph.nodes))
        variances[list(known)] = np.square(list(known.values()))
        return np.hypot(self._computed_rounding(rest, few), np.sqrt(gains**2 @ variances))

    def _rounding_deviations(self, lowered: Lowered) -> dict[int, Any]:
        nodes = self.graph.nodes
        found = {n: nodes[n].rounding_deviation(f, self.values) for n, f in lowered.rounding.items()}
        return {node: deviation for node, deviation in found.items() if deviation is not None}

    def _computed_rounding(self, rounding: dict[int, Any], few: bool) -> np.ndarray:
        if not rounding:
            return np.zeros(len(self.views))
        first = _FEW if few and not sums_over_batch(self.graph) else None
        key = (first, *rounding.items())
        if key not in self._rounded:
            sample = [given[:, :first] for given in self.sample]
            found = evaluate_graph(self.graph, sample, rounding=rounding)
            known = [(v, found[v.node], self.values[v.node][:, :first]) for v in self.views]
            differences = [view_difference(v, rounded - exact) for v, rounded, exact in known]
            self._rounded[key] = np.array([root_mean_square(d) for d in differences])
        return self._rounded[key]

    def _noise_gains(self, slots: int) -> np.ndarray:
        """The gains of noise, [result, node], from every node to every result."""
        if slots not in self._gains:
            layout = self._layout(slots)
            gains = [noise_gains(self.graph, layout.values, view, layout.slots) for view in self.views]
            shares = [layout.share if view.batch_axis is None else 1.0 for view in self.views]
            self._gains[slots] = np.stack(gains) * np.sqrt(shares)[:, None]
        return self._gains[slots]

    def _layout(self, slots: int) -> _Layout:
        if slots not in self._layouts:
            self._layouts[slots] = self._make_layout(slots)
        return self._layouts[slots]

    def _make_layout(self, slots: int) -> _Layout:
        if not sums_over_batch(self.graph):
            return _Layout(self.sample, self.values, None, self.values[0].shape[1] / slots)
        arguments, where = in_slots(self.graph, self.sample, slots)
        values, share = evaluate_graph(self.graph, arguments, slots=where), len(where.live) / slots
        return _Layout(arguments, values, where, min(1.0, share))
