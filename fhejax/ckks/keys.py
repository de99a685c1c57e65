"""Key generation: secret, public and evaluation keys."""

import functools
import math

import jax
import jax.numpy as jnp

from fhejax.ckks.parameters import Parameters
from fhejax.ckks.types import EvaluationKeys, PublicKey, SecretKey, SwitchingKey
from fhejax.ring import automorphism, modular, ntt
from fhejax.ring.chacha20 import CHACHA20
from fhejax.ring.modular import constants
from fhejax.ring.samplers import centred_binomial, signed_to_residues, ternary, uniform
from fhejax.ring.wide import wide


def check_cryptographic_key(key: jax.Array) -> None:
    """Refuse JAX's own random keys, which hold 64 bits and are not cryptographic.

    Raises:
        ValueError: unless `key` is one typed key of the library's ChaCha20 implementation.
    """
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    name = str(jax.random.key_impl(key)) if typed else type(key).__name__
    if "chacha20" not in name or key.ndim:
        raise ValueError(
            f"a single cryptographic random key is needed, and {name} of shape "
            f"{getattr(key, 'shape', ())} was given; make one with fhejax.ckks.random_key() and split "
            f"it with jax.random.split."
        )


def secret_key(key: jax.Array, params: Parameters) -> SecretKey:
    """A uniform ternary secret: each coefficient -1, 0 or 1 with probability 1/3."""
    check_cryptographic_key(key)
    return _secret_key(key, params)


@functools.partial(jax.jit, static_argnames="params")
def _secret_key(key: jax.Array, params: Parameters) -> SecretKey:
    secret, name = jax.random.split(key)
    return SecretKey(ternary(secret, (), params.ring.degree), jax.random.bits(name, (4,), jnp.uint32), params)


def evaluate_secret(secret: SecretKey, moduli: tuple[int, ...]) -> jax.Array:
    """The secret's values, uint32 [limb, N], evaluation domain."""
    return ntt(signed_to_residues(secret.coefficients, moduli), secret.params.ring, moduli)


def public_seed(key: jax.Array) -> jax.Array:
    """uint32 [8]: a seed that may be published. ChaCha20 being one-way, it says nothing of `key`."""
    return jax.random.bits(key, (8,), jnp.uint32)


def expand_seed(seed: jax.Array, moduli: tuple[int, ...], batch: tuple[int, ...], degree: int) -> jax.Array:
    """The uniform polynomial that a published seed stands for, uint32 [*batch, limb, N]."""
    key = jax.random.wrap_key_data(seed, impl=CHACHA20)
    return uniform(key, moduli, batch, degree)


def errors(key: jax.Array, params: Parameters, moduli: tuple[int, ...], batch: tuple[int, ...]) -> jax.Array:
    """Fresh centred-binomial errors (variance 10.5), uint32 [*batch, limb, N], evaluation domain."""
    small = centred_binomial(key, batch, params.ring.degree)
    return ntt(signed_to_residues(small, moduli), params.ring, moduli)


def public_key(key: jax.Array, secret: SecretKey) -> PublicKey:
    """(-a s + e, a) at the highest level: anyone who has it can encrypt."""
    check_cryptographic_key(key)
    return _public_key(key, secret)


@jax.jit
@wide
def _public_key(key: jax.Array, secret: SecretKey) -> PublicKey:
    params, moduli = secret.params, secret.params.level_moduli(secret.params.depth)
    seed_key, error_key = jax.random.split(key)
    mask = expand_seed(public_seed(seed_key), moduli, (), params.ring.degree)
    body = _mask_with_secret(secret, mask, errors(error_key, params, moduli, ()), moduli)
    return PublicKey(jnp.stack([body, mask]), secret.key_id, params)


def _mask_with_secret(
    secret: SecretKey, mask: jax.Array, payload: jax.Array, moduli: tuple[int, ...]
) -> jax.Array:
    """payload - mask * s, evaluation domain."""
    product = modular.multiply(mask, evaluate_secret(secret, moduli), constants(moduli))
    return modular.subtract(payload, product, constants(moduli).value)


def evaluation_keys(
    key: jax.Array,
    secret: SecretKey,
    *,
    relinearise: bool = False,
    rotations: tuple[int, ...] = (),
    level: int | None = None,
) -> EvaluationKeys:
    """What the server needs: a relinearisation key and the rotation keys named.

    Args:
        key: cryptographic random key, used once.
        secret: stays with the client.
        relinearise: whether ciphertexts are multiplied and then relinearised.
        rotations: slot distances.
        level: the highest level at which the keys are used; cutting them there saves bytes.

    Raises:
        ValueError: a random key that is not cryptographic, or parameters without key switching.
    """
    check_cryptographic_key(key)
    params = secret.params
    if (relinearise or rotations) and not params.special:
        raise ValueError(
            "an evaluation key was asked for, and these parameters were made without key switching; "
            "make them with key_switching=True."
        )
    level = params.depth if level is None else level
    exponents = {r: pow(5, r, params.ring.root_order) for r in rotations}
    keys = jax.random.split(key, 1 + len(rotations))
    squared = _squared_key(keys[0], secret, level) if relinearise else None
    rotated = {
        exponents[r]: _rotation_key(k, secret, level, exponents[r])
        for r, k in zip(rotations, keys[1:], strict=True)
    }
    return EvaluationKeys(squared, rotated, secret.key_id, params)


@functools.partial(jax.jit, static_argnames="level")
@wide
def _squared_key(key: jax.Array, secret: SecretKey, level: int) -> SwitchingKey:
    moduli = secret.params.level_moduli(level) + secret.params.special
    values = evaluate_secret(secret, moduli)
    return _switching_key(key, secret, modular.multiply(values, values, constants(moduli)), level)


@functools.partial(jax.jit, static_argnames=("level", "exponent"))
@wide
def _rotation_key(key: jax.Array, secret: SecretKey, level: int, exponent: int) -> SwitchingKey:
    moduli = secret.params.level_moduli(level) + secret.params.special
    values = automorphism(evaluate_secret(secret, moduli), secret.params.ring, exponent)
    return _switching_key(key, secret, values, level)


def digit_ranges(params: Parameters, level: int) -> list[tuple[int, int]]:
    """[start, stop) limbs of each digit at a level."""
    limbs, size = len(params.levels[level]), params.digit_size
    return [(start, min(start + size, limbs)) for start in range(0, limbs, size)]


def _switching_key(key: jax.Array, secret: SecretKey, source: jax.Array, level: int) -> SwitchingKey:
    """For digit j: (-a s + e + g_j source, a), with g_j = P modulo the primes of digit j, else 0."""
    params = secret.params
    moduli = params.level_moduli(level) + params.special
    ranges = digit_ranges(params, level)
    seed_key, error_key = jax.random.split(key)
    seed = public_seed(seed_key)
    mask = expand_seed(seed, moduli, (len(ranges),), params.ring.degree)
    gadget = _gadget(params, moduli, ranges)
    payload = modular.multiply(source, gadget, constants(moduli))
    noise = errors(error_key, params, moduli, (len(ranges),))
    payload = modular.add(payload, noise, constants(moduli).value)
    return SwitchingKey(_mask_with_secret(secret, mask, payload, moduli), mask, seed, params, level)


def _gadget(params: Parameters, moduli: tuple[int, ...], ranges: list[tuple[int, int]]) -> jax.Array:
    """uint32 [digit, limb, 1]: P mod q inside the digit, 0 elsewhere."""
    product = math.prod(params.special)
    rows = [[product % q if start <= i < stop else 0 for i, q in enumerate(moduli)] for start, stop in ranges]
    return jnp.array(rows, jnp.uint32)[..., None]
