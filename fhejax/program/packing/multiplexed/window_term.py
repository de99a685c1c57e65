"""Convolutions as terms of affine forms: weights and windows in place of a list of coefficients."""

import dataclasses

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.nodes.in_slots.window_blocks import WindowBlocks


@dataclasses.dataclass(frozen=True, eq=False)
class WindowTerm:
    """A term of entries: entry e takes the sum over k of weights[o, k] x[columns[k, p]].

    Here o is the output and p the image position of number order[e], position after position of each output.

    Attributes:
        weights: float64 [o, k].
        columns: int64 [k, p], positions of a node; -1 is none.
        order: int64 [entry], each o and p at most once; -1 where an entry takes nothing.
    """

    weights: np.ndarray
    columns: np.ndarray
    order: np.ndarray

    @property
    def count(self) -> int:
        """The number of coefficients."""
        return int((self.columns >= 0).sum()) * len(self.weights)

    def taken(self, entries: np.ndarray) -> "WindowTerm":
        """The term of entries in another order; -1 is zero."""
        order = np.where(entries >= 0, self.order[np.maximum(entries, 0)], -1)
        return dataclasses.replace(self, order=order)

    def times_rows(self, factor: np.ndarray | None) -> "WindowTerm":
        """The term with each entry multiplied by a number, which is one for all positions of an output.

        Raises:
            ValueError: where it is not.
        """
        if factor is None:
            return self
        outputs, positions = len(self.weights), self.columns.shape[1]
        held = self.order >= 0
        factors = np.zeros((outputs, positions))
        factors.reshape(-1)[self.order[held]] = factor[held]
        largest = factors.reshape(outputs, -1)[np.arange(outputs), np.abs(factors).argmax(1)]
        if (
            not np.isin(factors[factors != 0], largest).all()
            or (factors != largest[:, None])[factors != 0].any()
        ):
            raise ValueError(
                "the results of a large convolution are multiplied by numbers that differ from one image "
                "position to the next, and packing='multiplexed' holds one number for each channel of what "
                "has so many weights; multiply before the convolution, or by one number for each channel"
            )
        return dataclasses.replace(self, weights=self.weights * largest[:, None])

    def placed(
        self, positions: np.ndarray, periods: tuple[int, int], counts: tuple[int, int]
    ) -> WindowBlocks | None:
        """The map to the slots in which the entries lie; None where outputs and places cannot be told apart.

        Args:
            positions: int64 [entry].
            periods: of the result and of the source.
            counts: of ciphertexts of both.
        """
        outputs, places = len(self.weights), self.columns.shape[1]
        if periods[0] < periods[1] or len(self.order) != outputs * places or (self.order < 0).any():
            return None
        grid = np.empty(outputs * places, np.int64)
        grid[self.order] = positions
        grid = grid.reshape(outputs, places)
        first, own = grid[0], grid[:, 0] - grid[0, 0]
        apart = not (np.bitwise_or.reduce(first) & np.bitwise_or.reduce(own)) and (own >= 0).all()
        if not apart or not np.array_equal(grid, own[:, None] + first):
            return None
        return WindowBlocks(periods, counts, self.weights, self.columns, own, first)

    def as_matrix(self, size: int) -> csr_array:
        """The coefficients one by one, float64 [entry, position of a source of so many]."""
        outputs, positions = len(self.weights), self.columns.shape[1]
        shape = (outputs, len(self.columns), positions)
        entry = np.full(outputs * positions, -1)
        entry[self.order[self.order >= 0]] = np.flatnonzero(self.order >= 0)
        rows = np.broadcast_to(entry.reshape(outputs, 1, positions), shape)
        columns = np.broadcast_to(self.columns, shape)
        values = np.broadcast_to(self.weights[..., None], shape)
        held = (columns >= 0) & (rows >= 0) & (values != 0)
        places = (rows[held], columns[held])
        return csr_array((values[held], places), shape=(len(self.order), size))
