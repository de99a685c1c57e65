"""Random polynomials: uniform residues, ternary secrets and centred binomial errors.

Pure functions of a typed JAX key of any kind; what has to be unpredictable needs the ChaCha20 keys
of `fhejax.ring.randomness`. Everything is integer arithmetic without branches, the same bits on every
backend.

**Seed expansion.** `uniform` is part of the file format: uniform polynomials are stored as the key
that they were drawn with, so its definition never changes. Coefficient i of polynomial b (its
row-major index in `batch_shape`) modulo q is

    (w[0, i] + 2^32 w[1, i] + 2^64 w[2, i]) mod q,
    w = jax.random.bits(fold_in(fold_in(key, b), q), (3, degree), uint32).

A residue depends on the key, b, q, i and the degree alone: expanding fewer limbs gives the same
residues in those that remain. The other samplers may change between versions.

**Bias.** Reducing k uniform bits modulo q makes some residues more frequent than others; each one's
probability lies within a factor 1 ± q / 2^k of 1/q. Uniform residues (96 bits, q < 2^30) are within
2^-66, ternary coefficients (64 bits) within 2^-62. The Rényi divergence of order 2 from uniform is
then at most 1 + 2^-132 (1 + 2^-124) for a coefficient, and it multiplies: over 2^40 residues it
exceeds 1 by less than 2^-91, so an attack that succeeds with probability p on uniform polynomials
succeeds on these with at most sqrt(p (1 + 2^-91)) in a search problem, and the distributions
themselves are at a statistical distance below 2^-46 (Bai, Langlois, Lepoint, Stehlé and Steinfeld,
"Improved security proofs in lattice-based cryptography: using the Rényi divergence rather than the
statistical distance", ASIACRYPT 2015).
"""

import math
import operator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fhejax.ring import modular
from fhejax.ring.modular import Array
from fhejax.ring.platform import accelerator
from fhejax.ring.wide import kernel, wide

MODULUS_BOUND = 1 << 30
UNIFORM_WORDS = 3
TERNARY_WORDS = 2
TERNARY_MODULUS = 3
ERROR_BOUND = 21
ERROR_DEVIATION = math.sqrt(ERROR_BOUND / 2)


def _check_key(key: jax.Array) -> None:
    kind = getattr(key, "dtype", type(key).__name__)
    if not isinstance(key, jax.Array) or not jnp.issubdtype(kind, jax.dtypes.prng_key) or key.ndim:
        raise TypeError(
            f"Random polynomials were asked for with {kind} of shape {np.shape(key)} as the key; "
            "one typed JAX key is needed: make it with fhejax.ring.random_key(), and index or vmap "
            "over an array of keys."
        )


def _checked_moduli(moduli: tuple[int, ...]) -> tuple[int, ...]:
    moduli = tuple(operator.index(modulus) for modulus in moduli)
    outside = [modulus for modulus in moduli if not 2 <= modulus < MODULUS_BOUND]
    if not moduli or outside or len(set(moduli)) < len(moduli):
        raise ValueError(
            f"Residues were asked for modulo {moduli}; distinct moduli from 2 to 2^30 - 1 are "
            "needed, at least one: pass the primes of the basis."
        )
    return moduli


def _checked_shape(batch_shape: tuple[int, ...], degree: int) -> tuple[tuple[int, ...], int]:
    shape = tuple(operator.index(size) for size in (*batch_shape, degree))
    if min(shape) < 0 or shape[-1] < 1 or math.prod(shape[:-1]) > 1 << 32:
        raise ValueError(
            f"Random polynomials were asked for with batch shape {shape[:-1]} and degree "
            f"{shape[-1]}; a degree of at least 1 and from 0 to 2^32 polynomials are needed: correct "
            "the shape or draw in several calls with different keys."
        )
    return shape[:-1], shape[-1]


def _reduction_table(moduli: tuple[int, ...], words: int) -> np.ndarray:
    """The table uint32[limb, 1 + 2 words]: q, then 2^(32 j) mod q and its Shoup quotient for each word j."""
    powers = [[pow(2, 32 * j, q) for j in range(words)] for q in moduli]
    rows = [
        [q, *(entry for power in row for entry in (power, modular.quotient(power, q)))]
        for q, row in zip(moduli, powers, strict=True)
    ]
    return np.array(rows, dtype=np.uint32)


def _residues(words: jax.Array, row: Array) -> jax.Array:
    """The sum of 2^(32 j) words[j] modulo q, for uint32 words[j, ...] and q's row of the table.

    Each product is below 2q, so a folded sum and one more stay below 4q < 2^32.
    """
    modulus = row[0]
    total = jnp.zeros_like(words[0])
    for j, word in enumerate(words):
        total = total + modular.multiply_lazily(word, row[2 * j + 1], row[2 * j + 2], modulus)
        total = modular.fold(total, modulus + modulus)
    return modular.fold(total, modulus)


def _polynomial_keys(key: jax.Array, polynomials: int, moduli: Array) -> jax.Array:
    """The key of each polynomial and modulus, [polynomials * limb]."""
    fold_each = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    keys = fold_each(key, lax.iota(np.uint32, polynomials))
    return jax.vmap(fold_each, in_axes=(0, None))(keys, moduli).reshape(-1)


@partial(kernel, static_argnames=("batch_shape", "degree"))
@wide
def _uniform(key: jax.Array, table: Array, *, batch_shape: tuple[int, ...], degree: int) -> jax.Array:
    polynomials, limbs = math.prod(batch_shape), table.shape[0]
    # As words: JAX's key-reuse checker takes keys for used up when a mapped loop reorders them.
    keys = jax.random.key_data(_polynomial_keys(key, polynomials, table[:, 0]))
    rows = jnp.tile(table, (polynomials, 1))

    def draw(key_and_row: tuple[jax.Array, jax.Array]) -> jax.Array:
        words, row = key_and_row
        single = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
        return _residues(jax.random.bits(single, (UNIFORM_WORDS, degree), np.uint32), row)

    together = min(accelerator().blocks.polynomials_drawn, polynomials * limbs)
    residues = lax.platform_dependent(
        (keys, rows),
        cpu=partial(lax.map, draw),  # one by one, so that each stays in the cache
        default=partial(lax.map, draw, batch_size=together),
    )
    return residues.reshape(*batch_shape, limbs, degree)


def uniform(key: jax.Array, moduli: tuple[int, ...], batch_shape: tuple[int, ...], degree: int) -> jax.Array:
    """Uniform polynomials in residue form: uint32[*batch_shape, limb, degree], residues below q.

    The definition (fixed: it is the expansion of stored seeds) and the bias are in the module's
    docstring. Raises ValueError for moduli that are not distinct and in [2, 2^30), or bad sizes.
    """
    _check_key(key)
    batch_shape, degree = _checked_shape(batch_shape, degree)
    table = _reduction_table(_checked_moduli(moduli), UNIFORM_WORDS)
    return _uniform(key, table, batch_shape=batch_shape, degree=degree)


@partial(kernel, static_argnames="shape")
@wide
def _ternary(key: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    words = jax.random.bits(key, (TERNARY_WORDS, *shape), np.uint32)
    table = jnp.asarray(_reduction_table((TERNARY_MODULUS,), TERNARY_WORDS)[0])
    return _residues(words, table).astype(np.int8) - np.int8(1)


def ternary(key: jax.Array, batch_shape: tuple[int, ...], degree: int) -> jax.Array:
    """Polynomials with coefficients uniform over {-1, 0, 1}: int8[*batch_shape, degree].

    Each coefficient is a 64-bit number modulo 3 (see the module's docstring for the bias).
    """
    _check_key(key)
    batch_shape, degree = _checked_shape(batch_shape, degree)
    return _ternary(key, shape=(*batch_shape, degree))


@partial(kernel, static_argnames=("shape", "hamming_weight"))
def _ternary_fixed_weight(key: jax.Array, *, shape: tuple[int, ...], hamming_weight: int) -> jax.Array:
    *order, signs = jax.random.bits(key, (UNIFORM_WORDS + 1, *shape), np.uint32)
    positions = lax.broadcasted_iota(np.int32, shape, len(shape) - 1)
    signs = np.int8(1) - ((signs & np.uint32(1)) << np.uint32(1)).astype(np.int8)
    values = jnp.where(positions < np.int32(hamming_weight), signs, np.int8(0))
    return lax.sort((*order, values), dimension=-1, num_keys=UNIFORM_WORDS)[-1]


def ternary_fixed_weight(
    key: jax.Array, batch_shape: tuple[int, ...], degree: int, hamming_weight: int
) -> jax.Array:
    """Uniform among the ternary polynomials with `hamming_weight` coefficients that are not zero.

    int8[*batch_shape, degree]. Signs are shuffled into place by sorting 96-bit random numbers, of
    which two are equal, and their order then not random, with probability below degree^2 / 2^97.
    Raises ValueError for a weight outside [0, degree].
    """
    _check_key(key)
    batch_shape, degree = _checked_shape(batch_shape, degree)
    hamming_weight = operator.index(hamming_weight)
    if not 0 <= hamming_weight <= degree:
        raise ValueError(
            f"A Hamming weight of {hamming_weight} was asked for in polynomials of {degree} "
            f"coefficients; a weight from 0 to {degree} is needed."
        )
    return _ternary_fixed_weight(key, shape=(*batch_shape, degree), hamming_weight=hamming_weight)


@partial(kernel, static_argnames="shape")
def _centred_binomial(key: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    plus, shared, minus = jax.random.bits(key, (3, *shape), np.uint16)
    low = shared & np.uint16(31)
    high = (shared >> np.uint16(5)) & np.uint16(31)
    heads = lax.population_count(plus) + lax.population_count(low)
    tails = lax.population_count(minus) + lax.population_count(high)
    return heads.astype(np.int8) - tails.astype(np.int8)


def centred_binomial(key: jax.Array, batch_shape: tuple[int, ...], degree: int) -> jax.Array:
    """Errors: the heads among 21 fair coins less those among 21 others.

    int8[*batch_shape, degree], |e| <= 21, standard deviation sqrt(21 / 2) = 3.2404. The centred
    binomial distribution in place of a rounded Gaussian: Alkim, Ducas, Pöppelmann and Schwabe,
    "Post-quantum key exchange: a new hope" (2016), section 4; 42 coins as in Microsoft SEAL.
    """
    _check_key(key)
    batch_shape, degree = _checked_shape(batch_shape, degree)
    return _centred_binomial(key, shape=(*batch_shape, degree))


@kernel
@wide
def _signed_to_residues(values: jax.Array, table: Array) -> jax.Array:
    magnitudes = jnp.abs(values.astype(np.int32)).astype(np.uint32)

    def limb(row: Array) -> jax.Array:
        residues = _residues(magnitudes[None], row)
        return jnp.where(values < 0, modular.negate(residues, row[0]), residues)

    return jax.vmap(limb, out_axes=-2)(table)


def signed_to_residues(values: jax.Array, moduli: tuple[int, ...]) -> jax.Array:
    """Signed integers [..., degree] modulo each of `moduli`: uint32[..., limb, degree], exactly.

    Takes int8, int16 and int32, all their values. Raises TypeError for other types, ValueError for
    moduli that are not distinct and in [2, 2^30) or for an array without axes.
    """
    table = _reduction_table(_checked_moduli(moduli), 1)
    if jnp.result_type(values) not in (np.int8, np.int16, np.int32):
        raise TypeError(
            f"Residues were asked for of {jnp.result_type(values)} values; int8, int16 or int32 "
            "are needed: convert the values first."
        )
    if jnp.ndim(values) < 1:
        raise ValueError("Residues were asked for of a scalar; an array [..., degree] is needed.")
    return _signed_to_residues(values, table)
