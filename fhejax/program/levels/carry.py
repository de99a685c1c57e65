"""Results as the arguments of the next call: which replaces which, and the graph that makes them so."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.arguments import Encrypted, Normalisation, normalisation
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.nodes import CarriedSlots, CiphertextOf
from fhejax.program.circuit.nodes.carried_values import CarriedTerm, CarriedValues
from fhejax.program.circuit.values import Values
from fhejax.program.circuit.views import View
from fhejax.program.tensor.graph import TensorGraph

Carry = tuple[tuple[int, int], ...]  # (result, argument), both as numbers in the flat order


def carried_pairs(graph: Graph, carry: Any) -> Carry:
    """The results that replace arguments, leaf by leaf.

    Args:
        graph: with its results and arguments.
        carry: of `compile`: a number or several, of results that replace the arguments of the same number,
            or a mapping from results to arguments. None stands for none.

    Raises:
        TypeError, ValueError: what is no such thing; or a result that does not fit the argument.
    """
    pairs = matched_pairs(graph, carry)
    for pair in pairs:
        _check_leaf(graph, pair)
    return pairs


def matched_pairs(graph: Graph | TensorGraph, carry: Any) -> Carry:
    """The results that replace arguments, leaf by leaf, before anything is known of where they lie.

    Args:
        graph: with its results and arguments.
        carry: as of `carried_pairs`.

    Raises:
        TypeError, ValueError: what is no such thing; or a result that is nested otherwise than the argument.
    """
    wanted = _numbers(carry)
    if not wanted:
        return ()
    arguments = jax.tree.unflatten(graph.inputs, list(range(len(graph.arguments))))
    results = jax.tree.unflatten(graph.results, list(range(len(graph.outputs))))
    results = results if type(results) in (tuple, list) else (results,)
    pairs: list[tuple[int, int]] = []
    for result, argument in wanted.items():
        pairs += _matched((result, results), (argument, arguments))
    if len({argument for _, argument in pairs}) < len(pairs):
        raise ValueError(
            f"carry={carry!r} replaces one argument by two results; give each a result of its own."
        )
    return tuple(pairs)


def _numbers(carry: Any) -> dict[int, int]:
    """The argument that each carried result replaces, by their numbers."""
    if carry is None:
        return {}
    if isinstance(carry, int) and not isinstance(carry, bool):
        carry = (carry,)
    found: dict[Any, Any]
    if isinstance(carry, Mapping):
        found = dict(carry)
    elif isinstance(carry, Sequence) and not isinstance(carry, str):
        found = {number: number for number in carry}
    else:
        found = {None: None}
    numbers = [*found, *found.values()]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise TypeError(
            f"compile was given carry={carry!r}; it is the number of a result that replaces the "
            f"argument of the same number in the next call, or a tuple of such, or a mapping "
            f"{{result: argument}}."
        )
    return found


def _matched(result: tuple[int, Any], argument: tuple[int, Any]) -> list[tuple[int, int]]:
    """The leaves of one result and of the argument that it replaces."""
    (number, results), (place, arguments) = result, argument
    if number >= len(results) or place >= len(arguments):
        raise ValueError(
            f"carry was to lead from result {number} to argument {place}, and the function has "
            f"{len(results)} results and {len(arguments)} arguments; both are counted from 0."
        )
    found, wanted = results[number], arguments[place]
    if jax.tree.structure(found) != jax.tree.structure(wanted):
        raise ValueError(
            f"result {number} is nested like {jax.tree.structure(found)} and was to replace argument "
            f"{place}, which is nested like {jax.tree.structure(wanted)}; return it in the same form."
        )
    return list(zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True))


def _check_leaf(graph: Graph, pair: tuple[int, int]) -> None:
    argument, found = graph.arguments[pair[1]], graph.outputs[pair[0]]
    what = f"result {pair[0]} was to replace argument {pair[1]}"
    if not isinstance(argument, Encrypted):
        raise ValueError(f"{what}, which is plain; describe it by fhejax.Encrypted.")
    if not isinstance(found.value, View):
        raise ValueError(
            f"{what}, and depends on no encrypted argument; pass it to the next call in the clear."
        )
    axes = found.value.batch_axis, argument.batch_axis
    if tuple(found.shape) != tuple(argument.shape) or axes[0] != axes[1]:
        raise ValueError(
            f"{what}: it has shape {tuple(found.shape)} and batch axis {axes[0]}, and the argument "
            f"{tuple(argument.shape)} and {axes[1]}; both must be alike."
        )


def with_carry(graph: Graph, carry: Carry) -> Graph:
    """The graph whose carried results are numbers as the arguments hold them, with their levels back.

    Args:
        graph: with the bootstraps within it.
        carry: of `carried_pairs`.
    """
    if graph.least_slots and carry:
        return _with_carried_slots(graph, carry)
    nodes, outputs = list(graph.nodes), list(graph.outputs)
    for shared in (True, False):
        chosen = [pair for pair in carry if (_argument(graph, pair).batch_axis is None) == shared]
        if not chosen:
            continue
        start = 0
        for output, argument in chosen:
            outputs[output] = _reading_carried(graph, (output, argument), len(nodes), start)
            start += _view(graph, output).entries.size
        nodes.append(_carried_values(graph, chosen, shared))
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=tuple(outputs), carry=carry)


def _with_carried_slots(graph: Graph, carry: Carry) -> Graph:
    """The graph whose carried results are ciphertexts as the arguments are, where a row is a slot.

    The packing has put them where the arguments lie, normalised as these are, several in one ciphertext.
    """
    nodes, outputs = list(graph.nodes), list(graph.outputs)
    sources = tuple(dict.fromkeys(_view(graph, output).node for output, _ in carry))
    ends = np.ones(len(sources) * graph.least_slots)
    names = ", ".join(str(argument) for _, argument in carry)
    nodes.append(CarriedSlots(sources, -ends, ends, f"next arguments {names}"))
    held = {source: len(nodes) - 1 for source in sources}
    if len(sources) > 1:
        for place, source in enumerate(sources):
            nodes.append(CiphertextOf(held[source], place, len(sources), f"ciphertext {place} of them"))
        held = {source: len(nodes) - len(sources) + place for place, source in enumerate(sources)}
    for output, _ in carry:
        view = _view(graph, output)
        outputs[output] = dataclasses.replace(
            outputs[output], value=dataclasses.replace(view, node=held[view.node])
        )
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=tuple(outputs), carry=carry)


def _view(graph: Graph, output: int) -> View:
    view = graph.outputs[output].value
    assert isinstance(view, View)  # of what is carried, which was checked
    return view


def _argument(graph: Graph, pair: tuple[int, int]) -> Encrypted:
    argument = graph.arguments[pair[1]]
    assert isinstance(argument, Encrypted)  # likewise
    return argument


def _held(graph: Graph, pair: tuple[int, int]) -> Normalisation:
    return normalisation(_argument(graph, pair))


def _carried_values(graph: Graph, pairs: Sequence[tuple[int, int]], shared: bool) -> CarriedValues:
    terms, shifts, lows, highs = [], [], [], []
    for pair in pairs:
        view, held = _view(graph, pair[0]), _held(graph, pair)
        terms.append(
            CarriedTerm(view.node, view.entries.reshape(-1), (view.multiplier / held.unit).reshape(-1))
        )
        shifts.append(held.normalised(view.offset).reshape(-1))
        low, high = map(held.normalised, map(float, _argument(graph, pair).range))
        lows.append(np.full(view.entries.size, low))
        highs.append(np.full(view.entries.size, high))
    names = ", ".join(str(argument) for _, argument in pairs)
    shift, low, high = map(np.concatenate, (shifts, lows, highs))
    return CarriedValues(tuple(terms), shift, low, high, shared, f"next arguments {names}")


def _reading_carried(graph: Graph, pair: tuple[int, int], node: int, start: int) -> Any:
    """The output that reads its numbers from the carried ones, as an argument reads its own."""
    output, view, held = graph.outputs[pair[0]], _view(graph, pair[0]), _held(graph, pair)
    shape = view.entries.shape
    entries = np.arange(start, start + view.entries.size, dtype=np.int64).reshape(shape)
    arrays = entries, np.full(shape, held.unit), np.full(shape, held.centre)
    return dataclasses.replace(output, value=View(node, *arrays, view.batch_axis, view.batch))


def check_carried_range(graph: Graph, values: Sequence[Values]) -> None:
    """Refuse a sample on which a carried result leaves the range of the argument that it replaces.

    Args:
        graph: of `with_carry`.
        values: of every node on the sample.

    Raises:
        ValueError: with the value and the range.
    """
    for output, argument in graph.carry:
        view, described = _view(graph, output), _argument(graph, (output, argument))
        numbers = values[view.node][view.entries.reshape(-1)]
        held, (low, high) = _held(graph, (output, argument)), described.range
        lowest, highest = held.restored(float(numbers.min())), held.restored(float(numbers.max()))
        if lowest < low or highest > high:
            raise ValueError(
                f"result {output} replaces argument {argument} in the next call, and lies in [{lowest:.4g}, "
                f"{highest:.4g}] on the sample, outside that argument's range ({low:g}, {high:g}); declare a "
                f"wider range for it, or take smaller steps."
            )
