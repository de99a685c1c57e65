"""The steps of a linear transform: rotations and sums of pairs, which stay in the extended basis Q P."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.keys import shared_levels
from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.keys.switching import divide_by_special, extended_moduli
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

    keys: of rotations, by the exponent of the automorphism. shared: the level whose kernels the steps take,
    and whose limbs their pairs then have; None without sharing.
    """

    keys: Mapping[int, SwitchingKey]
    params: Parameters
    level: int
    shared: int | None = None

    @property
    def working(self) -> int:
        """The level of the pairs."""
        return self.level if self.shared is None else self.shared

    def divided(self, pair: jax.Array, target: int) -> jax.Array:
        """A pair divided by P, and by the primes between the level and a target: [..., 2, limb, N]."""
        if self.shared is None:
            return divide_by_special(pair, self.params, self.level, target)
        return shared_levels.divided(pair, self.params, self.level, self.shared, target)

    def babies(self, data: jax.Array, transforms: Sequence[LinearTransform]) -> BabySteps:
        """The baby steps of transforms of one ciphertext, data [..., 2, limb, N], by one decomposition."""
        distances = sorted({baby for transform in transforms for baby in transform.babies})
        places = {distance: number for number, distance in enumerate(distances)}
        in_one = not all(transform.is_transformed for transform in transforms)
        pairs = self.automorphisms(data, [rotation_exponent(self.params, d) if d else 1 for d in distances])
        if not in_one:
            return BabySteps(places, list(pairs))
        limbs = len(extended_moduli(self.params, self.working))
        stacked = jnp.zeros((len(distances), *data.shape[:-2], limbs, data.shape[-1]), jnp.uint32)
        for number, pair in enumerate(pairs):  # into one array: they may take gigabytes
            stacked = _put_row(stacked, pair, np.int32(number))
        return BabySteps(places, stacked)

    def automorphisms(self, data: jax.Array, exponents: Sequence[int]) -> Iterator[jax.Array]:
        """Pairs of a ciphertext, data [..., 2, limb, N], under each X -> X^exponent, by one decomposition."""
        if self.shared is not None:
            data = shared_levels.raised(data, self.params, self.shared)
        lifted = lift(data, self.params, self.working)
        digits = None
        if any(exponent != 1 for exponent in exponents):
            digits = decompose_at(data[..., 1, :, :], self.params, self.level, self.shared)
        for exponent in exponents:
            if digits is None or exponent == 1:
                yield lifted
            else:
                positions = permutation(self.params.ring, exponent)
                yield rotate_pair(self.keys[exponent], digits, lifted, positions)

    def summed(
        self, babies: BabySteps, transform: LinearTransform, giant: int, total: jax.Array | None
    ) -> jax.Array:
        """`total` plus the products of the baby steps with the diagonals of one giant step: a pair."""
        numbers = [n for n, (g, _) in enumerate(transform.steps) if g == giant]
        start, stop = numbers[0], numbers[-1] + 1
        places = [babies.places[baby] for _, baby in transform.steps]
        if not transform.is_transformed:
            assert not isinstance(babies.pairs, Sequence)  # as `babies` makes them for such transforms
            rows = np.array(places, np.int32)
            return streamed_sum(babies.pairs, transform, rows, start, stop, self.working, total)
        members = tuple(babies.pairs[place] for place in places[start:stop])
        row = np.int32(start)
        return sum_of_products(members, transform.diagonals, row, self.params, self.level, total)

    def rotated(self, pair: jax.Array, distance: int, total: jax.Array | None = None) -> jax.Array:
        """A pair rotated, and `total` added: of its two components the second alone is divided by P."""
        at = self.params, self.level, self.shared
        digits = decompose_at(divide_mask(pair, *at), *at)
        exponent = rotation_exponent(self.params, distance)
        return rotate_pair(self.keys[exponent], digits, pair, permutation(self.params.ring, exponent), total)


@functools.partial(kernel, donate_argnums=0)
def _put_row(rows: jax.Array, row: jax.Array, number: np.int32) -> jax.Array:
    """The rows with one of them set; the memory of those that are given is used again."""
    return jax.lax.dynamic_update_index_in_dim(rows, row, number, 0)
