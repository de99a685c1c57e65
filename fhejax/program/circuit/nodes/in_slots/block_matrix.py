"""Plain linear maps between values of several ciphertexts: a block of diagonals for each pair of them.

Position i of a value is slot i modulo its period of ciphertext i // period. All blocks take baby and giant
steps from one grid, so that what is rotated for one result serves them all.
"""

import abc
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from fhejax.ckks.linear_transform.rotation_plan import Costs, split_distances
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.nodes.in_slots.slot_matrix import encoded_diagonals, signed
from fhejax.program.circuit.values import Values

Block = tuple[int, int]  # the number of the result's ciphertext, and of the source's
Steps = tuple[tuple[int, int], ...]
BlockSteps = tuple[tuple[int, int, Steps], ...]  # of each block its two numbers, and its steps

_HOISTED, _WHOLE = 1.0, 2.0  # the costs of rotations, as of one ciphertext
_AT_ONCE = 2**21  # numbers that are rounded together
_MANY = 2**9  # distances, beyond which a few groupings are looked at


@dataclasses.dataclass(frozen=True, eq=False)
class BlockMatrix(abc.ABC):
    """A plain linear map between the slots of several ciphertexts and those of several others.

    Attributes:
        periods: of the result's ciphertexts and of the source's.
        counts: how many ciphertexts the result has, and the source.
    """

    periods: tuple[int, int]
    counts: tuple[int, int]

    is_made_of_windows: ClassVar[bool] = False  # what `constants` are

    @property
    @abc.abstractmethod
    def coefficients(self) -> np.ndarray:
        """The numbers that the map is made of, each at least once."""

    @functools.cached_property
    @abc.abstractmethod
    def distances(self) -> Mapping[Block, np.ndarray]:
        """The distances of each block's diagonals, in order, modulo the smaller period."""

    @abc.abstractmethod
    def vectors(self, block: Block, first: int, stop: int) -> np.ndarray:
        """Some of a block's diagonals, float32 [diagonal, slot of the longer period].

        Args:
            block: whose.
            first: the number of the first among the block's distances.
            stop: the number after the last.
        """

    @abc.abstractmethod
    def constants(self, slots: int) -> tuple[np.ndarray, ...]:
        """The leaves that a step of a ring of so many slots makes the diagonals of."""

    @abc.abstractmethod
    def interval(self, known: ValueInterval) -> ValueInterval:
        """The interval of the results: positive coefficients take the same ends, negative the opposite."""

    @abc.abstractmethod
    def times(self, values: Values) -> Values:
        """The results, float64 [position, column], of the values of the source."""

    @abc.abstractmethod
    def transposed_times(self, adjoint: Values) -> Values:
        """The gradient over the source, from that over the results."""

    @abc.abstractmethod
    def row_norms(self) -> np.ndarray:
        """The sum of squares of each result's coefficients, float64 [position]."""

    @property
    def largest(self) -> float:
        """The largest magnitude of a coefficient."""
        return float(np.abs(self.coefficients).max(initial=0.0))

    @property
    def length(self) -> int:
        """The longer period, which is that of the diagonals."""
        return max(self.periods)

    @property
    def folds(self) -> tuple[int, ...]:
        """The rotations by which sums of products are added to themselves, in order."""
        period, source = self.periods
        return tuple(period * 2**i for i in range(max(1, source // period).bit_length() - 1))

    @functools.cached_property
    def steps(self) -> Mapping[int, tuple[int, int]]:
        """The (giant, baby) of each distance, signed, by which all blocks together cost least."""
        every = np.unique(np.concatenate([np.zeros(0, np.int64), *self.distances.values()]))
        if len(every) == 0 or (len(every) == 1 and every[0] == 0):
            return {0: (0, 0)}
        shared, costs = min(self.periods), Costs(_HOISTED * self.counts[1], _WHOLE * self.counts[0])
        tried: list[int | None] = [None]
        if len(every) > _MANY:  # of which the cheapest grouping takes seconds to find
            middle = round(0.5 * math.log2(len(every) * costs.giant / costs.baby))
            tried = [2**bits for bits in range(max(0, middle - 1), middle + 3)]
        splits = [split_distances(every.tolist(), shared, costs, babies) for babies in tried]
        split = min(splits, key=lambda one: _cost(one, costs))
        return {d: (signed(giant, shared), signed(baby, shared)) for d, (giant, baby) in split.items()}

    @functools.cached_property
    def key_switches(self) -> tuple[int, int]:
        """How many hoisted key switches the map takes, and how many whole ones, folds among them."""
        babies = {(a, self.steps[d][1]) for (_, a), found in self.distances.items() for d in found.tolist()}
        giants = {(b, self.steps[d][0]) for (b, _), found in self.distances.items() for d in found.tolist()}
        folds = len(self.folds) * len({b for b, _ in self.distances})
        return sum(baby != 0 for _, baby in babies), sum(giant != 0 for _, giant in giants) + folds

    @property
    def products(self) -> int:
        """The number of diagonals of all blocks."""
        return sum(map(len, self.distances.values()))

    def ordered(self, block: Block, slots: int) -> tuple[np.ndarray, Steps]:
        """The order in which a step holds a block's diagonals, and their steps modulo the slots."""
        steps = [self.steps[d] for d in self.distances[block].tolist()]
        found = [(giant % slots, baby % slots) for giant, baby in steps]
        order = sorted(range(len(found)), key=found.__getitem__)
        return np.array(order), tuple(found[n] for n in order)

    def block_steps(self, slots: int) -> BlockSteps:
        """The steps of every block in a ring of so many slots."""
        if slots not in self._known_steps:
            found = tuple((b, a, self.ordered((b, a), slots)[1]) for b, a in self.distances)
            self._known_steps[slots] = found
        return self._known_steps[slots]

    def held_constants(self, slots: int) -> tuple[np.ndarray, ...]:
        """The leaves, the same arrays whenever they are asked for: a search lowers a circuit often."""
        if slots not in self._known_constants:
            self._known_constants[slots] = self.constants(slots)
        return self._known_constants[slots]

    @functools.cached_property
    def _known_steps(self) -> dict[int, BlockSteps]:
        return {}

    @functools.cached_property
    def _known_constants(self) -> dict[int, tuple[np.ndarray, ...]]:
        return {}

    def rounded_times(self, values: Values, factor: float) -> Values:
        """The results by diagonals as they are encoded at a scale: integers over it as coefficients."""
        (period, source), (results, _) = self.periods, self.counts
        total = np.zeros((results, self.length, values.shape[1]))
        for block, first, found in self._pieces():
            read = values[block[1] * source : (block[1] + 1) * source]
            vectors = encoded_diagonals(self.vectors(block, first, first + len(found)), factor)
            moved = np.tile(read, (self.length // source * 2, 1))
            for vector, distance in zip(vectors, found, strict=True):
                total[block[0]] += vector[:, None] * moved[distance : distance + self.length]
        return total.reshape(results, -1, period, values.shape[1]).sum(1).reshape(results * period, -1)

    def _pieces(self) -> Iterator[tuple[Block, int, np.ndarray]]:
        """A block, the number of a diagonal of it, and the signed distances of it and of some after it."""
        rows, source = max(1, _AT_ONCE // self.length), self.periods[1]
        for block, distances in self.distances.items():
            found = np.array([sum(self.steps[d]) % source for d in distances.tolist()])
            for first in range(0, len(found), rows):
                yield block, first, found[first : first + rows]

    @functools.cached_property
    def deviations(self) -> tuple[float, float]:
        """The noise in the result for noise of deviation one in each hoisted rotation, and in the sum.

        The root mean square over the slots that hold anything. That few diagonals are read without a rotation
        makes no difference here.
        """
        norms = self.row_norms()
        held = norms > 0
        times = self.length // self.periods[0]
        hoisted = self.key_switches[0] > 0
        giants = self.key_switches[1] / max(1, len({b for b, _ in self.distances})) - len(self.folds)
        deviation = math.sqrt(norms[held].mean()) if hoisted and held.any() else 0.0
        return deviation, math.sqrt(giants * times + times - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class SparseBlocks(BlockMatrix):
    """A map whose coefficients are listed one by one.

    Attributes:
        matrix: float64 [position of the result, position of the source].
    """

    matrix: csr_array

    @property
    def coefficients(self) -> np.ndarray:
        """The coefficients that are not zero."""
        return self.matrix.data

    @functools.cached_property
    def distances(self) -> Mapping[Block, np.ndarray]:
        """The distances at which there is a coefficient."""
        keys = np.unique(self._keys)
        return {
            divmod(int(pair), self.counts[1]): found
            for pair, found in _grouped(keys // min(self.periods), keys % min(self.periods))
        }

    @functools.cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """The row and the column of each coefficient."""
        terms = self.matrix.tocoo()
        return np.asarray(terms.row, np.int64), np.asarray(terms.col, np.int64)

    @functools.cached_property
    def _keys(self) -> np.ndarray:
        """The block and the distance of each coefficient, as one number."""
        (rows, columns), (period, source), shared = self._places, self.periods, min(self.periods)
        blocks = rows // period * self.counts[1] + columns // source
        return blocks * shared + (columns % source - rows % period) % shared

    @functools.cached_property
    def _by_key(self) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients in the order of their keys, and the keys in this order."""
        order = np.argsort(self._keys, kind="stable")
        return order, self._keys[order]

    def vectors(self, block: Block, first: int, stop: int) -> np.ndarray:
        """The diagonals of a block from one number to another."""
        (period, source), shared = self.periods, min(self.periods)
        found = self.distances[block][first:stop]
        order, keys = self._by_key
        base = (block[0] * self.counts[1] + block[1]) * shared
        start, end = np.searchsorted(keys, [base + found[0], base + found[-1] + 1])
        chosen = order[start:end]
        number = np.searchsorted(found, keys[start:end] - base)
        rows, columns = self._places[0][chosen] % period, self._places[1][chosen] % source
        moved = np.array([sum(self.steps[d]) for d in found.tolist()])
        places = rows if period >= source else (columns - moved[number]) % source
        vectors = np.zeros((len(found), self.length), np.float32)
        vectors[number, places] = self.matrix.data[chosen]
        return vectors

    def constants(self, slots: int) -> tuple[np.ndarray, ...]:
        """The diagonals of all blocks, each rotated back by its giant step: float32 [diagonal, slot]."""
        rows = []
        for block, distances in self.distances.items():
            order, steps = self.ordered(block, slots)
            vectors = self.vectors(block, 0, len(distances))
            rows += [np.roll(vectors[n], giant) for n, (giant, _) in zip(order.tolist(), steps, strict=True)]
        return (np.stack(rows),)

    def interval(self, known: ValueInterval) -> ValueInterval:
        """The interval by the positive and the negative coefficients."""
        positive, negative = self.matrix.copy(), self.matrix.copy()
        positive.data, negative.data = np.maximum(positive.data, 0), np.minimum(negative.data, 0)
        low, high = known
        return positive @ low + negative @ high, positive @ high + negative @ low

    def times(self, values: Values) -> Values:
        """The product with the matrix."""
        return np.asarray(self.matrix @ values)

    def transposed_times(self, adjoint: Values) -> Values:
        """The product with the transposed matrix."""
        return np.asarray(self.matrix.T @ adjoint)

    def row_norms(self) -> np.ndarray:
        """The sums by rows."""
        return np.asarray(self.matrix.multiply(self.matrix).sum(1)).ravel()


def _cost(split: Mapping[int, tuple[int, int]], costs: Costs) -> float:
    """The cost of the baby and giant steps of a split."""
    giants, babies = (len({step[part] for step in split.values()} - {0}) for part in (0, 1))
    return costs.baby * babies + costs.giant * giants


def _grouped(names: np.ndarray, values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The values of each name, where equal names follow each other."""
    if len(names):
        starts = np.flatnonzero(np.diff(names)) + 1
        yield from zip(names[np.r_[0, starts]].tolist(), np.split(values, starts), strict=True)
