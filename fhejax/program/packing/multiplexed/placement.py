"""Where the entries of values lie in the slots: next to what they are made of, or one after the other."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.nodes.in_slots.block_matrix import BlockMatrix, SparseBlocks
from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix, key_switches_of
from fhejax.program.packing.layout import Digit, Layout, along
from fhejax.program.packing.layout.digit import product
from fhejax.program.packing.layout.packing import first_positions
from fhejax.program.packing.multiplexed.affine_form import AffineForm

_LEAST_PERIOD = 16
_MOST_DIAGONALS = 2**12
_PRODUCT_COST = 0.2  # of a product with a plaintext, in hoisted rotations
_PHASES = (1, 2, 4, 8)  # steps of pixels, of which each is a plane of an argument of several ciphertexts

Shape = tuple[int, int]  # the period and the number of a node's ciphertexts


@dataclasses.dataclass(frozen=True, eq=False)
class Placement:
    """The slots in which the entries of a value lie.

    Attributes:
        positions: int64 [entry], a slot's number plus the period times that of its ciphertext.
        period: after which slots repeat themselves.
        count: of ciphertexts.
    """

    positions: np.ndarray
    period: int
    count: int = 1

    @property
    def shape(self) -> Shape:
        """The period and the number of ciphertexts."""
        return self.period, self.count

    @property
    def size(self) -> int:
        """The positions that there are in all ciphertexts."""
        return self.period * self.count


@dataclasses.dataclass(frozen=True, eq=False)
class PlacedForm:
    """A value that becomes slots of its own: where, by which maps of nodes, and the bias in each slot."""

    placement: Placement
    matrices: tuple[tuple[int, SlotMatrix | BlockMatrix], ...]
    bias: np.ndarray | None

    @functools.cached_property
    def cost(self) -> float:
        """What the maps cost, in hoisted rotations."""
        return sum(_cost(matrix) for _, matrix in self.matrices)


def _cost(matrix: SlotMatrix | BlockMatrix) -> float:
    if isinstance(matrix, BlockMatrix):
        babies, giants = matrix.key_switches
        return babies + 2.0 * giants + _PRODUCT_COST * matrix.products
    count = len(matrix.distances)
    if count > _MOST_DIAGONALS:  # whose steps take long to find, and which are no one's choice
        return (1.0 + _PRODUCT_COST) * count
    babies, giants = key_switches_of(matrix.steps, matrix.folds)
    return babies + 2.0 * giants + _PRODUCT_COST * count


def placed(form: AffineForm, placement: Placement, shapes: Sequence[Shape]) -> PlacedForm:
    """The value in the slots of a placement.

    Args:
        form: the value.
        placement: where it is to lie.
        shapes: of every node.
    """
    positions = placement.positions
    matrices: list[tuple[int, SlotMatrix | BlockMatrix]] = []
    listed: dict[int, csr_array] = dict(form.terms)
    for node, term in form.windows:
        (period, count), size = shapes[node], math.prod(shapes[node])
        block = term.placed(positions, (placement.period, period), (placement.count, count))
        if block is not None:
            matrices.append((node, block))
        else:
            more = term.as_matrix(size)
            listed[node] = listed[node] + more if node in listed else more
    for node, matrix in listed.items():
        terms = matrix.tocoo()
        where = (positions[terms.row], terms.col)
        whole = csr_array((terms.data, where), shape=(placement.size, math.prod(shapes[node])))
        if whole.nnz:
            matrices.append((node, _of_several(whole, placement.shape, shapes[node])))
    bias = None
    if form.bias.any():
        bias = np.zeros(placement.size)
        bias[positions] = form.bias
    if any(isinstance(matrix, BlockMatrix) for _, matrix in matrices):
        matrices = [(n, _as_blocks(m)) for n, m in matrices]
    return PlacedForm(placement, tuple(matrices), bias)


def _of_several(matrix: csr_array, result: Shape, source: Shape) -> SlotMatrix | BlockMatrix:
    """The map between ciphertexts, of one each in the form that such maps have."""
    if result[1] == source[1] == 1:
        return SlotMatrix(matrix)
    return SparseBlocks((result[0], source[0]), (result[1], source[1]), matrix)


def _as_blocks(matrix: SlotMatrix | BlockMatrix) -> BlockMatrix:
    return matrix if isinstance(matrix, BlockMatrix) else SparseBlocks(matrix.periods, (1, 1), matrix.matrix)


def cheapest(form: AffineForm, shapes: Sequence[Shape], most: int) -> PlacedForm:
    """The value where its maps cost least.

    Args:
        form: the value.
        shapes: of every node.
        most: slots of a ciphertext.
    """
    found = [compact(form.size, most)]
    if form.anchor is not None:
        anchored = _of_positions(form.anchor, most)
        if form.windows:  # elsewhere each position of the image would be at a distance of its own
            found = [anchored]
        elif _is_worthwhile(anchored, form, most) and not np.array_equal(form.anchor, found[0].positions):
            found.append(anchored)
    results = [placed(form, placement, shapes) for placement in found]
    return min(results, key=lambda one: one.cost) if len(results) > 1 else results[0]


def _is_worthwhile(anchored: Placement, form: AffineForm, most: int) -> bool:
    """Whether an anchor is looked at: where one ciphertext holds a value, it is to stay one."""
    return anchored.count == 1 or form.size > most


def compact(size: int, most: int) -> Placement:
    """The placement of entries one after the other, in ciphertexts of so many slots at most."""
    return _of_positions(np.arange(size), most)


def _of_positions(positions: np.ndarray, most: int) -> Placement:
    """The placement of positions that number slots, and beyond these ciphertexts."""
    size = int(positions.max()) + 1
    if size <= most:
        return Placement(positions, _period(size))
    return Placement(positions, most, -(-size // most))


def argument_layouts(shape: tuple[int, ...], most: int) -> list[Layout]:
    """The layouts in which an argument's sample may be encrypted, each of one period.

    With every axis padded to a power of two, the last of them (channels) or the first of them the most
    significant, so that a convolution finds neighbours at equal distances; and one entry after the other.

    Args:
        shape: of the sample.
        most: slots of a ciphertext.
    """
    size = math.prod(shape)
    found = []
    if len(shape) >= 2:
        sizes = [2 ** max(0, n - 1).bit_length() for n in shape]
        axes = list(range(len(shape)))
        for order in (axes[-1:] + axes[:-1], axes):
            sizes_here = [sizes[axis] for axis in order]
            missing = max(1, _LEAST_PERIOD // math.prod(sizes_here))
            if math.prod(sizes_here) * missing <= most:
                digits = [along(axis, n) for axis, n in zip(order, sizes_here, strict=True)]
                digits[0] = along(order[0], sizes_here[0] * missing)
                found.append(Layout(shape, tuple(digits)))
    if size <= most:
        return list(dict.fromkeys([*found, Layout((size,), (along(0, _period(size)),))]))
    whole = _in_ciphertexts((size,), [along(0, most * -(-size // most))], most)
    planes = [_of_planes(shape, phases, most) for phases in _PHASES if len(shape) == 3]
    return [*planes, whole]


def _of_planes(shape: tuple[int, ...], phases: int, most: int) -> Layout:
    """The layout of an image (height, width, channels) of which every so many pixels are a plane.

    A convolution that moves by as many pixels leaves no gaps in it. Of the pixels between, those that a
    stride of two passes over lie apart farthest.
    """
    bits = [along(axis, 2, 2**bit) for bit in range(phases.bit_length() - 1) for axis in (0, 1)]
    plane = [along(axis, 2 ** (-(-shape[axis] // phases) - 1).bit_length(), phases) for axis in (0, 1)]
    return _in_ciphertexts(shape, [along(2, 2 ** (shape[2] - 1).bit_length()), *bits, *plane], most)


def _in_ciphertexts(shape: tuple[int, ...], digits: Sequence[Digit], most: int) -> Layout:
    """The layout of digits, most significant first, of which those beyond the slots number ciphertexts."""
    slots: list[Digit] = []
    above = list(digits)
    while above and product(tuple(slots)) < most:
        digit, room = above.pop(), most // product(tuple(slots))
        if digit.size > room:
            upper, digit = digit.split(room)
            above.append(upper)
        slots.insert(0, digit)
    if above:  # ciphertexts need be no power of two
        ((axis, step),) = above[0].steps
        above[0] = along(axis, -(-shape[axis] // step), step)
    return Layout(shape, tuple(slots), ciphertexts=tuple(above))


def placement_of(layout: Layout) -> Placement:
    """The slots of a layout."""
    return Placement(first_positions(layout), layout.slot_count, layout.ciphertext_count)


def _period(size: int) -> int:
    return max(_LEAST_PERIOD, 2 ** (size - 1).bit_length())
