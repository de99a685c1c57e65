"""`program.dry_run`: call after call in the clear and with the noise of encryption, before any key exists."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.arguments import Encrypted, check_values
from fhejax.program.circuit.entries import result_of, sample_entries, view_values
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, Output, sums_over_batch
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.nodes import Input
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Values
from fhejax.program.circuit.views import View
from fhejax.program.levels.carry import check_carried_range
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.levels.precision_prediction import root_mean_square
from fhejax.program.packing.sample_per_slot.slots import in_slots
from fhejax.program.run.interface import Interface

_DRAWS = 4  # of the noise, over which errors are averaged


@dataclasses.dataclass(frozen=True, eq=False)
class DryStep:
    """One call of a dry run.

    Attributes:
        results: in the clear, float64, nested like the function's.
        predicted_errors: root mean square of each encrypted result's error, in the flat order: rounded
            weights and noise, also what earlier calls left.
    """

    results: Any
    predicted_errors: tuple[float, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class DryCall:
    """One call of a dry run before it is made.

    Attributes:
        graph: the circuit, for the plain arguments of this call.
        lowered: how that was lowered.
        values: of the arguments, flat; from the second call on, None in place of what is carried.
    """

    graph: Graph
    lowered: Lowered
    values: Sequence[Any]


def dry_run(plan: ProgramPlan, interface: Interface, calls: Iterable[DryCall]) -> list[DryStep]:
    """The results of several calls one after the other, and the errors that encryption will leave in them.

    Args:
        plan: of the program.
        interface: its arguments and results.
        calls: one after the other.

    Raises:
        ValueError: an argument left out that no result replaces, values that are no arguments, or a carried
            value that leaves its range, with the call.
    """
    runs = [_Run(plan, seed) for seed in range(_DRAWS)]
    carried: dict[int, Values] = {}
    steps = []
    for number, call in enumerate(calls, 1):
        graph = call.graph
        given = [n for n, value in enumerate(call.values) if value is not None]
        entries = _entries(interface, call.values, given, carried, number)
        clear = evaluate_graph(graph, entries)
        _check_range(graph, clear, number)
        carried = _carried(graph, clear)
        outputs = [result_of(output, clear) for output in graph.outputs]
        encrypted = [n for n, output in enumerate(graph.outputs) if isinstance(output.value, View)]
        drawn = [run.advance(call, entries, given) for run in runs]
        errors = (root_mean_square(np.array([d[n] - outputs[n] for d in drawn])) for n in encrypted)
        steps.append(DryStep(jax.tree.unflatten(graph.results, outputs), tuple(errors)))
    return steps


def _check_range(graph: Graph, values: Sequence[Values], number: int) -> None:
    try:
        check_carried_range(graph, values)
    except ValueError as error:
        raise ValueError(f"call {number} of the dry run: {error}") from None


def _entries(
    interface: Interface, flat: Sequence, given: Sequence[int], carried: dict[int, Values], number: int
) -> list[Values]:
    """The entries of every argument, [size, sample]: given ones, and carried ones from the call before.

    Plain ones are empty, for they are in the circuit.
    """
    missing = [n for n in range(len(flat)) if n not in given and n not in carried]
    if missing:
        raise ValueError(
            f"call {number} of the dry run lacks argument {missing[0]}, which no result of a call before "
            f"replaces; give it."
        )
    pairs = [(n, interface.arguments[n]) for n in given]
    encrypted = [(n, a) for n, a in pairs if isinstance(a, Encrypted)]
    described, arrays = [a for _, a in encrypted], [check_values(a, flat[n]) for n, a in encrypted]
    numbers = [n for n, _ in encrypted]
    found = {n: np.zeros((0, 0)) for n in given} | dict(
        zip(numbers, sample_entries(described, arrays), strict=True)
    )
    entries = [found[n] if n in found else carried[n] for n in range(len(flat))]
    columns = _columns(entries)  # where only what all samples share was given, the others are carried
    return [np.repeat(e, columns, 1) if e.shape[1] == 1 else e for e in entries]


def _carried(graph: Graph, values: Sequence[Values]) -> dict[int, Values]:
    """The entries of carried results as arguments of the next call, by the argument's number."""
    found = {}
    for output, argument in graph.carry:
        view = graph.outputs[output].value
        assert isinstance(view, View)  # which `carried_pairs` made sure of
        found[argument] = values[view.node][view.entries.reshape(-1)]
    return found


def _columns(entries: Sequence[Values]) -> int:
    """The samples of encrypted arguments."""
    return max(values.shape[1] for values in entries)


class _Run:
    """A run with one draw of noise, which goes from call to call; mutable only within `dry_run`."""

    def __init__(self, plan: ProgramPlan, seed: int) -> None:
        self.plan = plan
        self.generator = np.random.default_rng(seed)
        self.state: dict[int, Values] = {}

    def advance(self, call: DryCall, entries: Sequence[Values], given: Sequence[int]) -> list[np.ndarray]:
        """The results of one call: arguments that are not given are this run's own, with their noise."""
        graph, plan = call.graph, self.plan
        arguments, slots = self._laid_out(graph, entries)
        arguments = [a if n in given else self.state[n] for n, a in enumerate(arguments)]
        values = evaluate_graph(
            graph,
            arguments,
            rounding=call.lowered.rounding,
            noise=self._noise(call, given, _columns(arguments)),
            seed=int(self.generator.integers(2**31)),
            slots=slots,
            representable=call.lowered.representable(plan.params, plan.top_level),
        )
        self.state = _carried(graph, values)
        return [self._opened(output, values, _columns(entries)) for output in graph.outputs]

    def _laid_out(self, graph: Graph, entries: Sequence[Values]) -> tuple[Sequence[Values], Slots | None]:
        if not sums_over_batch(graph):
            return entries, None
        return in_slots(graph, entries, self.plan.params.slots)

    def _noise(self, call: DryCall, given: Sequence[int], columns: int) -> dict[int, float]:
        """The deviations of all nodes, but of arguments that hold the noise of the call before."""
        found = {}
        for number, deviation in call.lowered.noise.items():
            node = call.graph.nodes[number]
            if isinstance(node, Input) and node.argument not in given:
                continue
            found[number] = deviation * (self._repeated(columns) if node.bootstraps else 1.0)
        return found

    def _repeated(self, columns: int) -> float:
        """What makes a mean over columns as noisy as one over the slots that a bootstrap tells apart."""
        chosen = self.plan.bootstrapping
        return 1.0 if chosen is None else max(1.0, columns / chosen.slots) ** 0.5

    def _opened(self, output: Output, values: Sequence[Values], samples: int) -> np.ndarray:
        """The result as it is decrypted: what all samples share is the mean over slots."""
        view = output.value
        if not isinstance(view, View):
            return np.asarray(view)
        columns = values[view.node]
        columns = columns.mean(1, keepdims=True) if view.batch_axis is None else columns[:, :samples]
        return view_values(view, columns)
