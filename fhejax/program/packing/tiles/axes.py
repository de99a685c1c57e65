"""The axes of a function's arrays, named: dimensions that run along together have one name.

A name is a number. Dimensions of size one have none, since they hold nothing that could lie anywhere.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from fhejax.program.arguments import Encrypted
from fhejax.program.tensor.graph import TensorGraph, live_operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import Affine
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.polynomial import Polynomial
from fhejax.program.tensor.operations.power import Power
from fhejax.program.tensor.operations.product import Product
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast
from fhejax.program.tensor.operations.rearrangements.reshape import Reshape
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition
from fhejax.program.tensor.operations.reduction import Reduction
from fhejax.program.tensor.operations.sum import Sum
from fhejax.program.tensor.refusals import Refusal, refuse

Names = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class NamedAxes:
    """The names of all axes.

    Attributes:
        of: for each operation, the name of each of its dimensions; None for a size of one.
        sizes: of each name.
        batch: the name of the axis along which the samples lie.
    """

    of: tuple[Names, ...]
    sizes: dict[int, int]
    batch: int


class _Names:
    """Names that turn out to be one, while a graph is walked; it lives no longer than that."""

    def __init__(self) -> None:
        self.parents: list[int] = []

    def new(self, shape: Sequence[int]) -> Names:
        """A new name for each dimension of more than one entry."""
        found: list[int | None] = []
        for size in shape:
            found.append(None if size == 1 else len(self.parents))
            if size != 1:
                self.parents.append(len(self.parents))
        return tuple(found)

    def root(self, name: int) -> int:
        """The one name that stands for all that are the same."""
        while self.parents[name] != name:
            name = self.parents[name]
        return name

    def same(self, one: int | None, other: int | None) -> None:
        """Note that two names are one."""
        if one is not None and other is not None:
            self.parents[self.root(other)] = self.root(one)


def named_axes(graph: TensorGraph) -> NamedAxes:
    """The names of all axes of a function.

    Raises:
        NotPolynomialError: with every operation that tiles have no rule for, and its line.
        ValueError: no batch axis.
    """
    names, live = _Names(), live_operations(graph)
    found: list[Names] = []
    refusals: list[Refusal] = []
    for number, operation in enumerate(graph.operations):
        own = names.new(operation.shape)
        if number in live and not isinstance(operation, Argument):
            try:
                _rule_of(operation)(names, operation, own, [found[s] for s in operation.sources])
            except ValueError as error:
                refusals.append(Refusal(operation.label, str(error)))
        found.append(own)
    refuse(refusals)
    batch = _batch(graph, names, found)
    of = tuple(tuple(None if n is None else names.root(n) for n in own) for own in found)
    sizes = {
        name: size
        for own, operation in zip(of, graph.operations, strict=True)
        for name, size in zip(own, operation.shape, strict=True)
        if name is not None
    }
    return NamedAxes(of, sizes, names.root(batch))


def _batch(graph: TensorGraph, names: _Names, found: Sequence[Names]) -> int:
    """The name of the axis of samples, which all arguments share that have one.

    Raises:
        ValueError: where there is none, or one sample alone.
    """
    batches = []
    for operation, own in zip(graph.operations, found, strict=True):
        if isinstance(operation, Argument):
            described = graph.arguments[operation.argument]
            assert isinstance(described, Encrypted)
            if described.batch_axis is not None:
                batches.append(own[described.batch_axis])
    if not batches or batches[0] is None:
        raise ValueError(
            f"packing='tiles' lays the samples of a mini-batch in the slots, and there "
            f"{'is one sample' if batches else 'are none'}; describe data by Encrypted(shape, batch_axis=0) "
            f"with several samples, or use packing='multiplexed' or 'sample-per-slot'."
        )
    for other in batches[1:]:
        names.same(batches[0], other)
    return batches[0]


def _aligned(names: _Names, operation: Operation, own: Names, sources: Sequence[Names]) -> None:
    """Elementwise: the last dimensions of all sources are those of the result, one entry widened."""
    for source in sources:
        for one, other in zip(own[len(own) - len(source) :], source, strict=True):
            names.same(one, other)


def _contraction(names: _Names, operation: Contraction, own: Names, sources: Sequence[Names]) -> None:
    if operation.plain is not None:
        raise ValueError(
            "a product with a plain matrix, which packing='tiles' has no rule for; pass the matrix as an "
            "encrypted argument with batch_axis=None"
        )
    first, second = sources
    for one, other in zip(*operation.summed, strict=True):
        names.same(first[one], second[other])
    for one, other in zip(*operation.common, strict=True):
        names.same(first[one], second[other])
    common = [first[d] for d in operation.common[0]]
    rest = [
        source[d]
        for source, summed, shared in zip(sources, operation.summed, operation.common, strict=True)
        for d in range(len(source))
        if d not in summed and d not in shared
    ]
    for one, other in zip(own, [*common, *rest], strict=True):
        names.same(one, other)


def _reduction(names: _Names, operation: Reduction, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    kept = [name for d, name in enumerate(source) if d not in operation.axes]
    for one, other in zip(own, kept, strict=True):
        names.same(one, other)


def _reshape(names: _Names, operation: Reshape, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    before, after = ([name for name in part if name is not None] for part in (source, own))
    if len(before) != len(after):
        raise ValueError(
            "a reshape that joins or splits axes, which packing='tiles' has no rule for; keep the axes of "
            "arrays, and contract over several by jnp.einsum"
        )
    for one, other in zip(after, before, strict=True):
        names.same(one, other)


def _broadcast(names: _Names, operation: Broadcast, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    for axis, name in zip(operation.axes, source, strict=True):
        names.same(own[axis], name)


def _transposition(names: _Names, operation: Transposition, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    for name, axis in zip(own, operation.order, strict=True):
        names.same(name, source[axis])


_Rule = Callable[[_Names, Any, Names, Sequence[Names]], None]
_RULES: dict[type[Operation], _Rule] = {
    Affine: _aligned,
    Sum: _aligned,
    Product: _aligned,
    Power: _aligned,
    Polynomial: _aligned,
    Contraction: _contraction,
    Reduction: _reduction,
    Reshape: _reshape,
    Broadcast: _broadcast,
    Transposition: _transposition,
}


def _rule_of(operation: Operation) -> _Rule:
    rule = _RULES.get(type(operation))
    if rule is None:
        raise ValueError(
            f"a {type(operation).__name__.lower()}, which packing='tiles' has no rule for; "
            f"it takes matrix products, elementwise sums and products, polynomials, sums over an axis and "
            f"transpositions. Write it with these, or use packing='sample-per-slot'"
        )
    return rule
