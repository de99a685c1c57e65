"""Products and their sums where samples are on top, by baby and giant steps along diagonals.

With R a rotation along the samples, L one along the slots of a sample, n inputs and m outputs:

    sum over inputs     z1 = sum over t of x_t R_-t(W1)            x_t[b, j] = x[b, (b - t) mod n]
    over samples        g1 = sum over t of R_t(x_t d1)
    sum over hidden     z2 = sum over d of L_d(a1 T_d),            T_d = R_-d(W2), masked
    sum over outputs    e1 = sum over d of T_d L_-d(d2)
    over samples        g2 = sum over t of R_t(a1 L_-t(d2))

A sample's slots are followed by the next one's. So a rotation by t modulo m is two, by t and by t - m, each
of what stays with its sample: T_d is masked to that. z2 then comes out in parts, m slots each, which are
added up to one that is right and copied back over the others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fhejax.program.circuit.nodes import ElementwiseSquare, MaskedSum, SteppedSum, SumOfProducts
from fhejax.program.packing.tiles.diagonals.held import Held
from fhejax.program.packing.tiles.diagonals.roles import Product
from fhejax.program.packing.tiles.diagonals.slots import distances_of
from fhejax.program.packing.tiles.forms import Atom, Form

if TYPE_CHECKING:
    from fhejax.program.packing.tiles.diagonals.values import Values

Shift = np.ndarray | None


class _Terms:
    """Products whose sum is relinearised once."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []
        self.shifts: list[tuple[Shift, Shift]] = []

    def add(self, first: int, second: int, shifts: tuple[Shift, Shift] = (None, None)) -> None:
        """Note a product of two nodes."""
        self.pairs.append((first, second))
        self.shifts.append(shifts)

    def emitted(self, values: "Values", label: str) -> int:
        """The node of the sum."""
        return values.emit(SumOfProducts(tuple(self.pairs), tuple(self.shifts), label))


def _stepped(values: "Values", nodes: Sequence[int], distance: int, label: str) -> int:
    """The sum of nodes, each rotated by a distance further than the one before."""
    return nodes[0] if len(nodes) == 1 else values.emit(SteppedSum(tuple(nodes), distance, label))


def _elementwise(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    first, second = product.factors
    box = tuple(sorted({*first.axes, *second.axes}))
    if first.is_plain:
        return _times_plain(values, first, second, box, product.label)
    pair = values.whole(first), values.whole(second)
    nodes = []
    for block in range(max(len(held.nodes) for held in pair)):
        shifts = values.constant(first, block), values.constant(second, block)
        one, other = (held.node(block) for held in pair)
        if one == other and first.key == second.key:
            nodes.append(values.emit(ElementwiseSquare(one, shifts[0], 1, product.label)))
        else:
            nodes.append(values.emit(SumOfProducts(((one, other),), (shifts,), product.label)))
    unclean = pair[0].unclean_beside(values.slots, box) & pair[1].unclean_beside(values.slots, box)
    level = 1 + max(held.level for held in pair)
    return Held(box, tuple(nodes), False, unclean & set(box), level)


def _times_plain(values: "Values", plain: Form, form: Form, box: tuple[int, ...], label: str) -> Held:
    """The product with plain numbers that differ along an axis."""
    held = values.whole(form)
    count = values.slots.blocks if values.slots.roles.samples in box else 1
    nodes = []
    for block in range(count):
        vector = values.constant(plain, block)
        vector = np.zeros(values.slots.period) if vector is None else vector
        nodes.append(values.emit(MaskedSum((held.node(block),), (vector,), label)))
    unclean = held.unclean_beside(values.slots, box) - set(plain.axes)
    return Held(box, tuple(nodes), False, unclean, held.level + 1)


def _over_samples(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """A sum over the samples of each place, of what has no more than one other axis.

    Outputs lie at b + j. So slots are added up along these diagonals, from (b, j) to (b - 1, j + 1) and on,
    which is right where j + outputs stays within a sample's slots.
    """
    slots, label = values.slots, product.label
    box = product.axes
    if len(product.factors) == 1:
        held = values.whole(product.factors[0])
    else:
        held = _elementwise(values, product, box)
    turned = len(product.factors) == 1 and values.is_turned(product.factors[0])
    clean = values.without_padding(held)
    turned, held, field = turned and clean is held, clean, slots.field
    if slots.roles.outputs in box:
        node = values.added(held.nodes, label)
        node = values.summed(node, [d * (1 - field) for d in slots.distances(1, slots.outputs)], label)
        node = values.summed(node, slots.distances(slots.outputs * field, slots.place_slots), label)
    else:
        node = _sum_of_rotations(values, held, turned, label)
    partial = slots.roles.outputs in box and slots.is_partial
    return Held(axes, (node,), partial, held.unclean & set(axes), held.level)


def _sum_of_rotations(values: "Values", held: Held, turned: bool, label: str) -> int:
    """The sum over a place's samples, of the rotations that the first weights' gradient takes, if it does."""
    slots = values.slots
    if turned:
        distances = [slots.field * t for t in range(0, slots.inputs, slots.babies)]
        rotated = [values.rotations(node, distances) for node in held.nodes]
        node = values.added([one[d] for one in rotated for d in distances], label)
        node = values.summed(node, slots.distances(slots.field, slots.babies * slots.field), label)
        return values.summed(node, slots.distances(slots.inputs * slots.field, slots.place_slots), label)
    node = values.added(held.nodes, label)
    return values.summed(node, slots.distances(slots.field, slots.place_slots), label)


def _over_inputs(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """The first layer: data at all distances, times weights rotated along the samples."""
    slots, (data, form) = values.slots, product.factors
    weights = values.whole(form)
    babies = [-slots.field * t for t in range(slots.babies)]
    turned = values.rotations(weights.nodes[0], babies)
    giants, nodes = slots.inputs // slots.babies, []
    for block in range(slots.blocks):
        sums = []
        for giant in range(giants):
            terms = _Terms()
            for t, baby in enumerate(babies):
                place = (block * giants + giant) * slots.babies + t
                shifts = values.constant(data, place), values.constant(form, 0, baby)
                terms.add(values.data(data, place), turned[baby], shifts)
            sums.append(terms.emitted(values, product.label))
        nodes.append(_stepped(values, sums, -slots.babies * slots.field, product.label))
    return Held(axes, tuple(nodes), False, weights.unclean & set(axes), 1 + weights.level)


def _inputs_over_samples(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """The first weights' gradient: the same data, times values rotated along the samples."""
    slots, (data, form) = values.slots, product.factors
    held = values.whole(form)
    distances = [slots.field * t for t in range(0, slots.inputs, slots.babies)]
    turned = [values.rotations(node, distances) for node in held.nodes]
    sums = []
    for t in range(slots.babies):
        terms = _Terms()
        for block in range(slots.blocks):
            for giant, distance in enumerate(distances):
                place = (block * len(distances) + giant) * slots.babies + t
                shifts = values.constant(data, place), values.constant(form, block, distance)
                terms.add(values.data(data, place), turned[block % len(turned)][distance], shifts)
        sums.append(terms.emitted(values, product.label))
    node = _stepped(values, sums, slots.field, product.label)
    node = values.summed(node, slots.distances(slots.inputs * slots.field, slots.place_slots), product.label)
    return Held(axes, (node,), False, held.unclean & set(axes), 1 + held.level)


def diagonals_of(values: "Values", form: Form) -> tuple[dict[int, int], Held]:
    """The second weights' diagonals T_d, by their distance d, and the weights themselves.

    T_d is for a value that is rotated by d modulo the strides, and so is it itself.
    """
    slots = values.slots
    held = values.whole(form)
    (node,), field = held.nodes, slots.field
    turns = [t % slots.strides - t * field for t in range(slots.outputs)]
    turned = values.rotations(node, turns)
    found = {}
    for d in distances_of(slots.outputs):
        turn = turns[d % slots.outputs]
        inside = np.roll(values.inside(form.axes, 0), -turn)
        mask = (inside & staying(values, d)).astype(np.float64)
        shift = values.constant(form, 0, turn)
        added = None if shift is None else shift * mask
        found[d] = values.emit(MaskedSum((turned[turn],), (mask,), values.label(held), added))
    return found, held


def staying(values: "Values", d: int) -> np.ndarray:
    """Whether a value that moves down by d stays with its sample, bool [slot], of a rotation by d's stride.

    Of the two distances that lead to one diagonal, t and t - m, one does so for each hidden unit: t from unit
    t on, and t - m below.
    """
    slots = values.slots
    t = d % slots.outputs
    unit = np.arange(slots.period) % slots.field
    return np.roll(unit >= t if d >= 0 else unit < t, -(d % slots.strides))


def _over_hidden(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """The second layer: values rotated along the slots of a sample, times the weights' diagonals."""
    slots, (form, matrix) = values.slots, product.factors
    held = values.whole(form)
    diagonals, weights = values.diagonals(matrix)
    strides, nodes = slots.strides, []
    for block, node in enumerate(held.nodes):
        turned = values.rotations(node, range(strides))
        sums: dict[int, _Terms] = {}
        for d in sorted(diagonals):
            near = d % strides
            shifts = values.constant(form, block, near), None
            sums.setdefault(d // strides, _Terms()).add(turned[near], diagonals[d], shifts)
        emitted = {giant: terms.emitted(values, product.label) for giant, terms in sums.items()}
        above = [emitted[giant] for giant in sorted(emitted) if giant >= 0]
        below = [emitted[giant] for giant in sorted(emitted, reverse=True) if giant < 0]
        total = _stepped(values, above, strides, product.label)
        total = _stepped(values, [total, *below], -strides, product.label)
        nodes.append(values.summed(total, slots.distances(slots.outputs, slots.field), product.label))
    level = 1 + max(held.level, weights.level + 1)
    return Held(axes, tuple(nodes), slots.outputs < slots.field, held.unclean & set(axes), level)


def _over_outputs(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """The way back through the second layer: the weights' diagonals, times values rotated the other way."""
    slots, (form, matrix) = values.slots, product.factors
    held = values.whole(form)
    diagonals, weights = values.diagonals(matrix)
    strides, nodes = slots.strides, []
    far = {d // strides: -(d // strides) * strides for d in diagonals}
    for block, node in enumerate(held.nodes):
        turned = values.rotations(node, list(far.values()))
        sums = [_Terms() for _ in range(strides)]
        for d in sorted(diagonals):
            distance = far[d // strides]
            shifts = None, values.constant(form, block, distance)
            sums[d % strides].add(diagonals[d], turned[distance], shifts)
        emitted = [terms.emitted(values, product.label) for terms in sums]
        nodes.append(_stepped(values, emitted, -1, product.label))
    level = 1 + max(held.level, weights.level + 1)
    return Held(axes, tuple(nodes), False, held.unclean & set(axes), level)


def _outputs_over_samples(values: "Values", product: Product, axes: tuple[int, ...]) -> Held:
    """The second weights' gradient: for each diagonal t one product, rotated by t along the samples."""
    slots, (form, other) = values.slots, product.factors
    pair = values.whole(form), values.whole(other)
    strides, field, label = slots.strides, slots.field, product.label
    near = [values.rotations(node, range(strides)) for node in pair[0].nodes]
    sums: list[list[int]] = [[] for _ in range(strides)]
    for t in range(slots.outputs):
        terms = _Terms()
        for block in range(slots.blocks):
            masked = _moved_down(values, other, pair[1], t, block)
            shifts = values.constant(form, block, t % strides), None
            terms.add(near[block % len(near)][t % strides], masked, shifts)
        sums[t % strides].append(terms.emitted(values, label))
    rows = [_stepped(values, row, strides * field, label) for row in sums]
    node = _stepped(values, rows, field - 1, label)
    node = values.summed(node, slots.distances(slots.outputs * field, slots.place_slots), label)
    level = 1 + max(pair[0].level, pair[1].level + 1)
    return Held(axes, (node,), False, pair[0].unclean & set(axes), level)


def _moved_down(values: "Values", form: Form, held: Held, t: int, block: int) -> int:
    """A value of outputs moved by t modulo the outputs within each sample's slots, zero beyond its entries.

    It is moved back by t modulo the strides, as the other factor is.
    """
    slots = values.slots
    distances = (t, t - slots.outputs) if t else (0,)
    far = [-(d // slots.strides) * slots.strides for d in distances]
    giants = {d // slots.strides for d in distances_of(slots.outputs)}
    turned = values.rotations(held.node(block), [-giant * slots.strides for giant in sorted(giants)])
    axes = tuple(axis for axis in (slots.roles.samples, slots.roles.outputs) if axis is not None)
    masks, added = [], None
    for d, distance in zip(distances, far, strict=True):
        inside = np.roll(values.inside(tuple(sorted(axes)), block), -distance)
        masks.append((inside & staying(values, d)).astype(np.float64))
        shift = values.constant(form, block, distance)
        if shift is not None:
            added = shift * masks[-1] + (0.0 if added is None else added)
    nodes = tuple(turned[distance] for distance in far)
    return values.emit(MaskedSum(nodes, tuple(masks), values.label(held), added))


_KINDS = {
    "elementwise": _elementwise,
    "over samples": _over_samples,
    "over inputs": _over_inputs,
    "inputs over samples": _inputs_over_samples,
    "over hidden": _over_hidden,
    "over outputs": _over_outputs,
    "outputs over samples": _outputs_over_samples,
}


def held_product(values: "Values", atom: Atom, product: Product) -> Held:
    """The value of a product, or of its sum over an axis.

    A sum over samples is that over those of each place; all places are added up where it is used.
    """
    return _KINDS[product.kind](values, product, atom.axes)
