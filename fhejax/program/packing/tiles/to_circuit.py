"""The way from the tensor graph to a circuit in tiles: a whole training step, its batch in the slots."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, Plain, normalisation
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.views import View
from fhejax.program.packing.tiles import diagonals
from fhejax.program.packing.tiles.axes import NamedAxes, named_axes
from fhejax.program.packing.tiles.diagonals import choice_of
from fhejax.program.packing.tiles.fields import fields_of, key_switches
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms
from fhejax.program.packing.tiles.names import Names
from fhejax.program.packing.tiles.places import places_of
from fhejax.program.packing.tiles.reading import read_forms
from fhejax.program.packing.tiles.results import Laid, packed_results, sampled_result
from fhejax.program.packing.tiles.sides import live_atoms
from fhejax.program.packing.tiles.values import Values
from fhejax.program.tensor.graph import TensorGraph, live_operations
from fhejax.program.tensor.operations.argument import Argument

_DEEPER = 1.1  # times what all costs with samples on top, where a step takes a level more
_UPLOADED = 0.25  # key switches that a ciphertext of data costs, brought to the levels of its products


def to_circuit(graph: TensorGraph) -> Graph:
    """The circuit that computes a tensor graph in tiles.

    Args:
        graph: without plain arguments.

    Raises:
        NotPolynomialError: with every operation that has no place in tiles, and its line.
        ValueError: plain arguments, arguments without use, or axes that two fields cannot hold.
    """
    _check_arguments(graph)
    axes = named_axes(graph)
    forms, found = read_forms(graph, axes)
    results = {n: found[o.value] for n, o in enumerate(graph.outputs) if isinstance(o.value, int)}
    atoms = {a.argument: n for n, a in enumerate(forms.atoms) if isinstance(a, ArgumentAtom)}
    carried = {result: atoms[argument] for result, argument in graph.carry if result in results}
    values, period = _values(graph, axes, forms, results, carried)
    outputs = _outputs(graph, axes, values, results, carried)
    return Graph(
        tuple(values.nodes),
        outputs,
        tuple(dataclasses.replace(a, batch_axis=None) for a in graph.arguments if isinstance(a, Encrypted)),
        graph.inputs,
        graph.results,
        1,
        least_slots=period,
        layouts=tuple(values.layouts[number] for number in range(len(graph.arguments))),
    )


def _values(
    graph: TensorGraph, axes: NamedAxes, forms: Forms, results: dict[int, Form], carried: dict[int, int]
) -> tuple[Values | diagonals.Values, int]:
    """What makes the nodes, in the layout that takes fewer key switches, and the slots of its period.

    Raises:
        ValueError: where no layout holds the function.
    """
    wanted, batch = list(results.values()), axes.batch
    choice, least = choice_of(forms, results, carried, batch, graph.slots), float("inf")
    try:
        fields = fields_of(forms, wanted, batch, graph.slots)
        least = key_switches(forms, live_atoms(forms, wanted), fields)
        least += _UPLOADED * sum(fields.count(own) for own in _sampled(forms, batch))
    except ValueError:
        if choice is None:
            raise
        fields = None
    if choice is not None:
        uploads = sum(choice.slots.ciphertexts(own) for own in _sampled(forms, batch))
        if _DEEPER * (choice.key_switches + _UPLOADED * uploads) < least:
            return diagonals.Values(graph.arguments, forms, choice), choice.slots.period
    assert fields is not None  # or there were a choice
    replaced = [(results[result], atom) for result, atom in carried.items()]
    places = places_of(forms, batch, replaced, 1 << fields.widths[2], fields.count)
    return Values(graph.arguments, forms, fields, places), fields.period


def _sampled(forms: Forms, batch: int) -> list[tuple[int, ...]]:
    """The axes of each argument that has samples."""
    arguments = (atom for atom in forms.atoms if isinstance(atom, ArgumentAtom))
    return [atom.axes for atom in arguments if batch in atom.axes]


def _check_arguments(graph: TensorGraph) -> None:
    live = live_operations(graph)
    used = {o.argument for n, o in enumerate(graph.operations) if n in live and isinstance(o, Argument)}
    for number, argument in enumerate(graph.arguments):
        if isinstance(argument, Plain):
            raise ValueError(
                f"argument {number} is plain, and packing='tiles' takes plain numbers only where the "
                f"function closes over them. Close over it, or use packing='sample-per-slot'."
            )
        if number not in used:
            raise ValueError(
                f"argument {number} decides no result, and packing='tiles' has no place for it; leave it out."
            )


def _outputs(
    graph: TensorGraph,
    axes: NamedAxes,
    values: Values | diagonals.Values,
    results: dict[int, Form],
    carried: dict[int, int],
) -> tuple[Output, ...]:
    """The descriptions of all results: at the places of what they replace, or where they came out."""
    still = {n: form for n, form in results.items() if axes.batch not in form.axes}
    units = {n: _held_unit(graph, values.forms, atom, n) for n, atom in carried.items()}
    if isinstance(values, Values):
        laid = packed_results(values, still, carried, units)
        laid |= {n: sampled_result(values, form) for n, form in results.items() if n not in still}
    else:
        laid = diagonals.packed_results(values, still, carried, units)
        laid |= {n: diagonals.sampled_result(values, form) for n, form in results.items() if n not in still}
    outputs = []
    for number, output in enumerate(graph.outputs):
        if isinstance(output.value, int):
            view = _view(laid[number], axes.of[output.value], axes.sizes, output.shape)
        else:
            view = np.asarray(output.value.values)
        outputs.append(Output(view, output.shape, output.dtype))
    return tuple(outputs)


def _held_unit(graph: TensorGraph, forms: Forms, atom: int, result: int) -> float:
    """What the numbers of an argument are divided by, and so those of the result that replaces it."""
    described = forms.atoms[atom]
    assert isinstance(described, ArgumentAtom)
    argument = graph.arguments[described.argument]
    assert isinstance(argument, Encrypted)
    held = normalisation(argument)
    if held.centre:
        raise ValueError(
            f"result {result} replaces argument {described.argument}, whose range {argument.range} lacks "
            f"zero; with packing='tiles' what is carried needs a range that has it, such as (-1, 1)."
        )
    return held.unit


def _view(laid: Laid, names: Names, sizes: Mapping[int, int], shape: Sequence[int]) -> View:
    """The view of a result whose dimensions have these names."""
    kept = [name for dimension in names for name in dimension]

    def arranged(array: np.ndarray) -> np.ndarray:
        """An array with a dimension for each of the value's axes as one of the result's shape."""
        held = dict(zip(laid.axes, array.shape, strict=True))
        full = {n: sizes[n] if any(held.get(m, 1) > 1 for m in own) else 1 for own in names for n in own}
        wide = np.reshape(array, [held.get(name, 1) for name in sorted(kept)])
        wide = np.broadcast_to(wide, [full[name] for name in sorted(kept)])
        moved = wide.transpose(np.argsort(np.argsort(kept, kind="stable"), kind="stable"))
        joined = [math.prod(full[name] for name in own) for own in names]
        return np.broadcast_to(moved.reshape(joined), shape)

    entries, offset = arranged(laid.positions), arranged(laid.offset)
    return View(
        laid.node, entries.astype(np.int64), np.full(shape, laid.unit), offset.astype(np.float64), None, 1
    )
