"""Where the entries of values lie in the slots: next to what they are made of, or one after the other."""

import dataclasses
import functools
import math

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix, key_switches_of, shape_of
from fhejax.program.packing.layout import Layout, along
from fhejax.program.packing.layout.packing import first_positions
from fhejax.program.packing.multiplexed.affine_form import AffineForm

_LEAST_PERIOD = 16
_MOST_SLOTS = 2**16
_MOST_DIAGONALS = 2**12
_PRODUCT_COST = 0.2  # of a product with a plaintext, in hoisted rotations


class TooLargeError(ValueError):
    """An error that says that a value has more entries than a ciphertext has slots."""


@dataclasses.dataclass(frozen=True, eq=False)
class Placement:
    """The slots in which the entries of a value lie.

    Attributes:
        positions: int64 [entry].
        period: after which slots repeat themselves.
    """

    positions: np.ndarray
    period: int


@dataclasses.dataclass(frozen=True, eq=False)
class PlacedForm:
    """A value that becomes slots of its own: where, by which maps, and the bias in each slot."""

    placement: Placement
    matrices: dict[int, SlotMatrix]
    bias: np.ndarray | None

    @functools.cached_property
    def cost(self) -> float:
        """What the maps cost, in hoisted rotations."""
        return sum(map(_cost, self.matrices.values()))


def _cost(matrix: SlotMatrix) -> float:
    count = len(matrix.distances)
    if count > _MOST_DIAGONALS:  # whose steps take long to find, and which are no one's choice
        return (1.0 + _PRODUCT_COST) * count
    babies, giants = key_switches_of(matrix.steps, matrix.folds)
    return babies + 2.0 * giants + _PRODUCT_COST * count


def placed(form: AffineForm, placement: Placement) -> PlacedForm:
    """The value in the slots of a placement."""
    positions, period = placement.positions, placement.period
    matrices = {}
    for node, matrix in form.terms.items():
        terms = matrix.tocoo()
        where = (positions[terms.row], terms.col)
        matrices[node] = SlotMatrix(csr_array((terms.data, where), shape=(period, shape_of(matrix)[1])))
    bias = None
    if form.bias.any():
        bias = np.zeros(period)
        bias[positions] = form.bias
    return PlacedForm(placement, {n: m for n, m in matrices.items() if m.matrix.nnz}, bias)


def cheapest(form: AffineForm) -> PlacedForm:
    """The value where its maps cost least.

    Raises:
        TooLargeError: more entries than slots.
    """
    found = [compact(form.size)]
    if form.anchor is not None:
        anchored = Placement(form.anchor, _period(int(form.anchor.max()) + 1))
        if anchored.period <= _MOST_SLOTS and not np.array_equal(anchored.positions, found[0].positions):
            found.append(anchored)
    return min((placed(form, placement) for placement in found), key=lambda one: one.cost)


def compact(size: int) -> Placement:
    """The placement of entries one after the other.

    Raises:
        TooLargeError: more entries than slots.
    """
    if size > _MOST_SLOTS:
        raise TooLargeError(
            f"an array of {size} numbers in one sample, and a ciphertext of this packing holds at most "
            f"{_MOST_SLOTS}; give smaller samples, or use packing='sample-per-slot'"
        )
    return Placement(np.arange(size), _period(size))


def argument_layouts(shape: tuple[int, ...]) -> list[Layout]:
    """The layouts in which an argument's sample may be encrypted, each of one period.

    With every axis padded to a power of two, the last of them (channels) or the first of them the most
    significant, so that a convolution finds neighbours at equal distances; and one entry after the other.
    """
    size = math.prod(shape)
    found = []
    if len(shape) >= 2:
        sizes = [2 ** max(0, n - 1).bit_length() for n in shape]
        axes = list(range(len(shape)))
        for order in (axes[-1:] + axes[:-1], axes):
            sizes_here = [sizes[axis] for axis in order]
            missing = max(1, _LEAST_PERIOD // math.prod(sizes_here))
            if math.prod(sizes_here) * missing <= _MOST_SLOTS:
                digits = [along(axis, n) for axis, n in zip(order, sizes_here, strict=True)]
                digits[0] = along(order[0], sizes_here[0] * missing)
                found.append(Layout(shape, tuple(digits)))
    return list(dict.fromkeys([*found, Layout((size,), (along(0, _period(size)),))]))


def placement_of(layout: Layout) -> Placement:
    """The slots of a layout of one ciphertext."""
    return Placement(first_positions(layout), layout.slot_count)


def _period(size: int) -> int:
    return max(_LEAST_PERIOD, 2 ** (size - 1).bit_length())
