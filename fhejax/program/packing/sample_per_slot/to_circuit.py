"""The way from the tensor graph to a circuit, one sample in each slot.

Every value becomes a view of a node; its batch axis lies in the slots, and every other entry is a
ciphertext. What would have samples meet each other is refused here, all of it in one error.
"""

import dataclasses

import numpy as np

from fhejax.program.arguments import Encrypted
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.nodes import Input
from fhejax.program.circuit.views import Builder, View, entry_count
from fhejax.program.packing.sample_per_slot.operations.argument import argument
from fhejax.program.packing.sample_per_slot.rules import RULES
from fhejax.program.tensor.graph import TensorGraph, TensorOutput, live_operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.refusals import Refusal, refuse


def to_circuit(graph: TensorGraph, *, joins_positions: bool = True) -> Graph:
    """The circuit that computes a tensor graph, one sample in each slot.

    Args:
        graph: with the values of its plain arguments.
        joins_positions: have neighbouring positions of a convolution share a matrix, where that is cheaper.

    Raises:
        NotPolynomialError: with every operation in which samples would meet each other, and its line.
    """
    builder = Builder(graph.batch, graph.decisions, joins_positions, graph.typical)
    refusals, live = [], live_operations(graph)
    views: list[View | None] = []
    for number, operation in enumerate(graph.operations):
        if isinstance(operation, Argument):
            views.append(_argument(builder, graph, operation))
        elif number not in live:
            views.append(None)
        else:
            sources = [views[source] for source in operation.sources]
            builder.begin(number, str(operation.label))
            views.append(_value(builder, operation, sources, refusals))
    refuse(refusals)
    outputs = tuple(_output(output, views) for output in graph.outputs)
    return Graph(
        tuple(builder.nodes),
        outputs,
        graph.arguments,
        graph.inputs,
        graph.results,
        graph.batch,
        decisions=builder.decisions,
    )


def _argument(builder: Builder, graph: TensorGraph, operation: Argument) -> View:
    described = graph.arguments[operation.argument]
    assert isinstance(described, Encrypted)
    builder.label = operation.label.primitive
    return argument(builder, operation.argument, described, graph.batch)


def _value(
    builder: Builder, operation: Operation, sources: list[View | None], refusals: list[Refusal]
) -> View | None:
    """The view of an operation's value; None, which nothing can be said about, where it has no place."""
    known = [source for source in sources if source is not None]
    if len(known) < len(sources):
        return None
    try:
        return RULES[type(operation)](builder, operation, known)
    except ValueError as error:
        refusals.append(Refusal(operation.label, str(error)))
        return _stand_in(builder, operation.shape, known[0])


def _stand_in(builder: Builder, shape: tuple[int, ...], source: View) -> View | None:
    """The value that a refused operation might have given, so that what follows is looked at too."""
    axis = source.batch_axis
    if axis is not None and shape[axis : axis + 1] != (source.batch,):
        if source.batch not in shape:
            return None
        axis = shape.index(source.batch)
    kept = tuple(s for d, s in enumerate(shape) if d != axis)
    node = Input(-1, entry_count(kept), -1.0, 1.0, builder.label)
    return builder.fresh(node, dataclasses.replace(source, batch_axis=axis), kept)


def _output(output: TensorOutput, views: list[View | None]) -> Output:
    value = output.value
    found = views[value] if isinstance(value, int) else np.asarray(value.values)
    assert found is not None
    return Output(found, output.shape, output.dtype)
