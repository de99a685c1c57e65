"""Integer combinations of rotated ciphertexts: convolutions of images whose channels are ciphertexts each.

Each ciphertext is decomposed once for all its rotations, which stay in the extended basis Q P, undivided.
There they are multiplied by masks, and the exact matrix product combines them, so that one division by P for
each result ends it all.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.vector_encoding import (
    encode_term,
    encoded_residues,
    significand_and_exponent,
)
from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.keys.switching import divide_by_special, extended_moduli
from fhejax.ckks.linear_transform.double_hoisting import decompose_at, lift, rotate_pair
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Ciphertext
from fhejax.ring import Twiddles, modular, permutation
from fhejax.ring.matrix_product import modular_matrix_product
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel, wide

_HELD_BYTES = 2**30  # of rotated ciphertexts, about, that are combined in one matrix product


@dataclasses.dataclass(frozen=True)
class PlainTaps:
    """The plain numbers of a combination of rotated ciphertexts.

    Attributes:
        distances: of each tap, to the left if positive; one may be there several times.
        weights: int32 [tap, result, ciphertext], |w| <= bound, standing for weights / weight_scale.
        weight_scale: of the weights.
        bound: of the weights.
        masks: float32 [tap, period], one period of the numbers by which the slots of each tap are multiplied;
            None for ones.
        mask_scale: at which masks are encoded; 1 without them.
    """

    distances: tuple[int, ...]
    weights: jax.Array | np.ndarray
    weight_scale: Scale
    bound: int
    masks: jax.Array | np.ndarray | None = None
    mask_scale: Scale = Scale.of(1)

    @property
    def scale(self) -> Scale:
        """What the scale of a ciphertext is multiplied by."""
        return self.weight_scale * self.mask_scale


def rotated_combinations(keys: Keys, ciphertext: Value, taps: PlainTaps) -> Value:
    """The sums over taps and ciphertexts of weights[t, o, i] * masks[t] * (ciphertext i rotated).

    Args:
        keys: with a rotation key for each distance but 0.
        ciphertext: data [ciphertext, 2, limb, N].
        taps: distances, weights and masks.

    Returns:
        Ciphertext [result, 2, limb, N], not rescaled.

    Raises:
        ValueError: missing keys (all are named), or other parameters.
    """
    return _combined(keys, ciphertext, taps)


def _exponents(ciphertext: Ciphertext | NoiseEstimate, taps: PlainTaps) -> list[int]:
    return [rotation_exponent(ciphertext.params, distance) for distance in taps.distances]


def _estimated(x: NoiseEstimate, taps: PlainTaps) -> NoiseEstimate:
    """The rotations one by one, their products with encoded masks, and exact sums."""
    rotated = estimates.rotate_hoisted(x, _exponents(x, taps))
    if taps.masks is not None:
        rows = np.tile(np.asarray(taps.masks, np.float64), (1, x.params.slots // taps.masks.shape[1]))
        plaintexts = [encode_term(x.params, row, x.level, taps.mask_scale) for row in rows]
        pairs = zip(rotated, plaintexts, strict=True)
        rotated = [estimates.multiply_plain(one, plaintext) for one, plaintext in pairs]
    messages = tuple(message for one in rotated for message in one.messages)
    together = dataclasses.replace(rotated[0], messages=messages, batch=(len(messages),))
    weights = np.asarray(taps.weights)
    flat = weights.transpose(1, 0, 2).reshape(1, weights.shape[1], -1)
    return estimates.linear_combinations(together, flat, taps.weight_scale, taps.bound, None, None, False)


@operation(noise=_estimated, keys=_exponents)
def _combined(keys: Found, ciphertext: Ciphertext, taps: PlainTaps) -> Ciphertext:
    params, level, data = ciphertext.params, ciphertext.level, ciphertext.data
    moduli = extended_moduli(params, level)
    rotations = _Rotations(keys, params, level, taps)
    together = min(current_device().blocks.switched, len(data))
    room = _HELD_BYTES // (len(taps.distances) * together * 8 * len(moduli) * params.ring.degree)
    held = together * max(1, room)
    weights, total = jnp.asarray(taps.weights), None
    for start in range(0, len(data), held):
        rows = rotations.of(data[start : start + held], together)
        matrix = _columns(weights[:, :, start : start + held], together)
        product = modular_matrix_product(matrix, rows, moduli, taps.bound)
        total = _flat(product) if total is None else _sum(total, product, moduli)
        del rows, product
    assert total is not None  # of at least one ciphertext
    divided = [
        divide_by_special(total[s : s + together], params, level, level)
        for s in range(0, len(total), together)
    ]
    return ciphertext.replace(data=jnp.concatenate(divided), scale=ciphertext.scale * taps.scale)


@dataclasses.dataclass(frozen=True)
class _Rotations:
    """The rotations of ciphertexts of one level by all taps, masked."""

    keys: Found
    params: Parameters
    level: int
    taps: PlainTaps

    def of(self, data: jax.Array, together: int) -> list[jax.Array]:
        """P times the masked rotations of a few ciphertexts at once, [ciphertext, 2, limb of Q then P, N]."""
        found = []
        for start in range(0, len(data), together):
            part = data[start : start + together]
            lifted = lift(part, self.params, self.level)
            digits = None
            if any(self.taps.distances):
                digits = decompose_at(part[:, 1], self.params, self.level)
            for number, distance in enumerate(self.taps.distances):
                pair = lifted
                if distance and digits is not None:
                    exponent = rotation_exponent(self.params, distance)
                    pair = rotate_pair(
                        self.keys[exponent], digits, lifted, permutation(self.params.ring, exponent)
                    )
                found.append(
                    pair if self._masks is None else _masked(pair, self._masks[number], self._moduli)
                )
        return found

    @property
    def _moduli(self) -> tuple[int, ...]:
        return extended_moduli(self.params, self.level)

    @functools.cached_property
    def _masks(self) -> jax.Array | None:
        """The masks over Q P, uint32 [tap, limb, N]."""
        if self.taps.masks is None:
            return None
        scale = significand_and_exponent(self.taps.mask_scale)
        return _encoded(self.taps.masks, *scale, twiddles_of(self.params), self.params, self._moduli)


@functools.partial(kernel, static_argnames=("params", "moduli"))
@wide
def _encoded(
    masks: jax.Array | np.ndarray,
    significand: jax.Array,
    exponent: np.int32,
    twiddles: Twiddles,
    params: Parameters,
    moduli: tuple[int, ...],
) -> jax.Array:
    """The masks [tap, period] in all slots at a scale, residues uint32 [tap, limb, N]."""
    values = jnp.tile(jnp.asarray(masks, jnp.float64), (1, params.slots // masks.shape[1]))
    return encoded_residues(values, significand, exponent, twiddles, params.ring, moduli)


def _columns(weights: jax.Array, together: int) -> jax.Array:
    """The matrix [1, result, k] whose columns are in the order in which rotations are made."""
    parts = [weights[:, :, s : s + together] for s in range(0, weights.shape[2], together)]
    flat = [part.transpose(1, 0, 2).reshape(weights.shape[1], -1) for part in parts]
    return jnp.concatenate(flat, 1)[None]


@functools.partial(kernel, static_argnames="moduli")
@wide
def _masked(pair: jax.Array, mask: jax.Array, moduli: tuple[int, ...]) -> jax.Array:
    """The products of pairs with an encoded mask, uint32 [limb, N]."""
    return modular.multiply(pair, mask, constants(moduli))


@functools.partial(kernel, donate_argnums=0)
def _flat(product: jax.Array) -> jax.Array:
    """The results [result, 2, limb, N] of a matrix product, in its memory."""
    return product.reshape(-1, *product.shape[3:])


@functools.partial(kernel, static_argnames="moduli", donate_argnums=0)
@wide
def _sum(total: jax.Array, product: jax.Array, moduli: tuple[int, ...]) -> jax.Array:
    """The results [result, 2, limb, N] of a matrix product, added to others in their memory."""
    return modular.add(total, product.reshape(total.shape), constants(moduli).value)


def held_bytes(sources: Sequence[int], results: int, taps: int, limbs: int, degree: int) -> int:
    """The bytes that a combination takes beside its source and its result, about.

    Args:
        sources: ciphertexts of each of several combinations, one made after the other.
        results: ciphertexts of the result.
        taps: of the largest.
        limbs: of Q and P.
        degree: of the ring.
    """
    pair = 8 * limbs * degree
    return min(max(_HELD_BYTES, taps * pair), max(sources) * taps * pair) + 2 * results * pair
