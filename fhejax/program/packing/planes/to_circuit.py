"""The way from the tensor graph to a circuit whose ciphertexts hold one channel's pixels of several images.

The operations are first written as they are in the packing of one sample in each slot, as for `multiplexed`,
whose affine forms join all that is linear between two products. Here each such map becomes taps of planes.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.arguments import Encrypted
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import (
    Combine,
    Concatenate,
    Gather,
    Input,
    Linear,
    PlaneTransform,
    RotatedSum,
)
from fhejax.program.circuit.nodes.in_slots.plane_map import PlaneMap
from fhejax.program.circuit.simplification import simplify
from fhejax.program.packing.layout import Layout, along
from fhejax.program.packing.multiplexed.affine_form import AffineForm, matrix_of, nonzeros, slots_of
from fhejax.program.packing.multiplexed.placement import Placement, placement_of
from fhejax.program.packing.multiplexed.to_circuit import RULES, Packer, Rule, check_arguments
from fhejax.program.packing.planes.anchors import anchor_of_layer, planes_of
from fhejax.program.packing.planes.taps import folded, plane_map, steps_of_sum
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit as to_entries
from fhejax.program.tensor.graph import TensorGraph

_LEAST_PERIOD = 16
_WHOLE = 2.0  # the cost of a rotation that is not hoisted, in those that are
_LEVEL = 1.5  # times as many rotations as one map for two must take to be worth none of their levels
_DENSER = 4  # times as many coefficients as two maps have one by one, above which they are not joined


def to_circuit(graph: TensorGraph) -> Graph:
    """The circuit that computes a tensor graph, one channel's pixels of several samples in each ciphertext.

    Args:
        graph: without plain arguments. The last axis of a sample of three or more is that of its channels;
            one of fewer axes is one plane.

    Raises:
        NotPolynomialError: with every operation that has no place, and its line.
        ValueError: plain arguments, encrypted ones without a batch axis, or images larger than a ciphertext.
    """
    check_arguments(graph.arguments, PlanePacker.packing)
    shapes = [_sample_shape(a) for a in graph.arguments if isinstance(a, Encrypted)]
    period = max(_LEAST_PERIOD, *(math.prod(map(_padded, _pixels(shape))) for shape in shapes))
    if period > graph.slots:
        raise ValueError(
            f"an image takes {period} slots, and a ciphertext, which holds a channel of one or more in "
            f"packing='planes', has {graph.slots}; use packing='multiplexed', or smaller images."
        )
    entries = simplify(to_entries(graph, joins_positions=False))
    return dataclasses.replace(PlanePacker(entries, period).packed(), shares_blocks=True)


def _sample_shape(argument: Encrypted) -> tuple[int, ...]:
    return tuple(n for axis, n in enumerate(argument.shape) if axis != argument.batch_axis) or (1,)


def _pixels(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 2 else shape


def _padded(size: int) -> int:
    return 2 ** max(0, size - 1).bit_length()


class PlanePacker(Packer):
    """The state of packing a circuit of entries in planes of one period.

    anchor: of a form holds -1 for entries of which nothing is known. zeros: of a node the positions that hold
    zero, where that is known.
    """

    packing: ClassVar[str] = "planes"

    def __init__(self, entries: Graph, period: int) -> None:
        super().__init__(entries, period)
        self.period = period
        self.zeros: dict[int, np.ndarray] = {}

    @property
    def rules(self) -> Mapping[type[Node], Rule]:
        """What becomes of each kind of node."""
        return _RULES

    def own_slots(self, form: AffineForm, label: str, placement: Placement | None = None) -> AffineForm:
        """The form of a new node that holds a value, in given positions or next to what it is made of.

        Where its maps end in a sum over windows, the bias is left to the form.
        """
        placed = placement or planes_of(form.anchor, form.size, self.period)
        maps = self.maps_of(form, placed)
        sources, found = tuple(maps), list(maps.values())
        folds: tuple[int, ...] = ()
        if placement is None:
            found, folds = _cheaper(found, placed.count)
        bias = None
        if form.bias.any() and not folds:
            bias = np.zeros(placed.size)
            bias[placed.positions] = form.bias
        held = self.append(
            PlaneTransform(sources, tuple(found), bias, self.period, placed.count, label), placed
        )
        if folds:
            source = len(self.nodes) - 1
            held = self.append(RotatedSum(source, folds, placed.count, label, self.period), placed).shifted(
                form.bias
            )
        return held

    def maps_of(self, form: AffineForm, placed: Placement) -> dict[int, PlaneMap]:
        """The maps of a value in given positions, by node."""
        live = np.zeros(placed.size, bool)
        live[placed.positions] = True
        found = {}
        for node, matrix in form.terms.items():
            size = math.prod(self.shapes[node])
            terms = matrix.tocoo()
            whole = csr_array(
                (terms.data, (placed.positions[terms.row], terms.col)), shape=(placed.size, size)
            )
            zero = self.zeros.get(node, np.zeros(size, bool))
            counts = placed.count, self.shapes[node][1]
            if whole.nnz:
                found[node] = plane_map(whole, self.period, counts, live, zero)
        if not found:  # a value that no argument decides, which a square of it may be asked for
            node = next(iter(form.terms), 0)
            nothing = np.zeros((1, placed.count, self.shapes[node][1]))
            found[node] = PlaneMap(self.period, (0,), nothing, None)
        return found

    def cost(self, form: AffineForm) -> float:
        """What a value of its own slots would cost, in hoisted rotations."""
        placed = planes_of(form.anchor, form.size, self.period)
        return _cost(*_cheaper(list(self.maps_of(form, placed).values()), placed.count), placed.count)

    def summed(self, form: AffineForm, label: str) -> tuple[AffineForm, float] | None:
        """A sum over equal windows of one node's slots, by rotations of that node, and what they cost.

        None of other forms. The nodes that are added are dead where the sum is not used.
        """
        found = _windows_of(form, self.period)
        if found is None:
            return None
        source, base, factors, steps = found
        count = self.shapes[source][1]
        size = self.period * count
        self.append(RotatedSum(source, steps, count, label, self.period), Placement(base, self.period, count))
        matrix = csr_array((factors, (np.arange(len(base)), base)), shape=(len(base), size))
        held = AffineForm({len(self.nodes) - 1: matrix}, form.bias, base)
        return held, _WHOLE * len(steps) * count


def _cheaper(maps: list[PlaneMap], count: int) -> tuple[list[PlaneMap], tuple[int, ...]]:
    """The maps to so many ciphertexts as they are, or with a sum by rotations after them, if cheaper."""
    fewer, folds = folded(maps)
    return (fewer, folds) if _cost(fewer, folds, count) < _cost(maps, (), count) else (maps, ())


def _cost(maps: Sequence[PlaneMap], folds: Sequence[int], count: int) -> float:
    """The rotations of maps and of the sum at their end, in hoisted ones."""
    return sum(one.hoisted for one in maps) + _WHOLE * len(folds) * count


def _windows_of(form: AffineForm, period: int) -> tuple[int, np.ndarray, np.ndarray, tuple[int, ...]] | None:
    """The node, the first positions and the factors of sums over equal windows, and the steps of one."""
    if len(form.terms) != 1 or form.windows or not form.size:
        return None
    ((node, matrix),) = form.terms.items()
    lengths = np.diff(matrix.indptr)
    length = int(lengths[0])
    if length < 2 or (lengths != length).any():
        return None
    ordered = matrix.copy()
    ordered.sort_indices()
    columns, values = (np.asarray(a).reshape(-1, length) for a in (ordered.indices, ordered.data))
    columns = columns.astype(np.int64)
    offsets, base = columns - columns[:, :1], columns[:, 0]
    equal = (offsets == offsets[0]).all() and (values == values[:, :1]).all()
    if not equal or (columns // period != base[:, None] // period).any() or len(np.unique(base)) < len(base):
        return None
    steps = steps_of_sum(offsets[0].tolist())
    return None if steps is None else (node, base, values[:, 0], steps)


def _argument(packer: PlanePacker, node: Input) -> AffineForm:
    described = packer.entries.arguments[node.argument]
    assert isinstance(described, Encrypted)
    shape = _sample_shape(described)
    sizes = list(map(_padded, pixels := _pixels(shape)))
    sizes[0] *= packer.period // math.prod(sizes)
    channels = tuple(along(axis, shape[axis]) for axis in range(len(pixels), len(shape)))
    layout = Layout(shape, tuple(along(axis, n) for axis, n in enumerate(sizes)), ciphertexts=channels)
    packer.layouts[node.argument] = layout
    placement = placement_of(layout)
    held = np.full(placement.size, -1)
    held[placement.positions] = np.arange(len(placement.positions))
    form = packer.append(dataclasses.replace(node, size=placement.count, held=held), placement)
    packer.zeros[len(packer.nodes) - 1] = held < 0
    return form


def _linear(packer: PlanePacker, node: Linear) -> AffineForm:
    """A linear layer of a value, joined with what is linear before it.

    Or of slots of its own, or of sums over windows, where that takes so many rotations less.
    """
    form = packer.forms[node.source]
    if form.as_slots() is not None:
        return _multiplied_by(packer, node, form)
    label = packer.entries.nodes[node.source].label
    matrix, joined = matrix_of(node, form.size), _multiplied_by(packer, node, form)
    whole, parts = packer.cost(joined), packer.cost(form) + _cost_after(packer, node)
    summed = packer.summed(form, label)
    if summed is not None:
        held, cost = summed
        after = _multiplied_by(packer, node, held)
        if cost + packer.cost(after) < min(whole, _LEVEL * parts):
            packer.forms[node.source] = held
            return after
    is_dense = nonzeros(joined) > _DENSER * (matrix.nnz + nonzeros(form))
    if _LEVEL * parts < whole or (is_dense and parts <= whole):
        packer.forms[node.source] = held = packer.own_slots(form, label)
        return _multiplied_by(packer, node, held)
    return joined


def _cost_after(packer: PlanePacker, node: Linear) -> float:
    """What a linear layer would cost of slots of its own."""
    form = packer.forms[node.source]
    placed = planes_of(form.anchor, form.size, packer.period)
    packer.shapes.append(placed.shape)  # of a node that is not made
    held = slots_of(len(packer.shapes) - 1, placed.positions, placed.size)
    cost = packer.cost(_multiplied_by(packer, node, held))
    packer.shapes.pop()
    return cost


def _multiplied_by(packer: PlanePacker, node: Linear, form: AffineForm) -> AffineForm:
    found = form.mapped(matrix_of(node, form.size), None).shifted(node.bias)
    return dataclasses.replace(found, anchor=anchor_of_layer(node, form.anchor, packer.period))


def _anchored(rule: Rule, anchor: Callable[[PlanePacker, Any], np.ndarray | None]) -> Rule:
    """The rule with an anchor of its own for its value."""

    def anchored(packer: PlanePacker, node: Any) -> AffineForm:
        return dataclasses.replace(rule(packer, node), anchor=anchor(packer, node))

    return anchored


def _gathered(packer: PlanePacker, node: Gather) -> np.ndarray | None:
    anchor = packer.forms[node.source].anchor
    if anchor is None:
        return None
    return np.where(node.entries >= 0, anchor[np.maximum(node.entries, 0)], -1)


def _combined(packer: PlanePacker, node: Combine) -> np.ndarray | None:
    """The anchor of the term of which most is known."""
    anchors = [packer.forms[source].anchor for source in node.sources]
    known = [anchor for anchor in anchors if anchor is not None]
    return max(known, key=lambda anchor: int((anchor >= 0).sum())) if known else None


def _concatenated(packer: PlanePacker, node: Concatenate) -> np.ndarray | None:
    """The anchors one after the other, each in ciphertexts of its own."""
    return _side_by_side([packer.forms[source] for source in node.sources], packer.period)


def _side_by_side(forms: Sequence[AffineForm], period: int) -> np.ndarray | None:
    parts, start = [], 0
    for form in forms:
        if form.anchor is None:
            return None
        parts.append(np.where(form.anchor >= 0, form.anchor + start, -1))
        start += (int(form.anchor.max(initial=0)) // period + 1) * period
    return np.concatenate(parts)


_RULES: dict[type[Node], Rule] = {
    **RULES,
    Input: _argument,
    Linear: _linear,
    Gather: _anchored(RULES[Gather], _gathered),
    Combine: _anchored(RULES[Combine], _combined),
    Concatenate: _anchored(RULES[Concatenate], _concatenated),
}
