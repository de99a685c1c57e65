"""Values as affine functions of slots: what lies between two products is one matrix, and takes one level."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.nodes import Linear
from fhejax.program.packing.multiplexed.window_term import WindowTerm


@dataclasses.dataclass(frozen=True, eq=False)
class AffineForm:
    """The entries of a value, each the sum of plain multiples of slots of nodes, and a plain number.

    Attributes:
        terms: the number of a node -> float64 matrix [entry, position], ciphertext after ciphertext of it.
        bias: float64 [entry].
        anchor: int64 [entry], slots at which the entries would lie next to what they are made of; None where
            nothing is known.
        windows: more terms, as pairs of the number of a node and a convolution of its slots.
    """

    terms: Mapping[int, csr_array]
    bias: np.ndarray
    anchor: np.ndarray | None
    windows: tuple[tuple[int, WindowTerm], ...] = ()

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.bias)

    def as_slots(self) -> tuple[int, np.ndarray] | None:
        """The node and the slots of it that hold the entries as they are, but for the bias; or None."""
        if len(self.terms) != 1 or self.windows:
            return None
        ((node, matrix),) = self.terms.items()
        single = (np.diff(matrix.indptr) == 1).all() and (matrix.data == 1.0).all()
        return (node, matrix.indices.astype(np.int64)) if single else None

    def mapped(self, matrix: csr_array, anchor: np.ndarray | None) -> "AffineForm":
        """The form of a plain matrix [new entry, entry] times the entries, which has no windows."""
        assert not self.windows  # whose packer gives such forms slots of their own first
        terms = {node: _compact(matrix @ term) for node, term in self.terms.items()}
        return AffineForm(terms, matrix @ self.bias, anchor)

    def shifted(self, shift: np.ndarray | None) -> "AffineForm":
        """The form with plain numbers added."""
        return self if shift is None else dataclasses.replace(self, bias=self.bias + shift)


def slots_of(node: int, positions: np.ndarray, size: int) -> AffineForm:
    """The form of entries that lie in slots of a node, which has so many in all its ciphertexts."""
    ones, rows = np.ones(len(positions)), np.arange(len(positions))
    matrix = csr_array((ones, (rows, positions)), shape=(len(positions), size))
    return AffineForm({node: matrix}, np.zeros(len(positions)), positions)


def added(forms: Sequence[AffineForm], weights: Sequence[np.ndarray | None]) -> AffineForm:
    """The sum of forms, each entry times a plain number or, for None, as it is."""
    terms: dict[int, csr_array] = {}
    bias = np.zeros(forms[0].size)
    windows: list[tuple[int, WindowTerm]] = []
    for form, factor in zip(forms, weights, strict=True):
        windows += [(node, term.times_rows(factor)) for node, term in form.windows]
        for node, matrix in form.terms.items():
            part = matrix if factor is None else _rows_times(matrix, factor)
            terms[node] = _compact(terms[node] + part) if node in terms else _compact(part)
        bias = bias + (form.bias if factor is None else form.bias * factor)
    widest = max(forms, key=lambda form: (form.anchor is not None, nonzeros(form)))
    return AffineForm(terms, bias, widest.anchor, tuple(windows))


def joined(forms: Sequence[AffineForm]) -> AffineForm:
    """The entries of several forms, one after the other."""
    size = sum(form.size for form in forms)
    start, placed = 0, []
    for form in forms:
        rows = np.arange(start, start + form.size)
        placement = csr_array((np.ones(form.size), (rows, np.arange(form.size))), shape=(size, form.size))
        placed.append(form.mapped(placement, None))
        start += form.size
    return added(placed, [None] * len(placed))


def taken(form: AffineForm, entries: np.ndarray) -> AffineForm:
    """The entries that are named, in any order; -1 is zero."""
    rows = np.flatnonzero(entries >= 0)
    matrix = csr_array((np.ones(len(rows)), (rows, entries[rows])), shape=(len(entries), form.size))
    windows = tuple((node, term.taken(entries)) for node, term in form.windows)
    form = dataclasses.replace(form, windows=())
    whole = form.anchor is not None and len(rows) == len(entries)
    anchor = form.anchor[entries] if whole and form.anchor is not None else None
    found = form.mapped(matrix, anchor if anchor is not None and _is_distinct(anchor) else None)
    return dataclasses.replace(found, windows=windows)


def sums_of(rows: np.ndarray, size: int) -> csr_array:
    """The matrix [result, entry] that adds entry i to result rows[i]."""
    return csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(size, len(rows)))


def matrix_of(node: Linear, size: int) -> csr_array:
    """The matrix [result, entry] of a linear layer that reads so many entries, without its zeros."""
    groups, outputs, positions = node.weights.shape[0], node.weights.shape[1], node.entries.shape[2]
    shape = (groups, outputs, positions, node.weights.shape[2])
    columns = np.broadcast_to(node.entries.swapaxes(1, 2)[:, None], shape)
    values = np.broadcast_to(node.weights[:, :, None], shape)
    held = (columns >= 0) & (values != 0)
    ends = np.cumsum(held.sum(-1).ravel())  # rows are in order: no list of them has to be sorted
    terms = (values[held], columns[held], np.concatenate([[0], ends]))
    return _compact(csr_array(terms, shape=(groups * outputs * positions, size)))


def window_of(node: Linear, form: AffineForm) -> AffineForm | None:
    """The form of a linear layer of slots as they are, as windows; None of others, and of groups."""
    found = form.as_slots()
    if found is None or len(node.weights) != 1 or form.bias.any():
        return None
    source, slots = found
    columns = np.where(node.entries[0] >= 0, slots[np.maximum(node.entries[0], 0)], -1)
    term = WindowTerm(node.weights[0].astype(np.float64), columns, np.arange(node.size))
    return AffineForm({}, np.zeros(node.size), anchor_of(node, form.anchor), ((source, term),))


def anchor_of(node: Linear, anchor: np.ndarray | None) -> np.ndarray | None:
    """The slots next to which the results of a linear layer lie, int64 [result].

    A position of a convolution lies where one and the same tap reads it: that of stride 2 so leaves gaps,
    which are then filled by the outputs, and what of these has no room there lies beyond.

    Args:
        node: the layer.
        anchor: of the entries that it reads.
    """
    if anchor is None:
        return None
    outputs = node.weights.shape[1]
    whole = np.flatnonzero((node.entries >= 0).all((0, 2)))
    if not len(whole):
        return None
    base = anchor[node.entries[:, whole[len(whole) // 2]]]
    base -= base.min()
    if not _is_distinct(base.ravel()):
        return None
    offsets = _offsets(int(np.bitwise_or.reduce(base, axis=None)), outputs)
    return (base[:, None, :] + offsets[None, :, None]).ravel()


def _offsets(used: int, count: int) -> np.ndarray:
    """Distances for so many outputs that share no bit with the used ones, gaps between these first."""
    wanted = max(0, (count - 1).bit_length())
    free = (bit for bit in range(used.bit_length() + wanted) if not used >> bit & 1)
    places = [place for place, _ in zip(free, range(wanted), strict=False)]
    numbers = np.arange(count)
    return sum(((numbers >> i & 1) << place for i, place in enumerate(places)), np.zeros(count, np.int64))


def nonzeros(form: AffineForm) -> int:
    """The number of coefficients in all terms."""
    listed = sum(matrix.nnz for matrix in form.terms.values())
    return listed + sum(term.count for _, term in form.windows)


def _is_distinct(numbers: np.ndarray) -> bool:
    return len(np.unique(numbers)) == len(numbers)


def _rows_times(matrix: csr_array, factor: np.ndarray) -> csr_array:
    result = matrix.copy()
    result.data = result.data * np.repeat(factor, np.diff(matrix.indptr))
    return result


def _compact(matrix: csr_array) -> csr_array:
    matrix = csr_array(matrix)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
