"""Convolutions between values of several ciphertexts, by their weights and the windows that they move over.

Listed one by one, the coefficients of a layer of ImageNet's size take gigabytes. Here they are the weights,
and for each place in a window the source's positions that it reads. Where the results of one image position
lie at the same distances from each other everywhere, a diagonal is a weight for each output times a mask.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval, taken_interval
from fhejax.program.circuit.nodes.in_slots.block_matrix import Block, BlockMatrix
from fhejax.program.circuit.values import Values, taken


class _Classes(NamedTuple):
    """The runs of image positions at which one place in the window is equally far from the result.

    place: int64 [class], in the window. source: the ciphertext that is read. result: what is added to the
    number of the output's ciphertext. distance: modulo the smaller period, before the output's. of: int64
    [place, image position], the class, or -1.
    """

    place: np.ndarray
    source: np.ndarray
    result: np.ndarray
    distance: np.ndarray
    of: np.ndarray


class _Terms(NamedTuple):
    """The diagonals of all blocks, in order.

    keys: int64 [diagonal], its block and its distance as one number. weights: float32 [diagonal, layer,
    output]. masks: int32 of the same shape, the number of each one's mask.
    """

    keys: np.ndarray
    weights: np.ndarray
    masks: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class WindowBlocks(BlockMatrix):
    """A map that is a convolution.

    out[outputs[o] + places[p]] = sum over places k in the window of weights[o, k] x[columns[k, p]].

    The result's period is the source's or a longer one.

    Attributes:
        weights: float64 [o, k].
        columns: int64 [k, p], positions of the source; -1 is none.
        outputs: int64 [o], where each output lies after the first one.
        places: int64 [p], where the first output lies; no bit is set in both of these.
    """

    is_made_of_windows: ClassVar[bool] = True

    weights: np.ndarray
    columns: np.ndarray
    outputs: np.ndarray
    places: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        """The weights."""
        return self.weights

    @functools.cached_property
    def distances(self) -> Mapping[Block, np.ndarray]:
        """The distances at which there is a weight."""
        shared = min(self.periods)
        pairs, found = np.divmod(self._terms.keys, shared)
        starts = np.flatnonzero(np.diff(pairs)) + 1
        blocks = pairs[np.r_[0, starts]].tolist() if len(pairs) else []
        return {
            divmod(int(pair), self.counts[1]): part
            for pair, part in zip(blocks, np.split(found, starts), strict=len(blocks) > 0)
        }

    @functools.cached_property
    def _classes(self) -> _Classes:
        (period, source), shared = self.periods, min(self.periods)
        held = self.columns >= 0
        place, position = np.nonzero(held)
        column, row = self.columns[held], self.places[position]
        distance = (column % source - row % period) % shared
        parts = (place, column // source, row // period, distance)
        sizes = (len(self.columns), self.counts[1], self.counts[0], shared)
        names, numbers = np.unique(np.ravel_multi_index(parts, sizes), return_inverse=True)
        of = np.full(self.columns.shape, -1)
        of[held] = numbers
        place, source_of, result, distance = np.unravel_index(names, sizes)
        return _Classes(place, source_of, result, distance, of)

    @functools.cached_property
    def _terms(self) -> _Terms:
        classes, shared = self._classes, min(self.periods)
        own, slot = np.divmod(self.outputs[:, None], self.periods[0])
        result = own + classes.result
        key = (result * self.counts[1] + classes.source) * shared + (classes.distance - slot) % shared
        output, number = np.nonzero(self.weights[:, classes.place])
        keys, term = np.unique(key[output, number], return_inverse=True)
        order = np.argsort(term * len(self.outputs) + output, kind="stable")
        output, number, term = output[order], number[order], term[order]
        layer = _ranks(term * len(self.outputs) + output)
        shape = (len(keys), int(layer.max(initial=0)) + 1, len(self.outputs))
        weights, masks = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        weights[term, layer, output] = self.weights[output, classes.place[number]]
        masks[term, layer, output] = self._mask_numbers[number]
        return _Terms(keys, weights, masks)

    @functools.cached_property
    def _distinct_masks(self) -> tuple[np.ndarray, np.ndarray]:
        """The masks that there are, bool [mask, image position], and the number of each class's."""
        classes = self._classes
        packed = np.zeros((len(classes.place), -(-len(self.places) // 8)), np.uint8)
        for place, of in enumerate(classes.of):
            first, stop = np.searchsorted(classes.place, [place, place + 1])
            packed[first:stop] = np.packbits(of == np.arange(first, stop)[:, None], axis=1)
        found, numbers = np.unique(packed, axis=0, return_inverse=True)
        return np.unpackbits(found, axis=1, count=len(self.places)).astype(bool), numbers.ravel()

    @property
    def _mask_numbers(self) -> np.ndarray:
        return self._distinct_masks[1]

    @functools.cached_property
    def _labels(self) -> np.ndarray:
        """The output and the image position in each slot of the result, int32 [ciphertext, 2, slot]."""
        labels = np.full((self.counts[0] * self.periods[0], 2), -1, np.int32)
        rows = self._rows
        labels[rows, 0] = np.arange(len(self.outputs))[:, None]
        labels[rows, 1] = np.arange(len(self.places))
        return np.moveaxis(labels.reshape(self.counts[0], self.periods[0], 2), 2, 1).copy()

    @property
    def _rows(self) -> np.ndarray:
        """The positions of the results, int64 [output, image position]."""
        return self.outputs[:, None] + self.places

    def vectors(self, block: Block, first: int, stop: int) -> np.ndarray:
        """The diagonals of a block from one number to another."""
        start = int(np.searchsorted(self._terms.keys, self._base(block)))
        rows = slice(start + first, start + stop)
        outputs, places = self._labels[block[0]]
        masks = self._distinct_masks[0]
        vectors = np.zeros((stop - first, self.periods[0]), np.float32)
        held = np.flatnonzero(outputs >= 0)
        weights, numbers = self._terms.weights[rows], self._terms.masks[rows]
        for layer in range(weights.shape[1]):
            kept = masks[numbers[:, layer][:, outputs[held]], places[held]]
            vectors[:, held] += weights[:, layer][:, outputs[held]] * kept
        return vectors

    def _base(self, block: Block) -> int:
        return (block[0] * self.counts[1] + block[1]) * min(self.periods)

    def constants(self, slots: int) -> tuple[np.ndarray, ...]:
        """The four arrays of `window_vectors`, the diagonals of each block in the order of its steps."""
        order, start = [], 0
        for block, found in self.distances.items():
            order.append(start + self.ordered(block, slots)[0])
            start += len(found)
        rows = np.concatenate(order)
        masks = self._distinct_masks[0].astype(np.float32)
        return self._terms.weights[rows], self._terms.masks[rows], masks, self._labels

    def interval(self, known: ValueInterval) -> ValueInterval:
        """The interval by the positive and the negative weights."""
        low, high = taken_interval(known, self.columns)
        positive, negative = np.maximum(self.weights, 0), np.minimum(self.weights, 0)
        bottom, top = positive @ low + negative @ high, positive @ high + negative @ low
        return self._placed(bottom[..., None])[:, 0], self._placed(top[..., None])[:, 0]

    def times(self, values: Values) -> Values:
        """The product of the weights with what the windows hold."""
        return self._placed(np.tensordot(self.weights, taken(values, self.columns), 1))

    def transposed_times(self, adjoint: Values) -> Values:
        """The products with the transposed weights, added up where windows overlap."""
        parts = np.tensordot(self.weights.T, adjoint[self._rows], 1)
        held, size = self.columns >= 0, self.counts[1] * self.periods[1]
        columns = self.columns[held]
        sums = [np.bincount(columns, part[held], size) for part in np.moveaxis(parts, 2, 0)]
        return np.stack(sums, 1)

    def row_norms(self) -> np.ndarray:
        """The sums over the places of each window."""
        norms = self.weights**2 @ (self.columns >= 0).astype(np.float64)
        return self._placed(norms[..., None])[:, 0]

    def _placed(self, results: np.ndarray) -> Values:
        """The results [output, image position, column] where they lie, zero elsewhere."""
        total = np.zeros((self.counts[0] * self.periods[0], results.shape[2]))
        total[self._rows] = results
        return total


def _ranks(names: np.ndarray) -> np.ndarray:
    """How many equal names come before each, where equal ones follow each other."""
    if not len(names):
        return np.zeros(0, np.int64)
    starts = np.r_[0, np.flatnonzero(np.diff(names)) + 1]
    return np.arange(len(names)) - np.repeat(starts, np.diff(np.r_[starts, len(names)]))
