"""The tensor graph: what a function computes on encrypted arrays, without a slot or ciphertext in sight."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.plain_program import PlainArray, PlainProgram, renewed


@dataclasses.dataclass(frozen=True, eq=False)
class TensorOutput:
    """The description of one result: the number of an operation or a plain array, with shape and dtype."""

    value: int | PlainArray
    shape: tuple[int, ...]
    dtype: Any


@dataclasses.dataclass(frozen=True, eq=False)
class TensorGraph:
    """The traced function: operations in order, results, arguments, and the part in the clear.

    Attributes:
        operations: each reads only operations before it.
        outputs: the results, flat.
        arguments: the descriptions, flat.
        inputs: how arguments are nested.
        results: how results are nested.
        batch: the samples of each encrypted argument that has a batch axis.
        plain: how plain arrays follow from plain arguments.
        decisions: of the packing for the planner's plain arguments, where there was one.
        typical: arguments, [size, sample] each, that values are as large as; None where ranges alone tell.
        carry: the results that replace arguments of the next call, as pairs of numbers (result, argument).
        slots: that a ciphertext has at least, where a packing fills them with one call.
    """

    operations: tuple[Operation, ...]
    outputs: tuple[TensorOutput, ...]
    arguments: tuple[Encrypted | Plain, ...]
    inputs: Any
    results: Any
    batch: int
    plain: PlainProgram
    decisions: Mapping[tuple[int, int], Any] = dataclasses.field(default_factory=dict)
    typical: tuple[np.ndarray, ...] | None = None
    carry: tuple[tuple[int, int], ...] = ()
    slots: int = 2**15

    def with_plain(self, values: Sequence[np.ndarray]) -> "TensorGraph":
        """The graph for other values of the plain arguments; the function is not traced again.

        Args:
            values: of the plain arguments, in order.

        Raises:
            ValueError: values with which some operation is not defined, such as a division by zero.
        """
        known = self.plain.evaluate(values)
        outputs = (
            dataclasses.replace(o, value=renewed(o.value, known)) if isinstance(o.value, PlainArray) else o
            for o in self.outputs
        )
        operations = tuple(_renewed_operation(operation, known) for operation in self.operations)
        return dataclasses.replace(self, operations=operations, outputs=tuple(outputs))


def _renewed_operation(operation: Operation, known: Mapping[int, Any]) -> Operation:
    """The operation with the plain arrays that are known under their numbers."""

    def renew(value: Any) -> Any:
        if isinstance(value, PlainArray):
            return renewed(value, known)
        several = isinstance(value, tuple) and any(isinstance(v, PlainArray) for v in value)
        return tuple(map(renew, value)) if several else value

    own = [f.name for f in dataclasses.fields(operation) if f.name not in _BASE_FIELDS]
    changes = {name: renew(getattr(operation, name)) for name in own}
    return dataclasses.replace(operation, **changes)


_BASE_FIELDS = frozenset(field.name for field in dataclasses.fields(Operation))


def live_operations(graph: TensorGraph) -> frozenset[int]:
    """The operations on which some result depends."""
    live = {o.value for o in graph.outputs if isinstance(o.value, int)}
    for number in range(len(graph.operations) - 1, -1, -1):
        if number in live:
            live.update(graph.operations[number].sources)
    return frozenset(live)


def evaluate(graph: TensorGraph, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of the graph in the clear, in float64, plain results as they are.

    Args:
        graph: what is evaluated, with the values of its plain arguments.
        arguments: the values of all arguments, flat; those of plain ones are not read.
    """
    live = live_operations(graph)
    values: list[Any] = []
    for number, operation in enumerate(graph.operations):
        if isinstance(operation, Argument):
            values.append(np.asarray(arguments[operation.argument], np.float64))
        else:
            sources = [values[source] for source in operation.sources]
            values.append(operation.evaluate(sources) if number in live else None)
    return [values[o.value] if isinstance(o.value, int) else o.value.array for o in graph.outputs]
