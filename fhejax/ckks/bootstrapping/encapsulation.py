"""Sparse-secret encapsulation: a sparse secret that exists only where the modulus is small.

Overflows grow with the weight of the secret, which therefore is switched, for the raising of the modulus
alone, to an ephemeral one of weight 32 and back to the dense one right after (Bossuat, Troncoso-Pastoriza
and Hubaux, "Bootstrapping for approximate homomorphic encryption with negligible failure-probability by using
sparse-secret encapsulation", 2022). An attacker sees the sparse secret in one key only, modulo q_0 and one
more prime, and that pair of secret and modulus is what is checked here: a key of this kind made at a higher
level was a vulnerability elsewhere.
"""

import dataclasses
import functools
import math
from types import MappingProxyType

import jax

from fhejax.ckks.identity import matched_identity, switching_identity
from fhejax.ckks.keys import switching
from fhejax.ckks.keys.generation import (
    check_cryptographic_key,
    evaluate_secret,
    key_moduli,
    make_switching_key,
    purpose,
)
from fhejax.ckks.keys.matching import check_shape
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.noise.propagation import with_source
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.parameters import deviations
from fhejax.ckks.parameters.level_table import largest_prime
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.requested_numbers import whole_number
from fhejax.ckks.parameters.security import SecurityError
from fhejax.ckks.types import Ciphertext, SecretKey, SwitchingKey, check_same_parameters
from fhejax.ring import Twiddles, modular, modulus_bits
from fhejax.ring.modular import constants
from fhejax.ring.randomness import derive, ternary_fixed_weight
from fhejax.ring.wide import kernel, wide

# weight -> (security, smallest degree, largest log2 of the modulus), hybrid attacks with meeting in the
# middle counted: Bossuat et al. 2022.
_SPARSE_LIMITS = MappingProxyType({32: (128, 1 << 15, 121)})
_EXCHANGED = (
    "a key of sparse-secret encapsulation met a ciphertext of another secret key, or was given in the "
    "place of the other one; make both with encapsulation_keys(key, secret), and pass them in that order."
)
TO_SPARSE, TO_DENSE = -1, -2  # what the two keys are for, beside exponents of automorphisms


@functools.lru_cache(maxsize=64)
def encapsulation_parameters(params: Parameters) -> Parameters:
    """The parameters of the key in which the sparse secret is used: the primes of level 0, and a special one.

    That one is the largest of the ring, which Q never has: no digit of one prime is above it.
    """
    return Parameters(
        params.ring,
        params.level_moduli(0),
        (largest_prime(params.ring),),
        (tuple(range(len(params.levels[0]))),),
        params.scales[:1],
        1,
        params.insecure,
    )


def sparse_security(params: Parameters, hamming_weight: int) -> int:
    """Bits of security that are known of a sparse secret in the one key that it is used in: 128, or 0.

    Args:
        params: of the ciphertexts that are bootstrapped.
        hamming_weight: how many coefficients of the secret are not zero.
    """
    security, degree, limit = _SPARSE_LIMITS.get(hamming_weight, (0, 0, 0))
    known = params.ring.degree >= degree and encapsulation_parameters(params).modulus_bits <= limit
    return security if known else 0


def check_sparse_security(params: Parameters, hamming_weight: int, security: int = 128) -> None:
    """Refuse a sparse secret of less than the wished security, unless `params` are made with insecure=True.

    Args:
        params: of the ciphertexts that are bootstrapped.
        hamming_weight: how many coefficients of the secret are not zero.
        security: in bits, that is to be reached.

    Raises:
        ValueError: a weight that no secret of this degree has.
        SecurityError: a modulus beyond the limit, or a weight, degree or security without a known one.
    """
    weight = whole_number("hamming_weight", hamming_weight, 1, params.ring.degree)
    if params.insecure or sparse_security(params, weight) >= security:
        return
    known = _SPARSE_LIMITS.get(weight)
    if known is None or security > known[0] or params.ring.degree < known[1]:
        raise SecurityError(
            f"a ternary secret of weight {weight} at degree {params.ring.degree} was asked for with "
            f"{security}-bit security; limits are known for weight 32 from degree {1 << 15} on at "
            "128 bits: use these, or make parameters with insecure=True, for tests only."
        )
    found = encapsulation_parameters(params).modulus_bits
    raise SecurityError(
        f"a ternary secret of weight {weight} was to be used with a modulus of {found:.1f} bits, where at "
        f"most {known[2]} are secure; make level 0 smaller."
    )


def encapsulation_keys(
    key: jax.Array, secret: SecretKey, hamming_weight: int = 32
) -> tuple[SwitchingKey, SwitchingKey]:
    """(from the secret to an ephemeral sparse one, modulo q_0 and one prime; and back, at the highest level).

    The sparse secret is drawn here, and nobody ever holds it.

    Args:
        key: cryptographic random key, used once.
        secret: stays with the client.
        hamming_weight: how many coefficients of the ephemeral secret are not zero.

    Raises:
        ValueError: a random key that is not cryptographic, or parameters without key switching.
        SecurityError: as `check_sparse_security`.
    """
    check_cryptographic_key(key)
    if not secret.params.special:
        raise ValueError(
            "keys of encapsulation were asked for, and these parameters were made without key switching; "
            "make them with key_switching=True."
        )
    check_sparse_security(secret.params, hamming_weight)
    places = (encapsulation_parameters(secret.params), secret.params)
    twiddles = twiddles_of(places[0]), twiddles_of(places[1])
    return _encapsulation_keys(key, secret, twiddles, hamming_weight)


@functools.partial(kernel, static_argnames="hamming_weight")
@wide
def _encapsulation_keys(
    key: jax.Array, secret: SecretKey, twiddles: tuple[Twiddles, Twiddles], hamming_weight: int
) -> tuple[SwitchingKey, SwitchingKey]:
    params = secret.params
    small = encapsulation_parameters(params)
    first, second, third = jax.random.split(key, 3)
    stream = derive(first, purpose(f"sparse secret of weight {hamming_weight}", params), secret.key_id)
    drawn = ternary_fixed_weight(stream, (), params.ring.degree, hamming_weight)
    sparse = secret.replace(coefficients=drawn)
    keys = []
    tasks = ((second, small, sparse, secret, TO_SPARSE), (third, params, secret, sparse, TO_DENSE))
    for (random, where, target, source, use), tables in zip(tasks, twiddles, strict=True):
        moduli = key_moduli(where, where.depth)
        under, of = (evaluate_secret(s, tables, moduli) for s in (target, source))
        identity = switching_identity(secret.key_id, use)
        keys.append(make_switching_key(random, tables, where, under, of, identity, where.depth))
    return keys[0], keys[1]


def encapsulate(key: SwitchingKey | None, ciphertext: Value) -> Value:
    """A ciphertext at level 0 under the sparse secret that `key` leads to.

    Raises:
        ValueError: a ciphertext that is not at level 0, a key of other parameters, or none.
    """
    if ciphertext.level != 0:
        raise ValueError(
            f"a ciphertext at level {ciphertext.level} was to be put under a sparse secret, which is "
            "secure at level 0 alone; use drop_level first."
        )
    return _under_sparse(ciphertext, key)


def _sparse_noise(x: NoiseEstimate, key: SwitchingKey | None) -> NoiseEstimate:
    del key
    return _estimate_switch(x, encapsulation_parameters(x.params))


@operation(noise=_sparse_noise)
def _under_sparse(ciphertext: Ciphertext, key: SwitchingKey | None) -> Ciphertext:
    if key is None or key.params != encapsulation_parameters(ciphertext.params):
        raise ValueError(
            f"a ciphertext was to be put under a sparse secret, and the key given is {key}; make both keys "
            "with encapsulation_keys(key, secret) under the same parameters."
        )
    data = _switch(key, ciphertext.data, twiddles_of(key.params), 0)
    return ciphertext.replace(data=data, key_id=_identity(key, ciphertext, TO_SPARSE))


def decapsulate(key: SwitchingKey | None, ciphertext: Value) -> Value:
    """A ciphertext under the sparse secret, at any level, back under the dense one.

    Raises:
        ValueError: no key, one of other parameters, or of a lower level.
    """
    return _under_dense(ciphertext, key)


def _dense_noise(x: NoiseEstimate, key: SwitchingKey | None) -> NoiseEstimate:
    del key
    return _estimate_switch(x, x.params)


@operation(noise=_dense_noise)
def _under_dense(ciphertext: Ciphertext, key: SwitchingKey | None) -> Ciphertext:
    if key is None or key.level < ciphertext.level:
        raise ValueError(
            f"a ciphertext at level {ciphertext.level} was to be brought back from a sparse secret, and "
            f"the key given is {key}; make both keys with encapsulation_keys(key, secret)."
        )
    check_same_parameters(key, ciphertext)
    data = _switch(key, ciphertext.data, twiddles_of(key.params), ciphertext.level)
    return ciphertext.replace(data=data, key_id=_identity(key, ciphertext, TO_DENSE))


def _identity(key: SwitchingKey, ciphertext: Ciphertext, use: int) -> jax.Array:
    """The ciphertext's identity, which its sparse secret shares, under a key that is for this use."""
    check_shape(key)
    return matched_identity(ciphertext.key_id, switching_identity(key.key_id, use), lambda: _EXCHANGED)


def check_encapsulation(
    to_sparse: SwitchingKey | None, to_dense: SwitchingKey | None, ciphertext: Ciphertext
) -> None:
    """Refuse, when called eagerly, keys of another secret, or one in the place of the other."""
    for key, use in ((to_sparse, TO_SPARSE), (to_dense, TO_DENSE)):
        if key is not None:
            _identity(key, ciphertext, use)


@functools.partial(kernel, static_argnames="level")
@wide
def _switch(key: SwitchingKey, data: jax.Array, twiddles: Twiddles, level: int) -> jax.Array:
    """(c_0 + k_0 / P, k_1 / P), k the decomposed c_1 times the key."""
    params = key.params
    switched = switching.switch_key(data[..., 1, :, :], twiddles, key, level)
    divided = switching.divide_by_special(switched, params, level, level, twiddles)
    modulus = constants(params.level_moduli(level)).value
    body = modular.add(divided[..., 0, :, :], data[..., 0, :, :], modulus)
    return jax.numpy.stack([body, divided[..., 1, :, :]], -3)


def _estimate_switch(x: NoiseEstimate, where: Parameters) -> NoiseEstimate:
    """The rounding is taken for that of a dense secret, which is above that of a sparse one."""
    digits = [math.prod(where.moduli[start:stop]) for start, stop in where.digit_ranges(x.level)]
    variance = deviations.key_switch_variance(where.ring, digits, math.prod(where.special))
    variance += deviations.division_variance(where.ring)
    gain = deviations.slot_deviation(where.ring, variance) / float(x.scale)
    details = (x.level, x.scale, modulus_bits(where.moduli))
    messages = tuple(with_source(m, gain, "encapsulation", *details) for m in x.messages)
    return dataclasses.replace(x, messages=messages)
