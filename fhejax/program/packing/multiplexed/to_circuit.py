"""The way from the tensor graph to a circuit whose ciphertexts hold one sample each.

The operations are first written as they are in the packing of one sample in each slot, where every entry is a
ciphertext: contractions, sums and rearrangements are linear maps of entries there, activations are products
of them. Here all that is linear between two products is joined to one map of slots.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import (
    BlockTransform,
    Combine,
    Concatenate,
    ElementwiseProduct,
    ElementwiseSquare,
    Gather,
    InnerProduct,
    Input,
    Linear,
    SlotTransform,
)
from fhejax.program.circuit.nodes.in_slots.block_matrix import BlockMatrix
from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix
from fhejax.program.circuit.simplification import simplify
from fhejax.program.circuit.views import View
from fhejax.program.packing.layout import Layout
from fhejax.program.packing.multiplexed.affine_form import (
    AffineForm,
    added,
    anchor_of,
    joined,
    matrix_of,
    nonzeros,
    slots_of,
    sums_of,
    taken,
    window_of,
)
from fhejax.program.packing.multiplexed.placement import (
    PlacedForm,
    Placement,
    Shape,
    argument_layouts,
    cheapest,
    compact,
    placed,
    placement_of,
)
from fhejax.program.packing.multiplexed.replicas import with_replicas
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit as to_entries
from fhejax.program.tensor.graph import TensorGraph
from fhejax.program.tensor.operation import Label
from fhejax.program.tensor.refusals import Refusal, refuse

_PERIOD_COST = 0.3  # the power of a period by which it counts: what is made of the value inherits it
_MOST_LISTED = 2**22  # coefficients of a layer that are listed one by one; others are windows
_DENSER = 4  # times as many coefficients as two maps have one by one, above which they are not joined


def to_circuit(graph: TensorGraph) -> Graph:
    """The circuit that computes a tensor graph, one sample in the slots of each ciphertext.

    Args:
        graph: without plain arguments; a value of more numbers than its slots takes several ciphertexts.

    Raises:
        NotPolynomialError: with every operation in which samples would meet each other, and its line.
        ValueError: plain arguments, or encrypted ones without a batch axis.
    """
    check_arguments(graph.arguments, "multiplexed")
    entries = simplify(to_entries(graph, joins_positions=False))
    return with_replicas(Packer(entries, graph.slots).packed(), graph.slots)


def check_arguments(arguments: Sequence[Encrypted | Plain], packing: str) -> None:
    """Refuse arguments that have no place in a packing whose ciphertexts hold samples in their slots.

    Args:
        arguments: the descriptions.
        packing: its name, in messages.

    Raises:
        ValueError: plain arguments, or encrypted ones without a batch axis.
    """
    for number, argument in enumerate(arguments):
        if isinstance(argument, Plain):
            raise ValueError(
                f"argument {number} is plain, and packing={packing!r} takes plain numbers only where the "
                f"function closes over them, since rotations and keys follow from which are zero. Close over "
                f"it, or use packing='sample-per-slot'."
            )
        if argument.batch_axis is None:
            raise ValueError(
                f"argument {number} has batch_axis=None, one value for all samples, which "
                f"packing={packing!r} does not hold: there slots hold samples' own numbers. Give it a batch "
                f"axis, or use packing='sample-per-slot'."
            )


class Packer:
    """The state of packing a circuit of entries: new nodes, and the form of each old one.

    most: slots of a ciphertext. nodes: of the new circuit. shapes: the period and the number of ciphertexts
    of each of them. layouts: of the arguments. forms: of the values of the old circuit's nodes.
    """

    packing: ClassVar[str] = "multiplexed"

    def __init__(self, entries: Graph, most: int) -> None:
        self.entries, self.most = entries, most
        self.nodes: list[Node] = []
        self.shapes: list[Shape] = []
        self.layouts: dict[int, Layout] = {}
        self.forms: list[AffineForm] = []
        self.refusals: list[Refusal] = []

    @property
    def rules(self) -> Mapping[type[Node], "Rule"]:
        """What becomes of each kind of node."""
        return RULES

    def packed(self) -> Graph:
        """The circuit of the new nodes."""
        self.pack()
        outputs = tuple(map(self.output, self.entries.outputs))
        numbers = range(len(self.entries.arguments))
        return dataclasses.replace(
            self.entries,
            nodes=tuple(self.nodes),
            outputs=outputs,
            least_slots=max((period for period, _ in self.shapes), default=0),
            layouts=tuple(map(self.layouts.get, numbers)),
        )

    def pack(self) -> None:
        """Pack all nodes in order.

        Raises:
            NotPolynomialError: with all that has no place.
        """
        for node in self.entries.nodes:
            rule = self.rules.get(type(node))
            try:
                if rule is None:
                    raise ValueError(
                        f"a sum over the samples of the batch, which packing={self.packing!r} does not let "
                        f"meet; compile for one sample, or use packing='sample-per-slot'"
                    )
                self.forms.append(rule(self, node))
            except ValueError as error:
                self.refusals.append(Refusal(_label(node.label), str(error)))
                self.forms.append(AffineForm({}, np.zeros(node.size), None))
        refuse(self.refusals)

    def append(self, node: Node, placement: Placement) -> AffineForm:
        """The form of a new node's entries."""
        self.nodes.append(node)
        self.shapes.append(placement.shape)
        return slots_of(len(self.nodes) - 1, placement.positions, placement.size)

    def placement(self, node: int, positions: np.ndarray) -> Placement:
        """The placement of entries that lie in slots of a node."""
        return Placement(positions, *self.shapes[node])

    def in_slots(self, source: int, shift: np.ndarray | None) -> tuple[int, np.ndarray, np.ndarray | None]:
        """A node whose slots hold a value that is to be multiplied: its number, where, and the shift."""
        form = self.forms[source].shifted(shift)
        found = form.as_slots()
        if found is None:
            held = self.own_slots(form, self.entries.nodes[source].label)
            if shift is None:
                self.forms[source] = held
            found, form = held.as_slots(), held
        assert found is not None
        node, positions = found
        if not form.bias.any():
            return node, positions, None
        vector = np.zeros(math.prod(self.shapes[node]))
        vector[positions] = form.bias
        if not np.array_equal(
            vector[positions], form.bias
        ):  # one slot stands for entries of different shifts
            return self.in_slots_of(form, compact(form.size, self.most), self.entries.nodes[source].label)
        return node, positions, vector

    def in_slots_of(
        self, form: AffineForm, placement: Placement, label: str
    ) -> tuple[int, np.ndarray, np.ndarray | None]:
        """A new node that holds a value in given slots."""
        self.own_slots(form, label, placement)
        return len(self.nodes) - 1, placement.positions, None

    def own_slots(self, form: AffineForm, label: str, placement: Placement | None = None) -> AffineForm:
        """The form of a new node that holds a value, in given slots or where it costs least."""
        if placement is None:
            one = cheapest(form, self.shapes, self.most)
        else:
            one = placed(form, placement, self.shapes)
        return self.append(_transform(one, label), one.placement)

    def output(self, output: Output) -> Output:
        """A result of the old circuit, read from slots."""
        view = output.value
        if not isinstance(view, View):
            return output
        form = self.forms[view.node]
        read = view.entries[view.entries >= 0]
        if not form.terms and not form.windows:  # what no argument decides; any node will do
            node, slots, bias = 0, np.full(form.size, -1), form.bias
        else:
            found = form.as_slots()
            if found is None and len(np.unique(read)) < form.size:
                kept = np.unique(read)
                form, names = taken(form, kept), np.full(form.size, -1)
                names[kept] = np.arange(len(kept))
                view = dataclasses.replace(view, entries=np.where(view.entries < 0, -1, names[view.entries]))
                found = form.as_slots()
            if found is None:
                held = self.own_slots(form, self.entries.nodes[view.node].label)
                self.forms[view.node] = held if form.size == self.forms[view.node].size else form
                found, form = held.as_slots(), held
            assert found is not None
            (node, slots), bias = found, form.bias
        alive = view.entries >= 0
        entries = np.where(alive, slots[np.maximum(view.entries, 0)], -1)
        offset = view.offset + view.multiplier * np.where(alive, bias[np.maximum(view.entries, 0)], 0.0)
        return dataclasses.replace(
            output, value=dataclasses.replace(view, node=node, entries=entries, offset=offset)
        )


def _transform(one: PlacedForm, label: str) -> SlotTransform | BlockTransform:
    """The node of a placed value: of one ciphertext made of such, or of several."""
    sources, matrices = tuple(n for n, _ in one.matrices), tuple(m for _, m in one.matrices)
    listed = tuple(matrix for matrix in matrices if isinstance(matrix, SlotMatrix))
    if len(listed) == len(matrices) and one.placement.count == 1:
        return SlotTransform(sources, listed, one.bias, label)
    blocks = tuple(matrix for matrix in matrices if isinstance(matrix, BlockMatrix))
    return BlockTransform(sources, blocks, one.bias, *one.placement.shape, label)


def _argument(packer: Packer, node: Input) -> AffineForm:
    described = packer.entries.arguments[node.argument]
    assert isinstance(described, Encrypted)
    shape = tuple(n for axis, n in enumerate(described.shape) if axis != described.batch_axis)
    layout = _layout_of_argument(packer, node, shape or (1,))
    packer.layouts[node.argument] = layout
    placement = placement_of(layout)
    held = np.full(placement.size, -1)
    held[placement.positions] = np.arange(len(placement.positions))
    return packer.append(dataclasses.replace(node, size=placement.count, held=held), placement)


def _layout_of_argument(packer: Packer, node: Input, shape: tuple[int, ...]) -> Layout:
    """The layout in which the first layer that reads the argument costs least."""
    entries, most = packer.entries, packer.most
    number = next(n for n, one in enumerate(entries.nodes) if one is node)
    readers = [r for r in entries.nodes if isinstance(r, Linear) and r.source == number]
    candidates = argument_layouts(shape, most)
    if not readers:
        return candidates[0]

    reader = readers[0]

    def read(layout: Layout) -> AffineForm:
        """The layer that reads the argument."""
        placement = placement_of(layout)
        return _multiplied_by(reader, slots_of(0, placement.positions, placement.size))

    def result(layout: Layout) -> PlacedForm:
        """The value of the layer that reads the argument."""
        return cheapest(read(layout), [placement_of(layout).shape], most)

    if len(candidates) > 1 and read(candidates[0]).windows:
        candidates = [one for one in candidates if one.shape == shape]  # else all distances differ
    results = list(map(result, candidates))
    least = min(one.placement.size for one in results)
    costs = [one.cost * (one.placement.size / least) ** _PERIOD_COST for one in results]
    return candidates[int(np.argmin(costs))]


def _linear(packer: Packer, node: Linear) -> AffineForm:
    form = packer.forms[node.source]
    if form.windows or (_is_large(node) and form.as_slots() is None):
        form = packer.forms[node.source] = packer.own_slots(form, packer.entries.nodes[node.source].label)
    if _is_large(node):
        return _multiplied_by(node, form).shifted(node.bias)
    matrix = matrix_of(node, form.size)
    found = form.mapped(matrix, anchor_of(node, form.anchor))
    if form.as_slots() is None and nonzeros(found) > _DENSER * (matrix.nnz + nonzeros(form)):
        form = packer.forms[node.source] = packer.own_slots(form, packer.entries.nodes[node.source].label)
        found = form.mapped(matrix, anchor_of(node, form.anchor))
    return found.shifted(node.bias)


def _multiplied_by(node: Linear, form: AffineForm) -> AffineForm:
    """The form of a linear layer, but for its bias: as windows where its coefficients are many."""
    windows = window_of(node, form) if _is_large(node) else None
    if windows is not None:
        return windows
    return form.mapped(matrix_of(node, form.size), anchor_of(node, form.anchor))


def _is_large(node: Linear) -> bool:
    return node.weights.size * node.entries.shape[2] > _MOST_LISTED


def _gather(packer: Packer, node: Gather) -> AffineForm:
    return taken(packer.forms[node.source], node.entries)


def _combination(packer: Packer, node: Combine) -> AffineForm:
    return added([packer.forms[source] for source in node.sources], node.weights)


def _concatenation(packer: Packer, node: Concatenate) -> AffineForm:
    for source in node.sources:
        if packer.forms[source].windows:
            packer.forms[source] = packer.own_slots(packer.forms[source], packer.entries.nodes[source].label)
    return joined([packer.forms[source] for source in node.sources])


def _square(packer: Packer, node: ElementwiseSquare) -> AffineForm:
    source, positions, shift = packer.in_slots(node.source, node.shift)
    placement = packer.placement(source, positions)
    return packer.append(ElementwiseSquare(source, shift, placement.count, node.label), placement)


def _product(packer: Packer, node: ElementwiseProduct) -> AffineForm:
    forms = [packer.forms[s].shifted(shift) for s, shift in zip(node.sources, node.shifts, strict=True)]
    return _multiplied(packer, forms, node.label)


def _multiplied(packer: Packer, forms: Sequence[AffineForm], label: str) -> AffineForm:
    """The products of two forms, entry by entry, in the same slots."""
    found = [form.as_slots() for form in forms]
    held = [f for f, form in zip(found, forms, strict=True) if f is not None and not form.bias.any()]
    placement = next((packer.placement(n, p) for n, p in held if len(np.unique(p)) == len(p)), None)
    if placement is None:
        first = packer.own_slots(forms[0], label)
        node, positions = _known(first)
        placement, forms = packer.placement(node, positions), [first, forms[1]]
    sources = []
    for form in forms:
        slots = form.as_slots()
        same = slots is not None and np.array_equal(slots[1], placement.positions) and not form.bias.any()
        if same and slots is not None and packer.shapes[slots[0]] == placement.shape:
            sources.append(slots[0])
        else:
            sources.append(packer.in_slots_of(form, placement, label)[0])
    product = ElementwiseProduct((sources[0], sources[1]), (None, None), placement.count, label)
    return packer.append(product, placement)


def _known(form: AffineForm) -> tuple[int, np.ndarray]:
    found = form.as_slots()
    assert found is not None
    return found


def _inner_product(packer: Packer, node: InnerProduct) -> AffineForm:
    """Sums of products: the factors of all terms side by side, multiplied, and added by the next map."""
    sides = zip(node.sources, node.shifts, node.entries, strict=True)
    alive = ((node.entries[0] >= 0) & (node.entries[1] >= 0)).ravel()
    rows = np.repeat(np.arange(node.size), node.entries[0].shape[1])[alive]
    forms = [taken(packer.forms[s].shifted(shift), entries.ravel()[alive]) for s, shift, entries in sides]
    products = _multiplied(packer, forms, node.label)
    return products.mapped(sums_of(rows, node.size), None)


Rule = Callable[[Any, Any], AffineForm]  # of a packer and a node

RULES: dict[type[Node], Rule] = {
    Input: _argument,
    Linear: _linear,
    Gather: _gather,
    Combine: _combination,
    Concatenate: _concatenation,
    ElementwiseSquare: _square,
    ElementwiseProduct: _product,
    InnerProduct: _inner_product,
}


def _label(text: str) -> Label:
    """The primitive and the line of a node's label."""
    primitive, _, line = text.partition(" (")
    return Label(primitive, line.rstrip(")") or "the function")
