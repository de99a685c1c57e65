"""Plain linear maps between planes: scalar weights between ciphertexts, taps at distances within them.

Position i of a value is slot i modulo the period of ciphertext i // period, as between other ciphertexts of
which each holds a part of a value. Here what a result takes of a ciphertext at a distance is one number for
all slots, but for a mask that all pairs of ciphertexts share: a convolution of images of one channel each.
"""

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.nodes.in_slots.slot_matrix import encoded_diagonals
from fhejax.program.circuit.values import Values, rounded_weights


@dataclasses.dataclass(frozen=True, eq=False)
class PlaneMap:
    """The map out[o, q] = sum over t and i of weights[t, o, i] masks[t, q] x[i, q + distances[t]].

    Beyond the end of a plane lies that of the next sample, in the next column of the values.

    Attributes:
        period: of all ciphertexts.
        distances: of each tap, signed; one may be there with several masks.
        weights: float64 [tap, result, source].
        masks: float64 [tap, slot of one period], or None for ones.
    """

    period: int
    distances: tuple[int, ...]
    weights: np.ndarray
    masks: np.ndarray | None

    @property
    def counts(self) -> tuple[int, int]:
        """The ciphertexts of the result and of the source."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def largest(self) -> float:
        """The largest magnitude of a weight."""
        return float(np.abs(self.weights).max(initial=0.0))

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances of all rotations, each once."""
        return tuple(sorted(set(self.distances) - {0}))

    @property
    def hoisted(self) -> int:
        """How many hoisted key switches the map takes."""
        return sum(distance != 0 for distance in self.distances) * self.counts[1]

    def times(self, values: Values) -> Values:
        """The results, float64 [position, column]."""
        return self._times(self.weights, self.masks, values)

    def rounded_times(self, values: Values, mask_scale: float, weight_scale: float) -> Values:
        """The results by weights as integers over a scale, and by masks as they are encoded at another."""
        masks = None if self.masks is None else encoded_diagonals(self.masks.astype(np.float32), mask_scale)
        return self._times(rounded_weights(self.weights, weight_scale), masks, values)

    def _times(self, weights: np.ndarray, masks: np.ndarray | None, values: Values) -> Values:
        results, sources = self.counts
        planes = values.reshape(sources, self.period, -1)
        total = np.zeros((results, self.period * planes.shape[2]))
        for tap, distance in enumerate(self.distances):
            total += weights[tap] @ self._tap(planes, tap, distance, masks).reshape(sources, -1)
        return total.reshape(results * self.period, -1)

    def _tap(self, planes: np.ndarray, tap: int, distance: int, masks: np.ndarray | None) -> np.ndarray:
        """The planes [source, slot, column] as a tap reads them."""
        rotated = rotated_planes(planes, distance)
        return rotated if masks is None else rotated * masks[tap][:, None]

    def transposed_times(self, adjoint: Values) -> Values:
        """The gradient over the source, from that over the results."""
        results, sources = self.counts
        planes = adjoint.reshape(results, self.period, -1)
        total = np.zeros((sources, *planes.shape[1:]))
        for tap, distance in enumerate(self.distances):
            masked = planes if self.masks is None else planes * self.masks[tap][:, None]
            back = (self.weights[tap].T @ masked.reshape(results, -1)).reshape(total.shape)
            total += rotated_planes(back, -distance)
        return total.reshape(sources * self.period, -1)

    def interval(self, known: ValueInterval) -> ValueInterval:
        """The interval of the results: positive coefficients take the same ends, negative the opposite."""
        middle, radius = (known[0] + known[1]) / 2, (known[1] - known[0]) / 2
        spread = dataclasses.replace(
            self, weights=np.abs(self.weights), masks=None if self.masks is None else np.abs(self.masks)
        )
        centre, width = self.times(middle[:, None])[:, 0], spread.times(radius[:, None])[:, 0]
        return centre - width, centre + width

    @functools.cached_property
    def deviation(self) -> float:
        """The noise in the result for noise of deviation one in each hoisted rotation.

        The root mean square over the slots.
        """
        rotated = np.array([distance != 0 for distance in self.distances])
        squares = self._squares[rotated].sum((0, 2)).mean()
        return math.sqrt(squares)

    @functools.cached_property
    def _squares(self) -> np.ndarray:
        """The squares of weights times the mean square of their masks, [tap, result, source]."""
        shares = 1.0 if self.masks is None else np.mean(self.masks**2, 1)[:, None, None]
        return self.weights**2 * shares

    def rounding_variances(self, values: Values) -> tuple[float, float]:
        """The variance in a result for errors of variance one in each weight, and in each slot of a mask.

        All channels share a mask, and so its errors.

        Args:
            values: of the source, the same array in all calls.
        """
        if self._known.get("values") is not values:
            planes = values.reshape(self.counts[1], -1)
            squares = np.mean(planes**2, 1)
            shares = np.ones(len(self.distances)) if self.masks is None else np.mean(self.masks**2, 1)
            of_weights = float(np.einsum("toi,i,t->o", self.weights != 0, squares, shares).mean())
            moments = planes @ planes.T / planes.shape[1]
            of_masks = float(np.einsum("toi,ij,toj->o", self.weights, moments, self.weights).mean())
            self._known.update(values=values, variances=(of_weights, of_masks))
        return self._known["variances"]

    @functools.cached_property
    def _known(self) -> dict[str, Any]:
        """The values that variances were last asked for, and the variances."""
        return {}


def rotated_planes(planes: np.ndarray, distance: int) -> np.ndarray:
    """The planes [source, slot, column] rotated to the left by less than a plane, column after column."""
    if not distance:
        return planes
    rotated = np.roll(planes, -distance, 1)
    beyond = slice(-distance, None) if distance > 0 else slice(None, -distance)
    rotated[:, beyond] = np.roll(rotated[:, beyond], -1 if distance > 0 else 1, 2)
    return rotated
