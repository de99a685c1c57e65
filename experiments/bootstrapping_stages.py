"""`ckks.bootstrap` in four stages, one after the other, so that each can be timed by itself."""

import math
from collections.abc import Callable

import jax.numpy as jnp

from fhejax import ckks
from fhejax.ckks.encapsulation import decapsulate, encapsulate
from fhejax.ckks.homomorphic_dft import apply_factors
from fhejax.ckks.modular_reduction import modular_reduction
from fhejax.ckks.modulus_raising import raise_modulus

STAGES = ("slots to coefficients", "modulus raising", "coefficients to slots", "modular reduction")


def staged_bootstrap(
    timed: Callable[..., ckks.Ciphertext], keys: ckks.BootstrappingKeys, ciphertext: ckks.Ciphertext
) -> ckks.Ciphertext:
    """The bits of `ckks.bootstrap`, by `timed(name, function, *arguments)` for each of `STAGES`.

    Args:
        timed: calls the function; a `pipeline.Stages`.
        keys: from `ckks.bootstrapping_keys`.
        ciphertext: data [2, limb, N], at the input level exactly, of that level's own scale.
    """
    lower, spread, reduce = STAGES[0], STAGES[2], STAGES[3]
    x = timed(lower, slots_to_coefficients, keys, ciphertext)
    ratio = ckks.Scale.of(math.prod(x.moduli)) / x.scale
    x = timed(STAGES[1], raise_the_modulus, keys, x)
    x = timed(spread, coefficients_to_slots, keys, x)
    return timed(reduce, reduce_modulo_one, keys, x, ratio)


def slots_to_coefficients(keys: ckks.BootstrappingKeys, x: ckks.Ciphertext) -> ckks.Ciphertext:
    """From the input level to level 0."""
    return apply_factors(keys.evaluation, x, keys.circuit.slots_to_coefficients)


def raise_the_modulus(keys: ckks.BootstrappingKeys, x: ckks.Ciphertext) -> ckks.Ciphertext:
    """Under the sparse secret, from level 0 to the highest, and the trace where slots repeat themselves."""
    parameters = keys.circuit.parameters
    x = encapsulate(keys.dense_to_sparse, x)
    x = raise_modulus(x, hamming_weight=parameters.hamming_weight)
    x = decapsulate(keys.sparse_to_dense, x)
    gap = parameters.params.slots // parameters.slots
    for bit in range(gap.bit_length() - 1):
        x = ckks.add(x, ckks.rotate(keys.evaluation, x, parameters.slots << bit))
    return x.replace(scale=x.scale * gap)


def coefficients_to_slots(keys: ckks.BootstrappingKeys, x: ckks.Ciphertext) -> ckks.Ciphertext:
    """Data [2, 2, limb, N]: half of the coefficients are real parts, the other half imaginary ones."""
    x = apply_factors(keys.evaluation, x, keys.circuit.coefficients_to_slots)
    mirrored = ckks.conjugate(keys.evaluation, x)
    imaginary = ckks.multiply_by_imaginary_unit(ckks.subtract(mirrored, x))
    data = jnp.stack([ckks.add(x, mirrored).data, imaginary.data])
    return x.replace(data=data, scale=x.scale * 2)


def reduce_modulo_one(keys: ckks.BootstrappingKeys, x: ckks.Ciphertext, ratio: ckks.Scale) -> ckks.Ciphertext:
    """To the output level, at its own scale; `ratio` is q_0 over the scale of the message at level 0."""
    parameters = keys.circuit.parameters
    scale = parameters.params.scales[parameters.output_level]
    shape = parameters.cosine, parameters.double_angles
    x = modular_reduction(keys.evaluation, x, *shape, target_scale=scale * ratio).replace(scale=scale)
    real, imaginary = (x.replace(data=x.data[part]) for part in range(2))
    return ckks.add(real, ckks.multiply_by_imaginary_unit(imaginary))
