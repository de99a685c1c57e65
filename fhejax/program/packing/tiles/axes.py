"""The axes of a function's arrays, named: dimensions that run along together have one name.

A name is a number. Dimensions of size one have none, since they hold nothing that could lie anywhere; one
that a reshape joins has several, the most significant first.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from fhejax.program.arguments import Encrypted
from fhejax.program.packing.tiles.names import Names, NameTable
from fhejax.program.tensor.graph import TensorGraph, live_operations
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import Affine
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.polynomial import Polynomial
from fhejax.program.tensor.operations.power import Power
from fhejax.program.tensor.operations.product import Product
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast
from fhejax.program.tensor.operations.rearrangements.patches import Patches
from fhejax.program.tensor.operations.rearrangements.reshape import Reshape
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition
from fhejax.program.tensor.operations.reduction import Reduction
from fhejax.program.tensor.operations.sum import Sum
from fhejax.program.tensor.refusals import Refusal, refuse


@dataclasses.dataclass(frozen=True)
class NamedAxes:
    """The names of all axes.

    Attributes:
        of: for each operation, the names of each of its dimensions; none for a size of one.
        sizes: of each name.
        batch: the name of the axis along which the samples lie.
        patches: the operation of the patches of each argument that convolutions alone read, by that of the
            argument.
    """

    of: tuple[Names, ...]
    sizes: dict[int, int]
    batch: int
    patches: dict[int, int]


def named_axes(graph: TensorGraph) -> NamedAxes:
    """The names of all axes of a function.

    Raises:
        NotPolynomialError: with every operation that tiles have no rule for, and its line.
        ValueError: no batch axis.
    """
    names, live = NameTable(), live_operations(graph)
    found: list[Names] = []
    refusals: list[Refusal] = []
    patches = _Patched(graph)
    for number, operation in enumerate(graph.operations):
        own = names.new(operation.shape)
        if number in live and not isinstance(operation, Argument):
            try:
                sources = [found[source] for source in operation.sources]
                if isinstance(operation, Patches):
                    patches.note(names, number, own, found)
                else:
                    patches.check_read_alone(operation)
                    _rule_of(operation)(names, operation, own, sources)
            except ValueError as error:
                refusals.append(Refusal(operation.label, str(error)))
        found.append(own)
    refuse(refusals)
    batch = _batch(graph, names, found)
    of = tuple(tuple(names.parts(dimension) for dimension in own) for own in found)
    if len(names.parts(batch)) > 1:
        raise ValueError(
            "a reshape splits the axis of the samples, which packing='tiles' lays in the slots as one; keep "
            "it as it is."
        )
    sizes = {name: names.sizes[name] for own in of for dimension in own for name in dimension}
    return NamedAxes(of, sizes, names.parts(batch)[0], patches.of)


class _Patched:
    """The patches of arguments, while a graph is walked: all convolutions of one argument read the same."""

    def __init__(self, graph: TensorGraph) -> None:
        self.graph = graph
        self.of: dict[int, int] = {}
        self.readers = {s for n in live_operations(graph) for s in self._patched_source(n)}

    def _patched_source(self, number: int) -> tuple[int, ...]:
        operation = self.graph.operations[number]
        if not isinstance(operation, Patches):
            return ()
        return tuple(s for s in operation.sources if isinstance(self.graph.operations[s], Argument))

    def check_read_alone(self, operation: Operation) -> None:
        """Refuse an operation that reads an argument which comes as patches.

        Raises:
            ValueError: what else to pass.
        """
        if self.readers & set(operation.sources):
            raise ValueError(
                "it reads images that a convolution by an encrypted kernel reads as well, for which they "
                "come as patches with packing='tiles'; pass them as two arguments, or use "
                "packing='sample-per-slot'"
            )

    def note(self, names: NameTable, number: int, own: Names, found: Sequence[Names]) -> None:
        """Note the patches of an argument, whose axes are those of its patches that are known.

        Those of windows side by side over a computed value are a reshape.

        Raises:
            ValueError: other patches of computed values, patches of samples, with gaps, or other ones of an
                argument than are known.
        """
        operation = self.graph.operations[number]
        assert isinstance(operation, Patches)
        (source,) = operation.sources
        argument, lead = self.graph.operations[source], len(operation.order) - len(operation.windows.sizes)
        if not isinstance(argument, Argument) and _side_by_side(operation, argument.shape):
            for place, axis in enumerate(operation.order):
                taps = own[place + len(operation.windows.sizes)] if place >= lead else ()
                names.same((*taps, *own[place]), found[source][axis])
            return
        if not isinstance(argument, Argument):
            raise ValueError(
                "a convolution of a computed value by an encrypted kernel whose windows overlap or leave "
                "something out; packing='tiles' takes any of arguments, which come as patches, and of "
                "computed values those of windows side by side, with a stride as long as the kernel"
            )
        described = self.graph.arguments[argument.argument]
        assert isinstance(described, Encrypted)
        if described.batch_axis not in operation.order[:lead]:
            raise ValueError(
                "a convolution of images of which there is none for each sample, or whose windows slide over "
                "the samples; describe images by Encrypted(shape, batch_axis=0)"
            )
        if any(step > 1 for step in operation.windows.base_dilation):
            raise ValueError("a convolution of images with gaps, which packing='tiles' has no rule for")
        for place, axis in enumerate(operation.order[:lead]):
            names.same(own[place], found[source][axis])
        known = self.of.setdefault(source, number)
        if known == number:
            return
        other = self.graph.operations[known]
        assert isinstance(other, Patches)
        if other.windows != operation.windows or other.order[lead:] != operation.order[lead:]:
            raise ValueError(
                "a convolution of images by an encrypted kernel of another size or stride than one before; "
                "with packing='tiles' images come as one kind of patches: pass them as two arguments"
            )
        for one, same in zip(own[lead:], found[known][lead:], strict=True):
            names.same(one, same)


def _side_by_side(operation: Patches, shape: Sequence[int]) -> bool:
    """Whether windows lie side by side, so that patches are a reshape."""
    windows = operation.windows
    lead = len(operation.order) - len(windows.sizes)
    spatial = range(len(windows.sizes))
    return all(
        windows.window_dilation[d] == windows.base_dilation[d] == 1
        and windows.strides[d] == windows.sizes[d]
        and windows.padding[d] == (0, 0)
        and shape[operation.order[lead + d]] % windows.sizes[d] == 0
        for d in spatial
    )


def _batch(graph: TensorGraph, names: NameTable, found: Sequence[Names]) -> tuple[int, ...]:
    """The names of the axis of samples, which all arguments share that have one.

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
    if not batches or not batches[0]:
        raise ValueError(
            f"packing='tiles' lays the samples of a mini-batch in the slots, and there "
            f"{'is one sample' if batches else 'are none'}; describe data by Encrypted(shape, batch_axis=0) "
            f"with several samples, or use packing='multiplexed' or 'sample-per-slot'."
        )
    for other in batches[1:]:
        names.same(batches[0], other)
    return batches[0]


def _aligned(names: NameTable, operation: Operation, own: Names, sources: Sequence[Names]) -> None:
    """Elementwise: the last dimensions of all sources are those of the result, one entry widened."""
    for source in sources:
        for one, other in zip(own[len(own) - len(source) :], source, strict=True):
            names.same(one, other)


def _contraction(names: NameTable, operation: Contraction, own: Names, sources: Sequence[Names]) -> None:
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


def _reduction(names: NameTable, operation: Reduction, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    kept = [name for d, name in enumerate(source) if d not in operation.axes]
    for one, other in zip(own, kept, strict=True):
        names.same(one, other)


def _reshape(names: NameTable, operation: Reshape, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    joined = (tuple(name for dimension in part for name in dimension) for part in (own, source))
    names.same(*joined)


def _broadcast(names: NameTable, operation: Broadcast, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    for axis, name in zip(operation.axes, source, strict=True):
        names.same(own[axis], name)


def _transposition(names: NameTable, operation: Transposition, own: Names, sources: Sequence[Names]) -> None:
    (source,) = sources
    for name, axis in zip(own, operation.order, strict=True):
        names.same(name, source[axis])


_Rule = Callable[[NameTable, Any, Names, Sequence[Names]], None]
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
