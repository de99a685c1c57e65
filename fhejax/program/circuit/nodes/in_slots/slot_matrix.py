"""Plain linear maps from the slots of one ciphertext to those of another, by their diagonals.

Slots repeat themselves with a period, a power of two, in every ring that has at least as many: what is said
here is true of all of them. A map counts distances modulo the smaller of the two periods. Where the result's
is the larger, it reads copies of the source. Where it is the smaller, products lie in the source's period,
and are folded: added to themselves, rotated by the result's period, by twice that, and so on. A result of few
numbers so takes few diagonals.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

from fhejax.ckks.encoding.canonical_embedding import coefficients_to_slots, slots_to_coefficients
from fhejax.ckks.linear_transform.rotation_plan import Costs, split_distances
from fhejax.program.circuit.values import Values
from fhejax.ring import Ring
from fhejax.ring.wide import kernel, wide

# Of a hoisted rotation and of a whole one: keys of both kinds weigh the same, so that babies are not worth
# many more of them. They are the same on all machines, for from them follow a client's keys.
_COSTS = Costs(baby=1.0, giant=2.0)
_AT_ONCE = 2**21  # numbers that are rounded together


@dataclasses.dataclass(frozen=True, eq=False)
class Diagonals:
    """The diagonals of a map.

    Attributes:
        steps: (giant, baby) of each, signed; the distance is their sum.
        vectors: float32 [diagonal, length], of the longer period: entry j is what slot j of the sum of
            products takes of slot j + distance of the source.
        folds: the rotations by which that sum is added to itself, in order.
        period: of the result.
        source_period: of the source.
    """

    steps: tuple[tuple[int, int], ...]
    vectors: np.ndarray
    folds: tuple[int, ...]
    period: int
    source_period: int

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances of all rotations."""
        found = {part for step in self.steps for part in step} | set(self.folds)
        return tuple(sorted(found - {0}))

    @property
    def key_switches(self) -> tuple[int, int]:
        """How many hoisted ones there are, and how many whole ones, folds among them."""
        return key_switches_of(self.steps, self.folds)

    @functools.cached_property
    def deviations(self) -> tuple[float, float]:
        """The noise in the result for noise of deviation one in each hoisted rotation, and in the sum.

        The root mean square over the slots that hold anything.
        """
        squares = self.vectors.astype(np.float64) ** 2
        hoisted = np.array([bool(baby) for _, baby in self.steps])
        rows = [self._folded(part.sum(0)[:, None])[:, 0] for part in (squares, squares[hoisted])]
        held = rows[0] > 0
        giants = len({giant for giant, _ in self.steps} - {0})
        times = self.vectors.shape[1] // self.period
        return math.sqrt(rows[1][held].mean()), math.sqrt(giants * times + times - 1)

    def moved(self, slots: int) -> np.ndarray:
        """The diagonals, each rotated back by its giant step, in the order of steps modulo the slots.

        They are the same array whenever they are asked for, since a search lowers a circuit often.
        """
        if slots not in self._known_moved:
            steps = self.steps
            order = sorted(range(len(steps)), key=lambda n: tuple(part % slots for part in steps[n]))
            rows = np.stack([np.roll(self.vectors[n], steps[n][0]) for n in order])
            self._known_moved[slots] = rows
        return self._known_moved[slots]

    @functools.cached_property
    def _known_moved(self) -> dict[int, np.ndarray]:
        return {}

    def as_matrix(self, vectors: np.ndarray) -> csr_array:
        """The map [slot of the result's period, of the source's] of such diagonals, sums of copies made."""
        slots = np.arange(vectors.shape[1])
        distances = np.array([giant + baby for giant, baby in self.steps])
        columns = (slots + distances[:, None]) % self.source_period
        rows = np.broadcast_to(slots % self.period, columns.shape)
        places = (rows.ravel(), columns.ravel())
        return csr_array((vectors.ravel(), places), shape=(self.period, self.source_period))

    def _folded(self, values: Values) -> Values:
        return values.reshape(-1, self.period, values.shape[1]).sum(0)


@functools.lru_cache(maxsize=64)
def _rounded(matrix: "SlotMatrix", factor: float) -> csr_array:
    diagonals = matrix.diagonals
    vectors = diagonals.vectors
    rows = max(1, _AT_ONCE // vectors.shape[1])
    parts = [vectors[start : start + rows] for start in range(0, len(vectors), rows)]
    return diagonals.as_matrix(np.concatenate([encoded_diagonals(part, factor) for part in parts]))


def encoded_diagonals(vectors: np.ndarray, factor: float) -> np.ndarray:
    """Diagonals as they are encoded at a scale, float32 [diagonal, slot of one period]."""
    with jax.enable_x64(True):
        ring = Ring(vectors.shape[1], conjugate_invariant=True)
        return np.asarray(_encoded(vectors, jnp.asarray(factor), ring))


@functools.partial(kernel, static_argnames="ring")
@wide
def _encoded(vectors: np.ndarray, factor: jax.Array, ring: Ring) -> jax.Array:
    coefficients = jnp.round(slots_to_coefficients(jnp.asarray(vectors, jnp.float64), ring) * factor)
    return coefficients_to_slots(coefficients / factor, ring).astype(jnp.float32)


def key_switches_of(steps: Iterable[tuple[int, int]], folds: tuple[int, ...]) -> tuple[int, int]:
    """How many hoisted key switches some steps and folds take, and how many whole ones."""
    giants, babies = ({step[part] for step in steps} - {0} for part in (0, 1))
    return len(babies), len(giants) + len(folds)


def shape_of(matrix: csr_array) -> tuple[int, int]:
    """The rows and columns of a sparse matrix."""
    return cast("tuple[int, int]", matrix.shape)  # which SciPy's annotations do not tell


@dataclasses.dataclass(frozen=True, eq=False)
class SlotMatrix:
    """A plain linear map between slots.

    Attributes:
        matrix: float64 [period of the result, period of the source].
    """

    matrix: csr_array

    @property
    def periods(self) -> tuple[int, int]:
        """The periods of the result and of the source."""
        return shape_of(self.matrix)

    @property
    def largest(self) -> float:
        """The largest magnitude of a coefficient."""
        return float(np.abs(self.matrix.data).max(initial=0.0))

    @property
    def signs(self) -> tuple[csr_array, csr_array]:
        """The positive coefficients, and the negative ones."""
        positive, negative = self.matrix.copy(), self.matrix.copy()
        positive.data, negative.data = np.maximum(positive.data, 0), np.minimum(negative.data, 0)
        return positive, negative

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The row and the column of each coefficient."""
        terms = self.matrix.tocoo()
        return np.asarray(terms.row, np.int64), np.asarray(terms.col, np.int64)

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """The distances modulo the smaller period, in order: one for each diagonal."""
        shared = min(self.periods)
        rows, columns = self.places
        held = np.zeros(shared, bool)
        held[(columns - rows) % shared] = True
        return np.flatnonzero(held)

    @functools.cached_property
    def steps(self) -> tuple[tuple[int, int], ...]:
        """The (giant, baby) of each distance, signed, by which the diagonals cost least."""
        classes = tuple(self.distances.tolist())
        return ((0, 0),) if classes == (0,) else distance_steps(classes, min(self.periods))

    @property
    def folds(self) -> tuple[int, ...]:
        """The rotations by which the sum of products is added to itself, in order."""
        period, source = self.periods
        return tuple(period * 2**i for i in range((max(1, source // period)).bit_length() - 1))

    @functools.cached_property
    def diagonals(self) -> Diagonals:
        """The diagonals, with the steps by which they cost least."""
        period, source = self.periods
        shared, steps = min(period, source), self.steps
        rows, columns = self.places
        number = np.searchsorted(self.distances, (columns - rows) % shared)
        distances = np.array([giant + baby for giant, baby in steps])
        places = rows if period >= source else (columns - distances[number]) % source
        vectors = np.zeros((len(steps), max(period, source)), np.float32)
        vectors[number, places] = self.matrix.data
        order = sorted(range(len(steps)), key=lambda place: steps[place])
        ordered = tuple(steps[place] for place in order)
        return Diagonals(ordered, vectors[order], self.folds, period, source)

    def rounded(self, factor: float) -> csr_array:
        """The map as its diagonals are encoded at a scale: their coefficients are integers over it.

        A vector that repeats itself has the coefficients that it has in the ring of its period, at multiples.
        """
        return _rounded(self, factor)


@functools.lru_cache(maxsize=64)
def distance_steps(classes: tuple[int, ...], period: int) -> tuple[tuple[int, int], ...]:
    """The (giant, baby) of each class of distances modulo the period, signed."""
    split = split_distances(classes, period, _COSTS)
    return tuple((signed(split[c][0], period), signed(split[c][1], period)) for c in classes)


def signed(distance: int, period: int) -> int:
    """The number equal to a distance modulo the period that is nearest to zero."""
    return distance - period if 2 * distance > period else distance
