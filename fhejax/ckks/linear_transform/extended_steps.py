"""The steps of a linear transform: rotations and sums of pairs, which stay in the extended basis Q P."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.linear_transform.double_hoisting import (
    decompose_at,
    divide_mask,
    lift,
    rotate_pair,
    streamed_sum,
    sum_of_products,
)
from fhejax.ckks.linear_transform.transform import LinearTransform
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import SwitchingKey
from fhejax.ring import permutation
from fhejax.ring.wide import kernel


@dataclasses.dataclass(frozen=True)
class BabySteps:
    """P times a ciphertext rotated by each of some distances.

    Attributes:
        places: the number of each distance among the pairs.
        pairs: uint32 [distance, ..., 2, limb of Q then P, N] in one array, or an array for each distance.
    """

    places: Mapping[int, int]
    pairs: jax.Array | Sequence[jax.Array]


@dataclasses.dataclass(frozen=True)
class Steps:
    """What the steps of transforms at one level share.

    keys: of rotations, by the exponent of the automorphism.
    """

    keys: Mapping[int, SwitchingKey]
    params: Parameters
    level: int

    def babies(self, data: jax.Array, transforms: Sequence[LinearTransform]) -> BabySteps:
        """The baby steps of transforms of one ciphertext, data [..., 2, limb, N], by one decomposition."""
        distances = sorted({baby for transform in transforms for baby in transform.babies})
        places = {distance: number for number, distance in enumerate(distances)}
        in_one = not all(transform.is_transformed for transform in transforms)
        lifted = lift(data, self.params, self.level)
        digits = None
        if any(distances):
            digits = decompose_at(data[..., 1, :, :], self.params, self.level)
        pairs = (
            lifted
            if digits is None or not d
            else rotate_pair(self._key(d), digits, lifted, self._positions(d))
            for d in distances
        )
        if not in_one:
            return BabySteps(places, list(pairs))
        stacked = jnp.zeros((len(distances), *lifted.shape), jnp.uint32)
        for number, pair in enumerate(pairs):  # into one array: they may take gigabytes
            stacked = _put_row(stacked, pair, np.int32(number))
        return BabySteps(places, stacked)

    def summed(
        self, babies: BabySteps, transform: LinearTransform, giant: int, total: jax.Array | None
    ) -> jax.Array:
        """`total` plus the products of the baby steps with the diagonals of one giant step: a pair."""
        numbers = [n for n, (g, _) in enumerate(transform.steps) if g == giant]
        start, stop = numbers[0], numbers[-1] + 1
        places = [babies.places[baby] for _, baby in transform.steps]
        if not transform.is_transformed:
            assert not isinstance(babies.pairs, Sequence)  # as `babies` makes them for such transforms
            return streamed_sum(babies.pairs, transform, np.array(places, np.int32), start, stop, total)
        members = tuple(babies.pairs[place] for place in places[start:stop])
        row = np.int32(start)
        return sum_of_products(members, transform.diagonals, row, self.params, self.level, total)

    def rotated(self, pair: jax.Array, distance: int, total: jax.Array | None = None) -> jax.Array:
        """A pair rotated, and `total` added: of its two components the second alone is divided by P."""
        digits = decompose_at(divide_mask(pair, self.params, self.level), self.params, self.level)
        return rotate_pair(self._key(distance), digits, pair, self._positions(distance), total)

    def _key(self, distance: int) -> SwitchingKey:
        return self.keys[rotation_exponent(self.params, distance)]

    def _positions(self, distance: int) -> jax.Array:
        return permutation(self.params.ring, rotation_exponent(self.params, distance))


@functools.partial(kernel, donate_argnums=0)
def _put_row(rows: jax.Array, row: jax.Array, number: np.int32) -> jax.Array:
    """The rows with one of them set; the memory of those that are given is used again."""
    return jax.lax.dynamic_update_index_in_dim(rows, row, number, 0)
