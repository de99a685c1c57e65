"""Key generation: secret, public and evaluation keys."""

import functools
import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from fhejax.ckks.identity import switching_identity
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import EvaluationKeys, PublicKey, SecretKey, SwitchingKey
from fhejax.ring import Twiddles, modular, ntt, permutation, permute
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.randomness import CHACHA20, centred_binomial, derive, signed_to_residues, ternary, uniform
from fhejax.ring.wide import kernel, wide

RELINEARISATION = 0  # among exponents of automorphisms, which are odd


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


def purpose(what: str, params: Parameters, level: int | None = None) -> str:
    """The name under which a stream is derived: what it is for, under which parameters, at which level."""
    return f"{what}; parameters {params.fingerprint.hex()}; level {level}"


def secret_key(key: jax.Array, params: Parameters) -> SecretKey:
    """A uniform ternary secret: each coefficient -1, 0 or 1 with probability 1/3.

    Args:
        key: cryptographic random key, used once. Equal keys give equal secrets.
        params: of the secret.

    Raises:
        ValueError: a random key that is not cryptographic.
    """
    check_cryptographic_key(key)
    return _secret_key(key, params)


@functools.partial(kernel, static_argnames="params")
def _secret_key(key: jax.Array, params: Parameters) -> SecretKey:
    secret, name = jax.random.split(derive(key, purpose("secret key", params)))
    return SecretKey(ternary(secret, (), params.ring.degree), jax.random.bits(name, (4,), jnp.uint32), params)


def evaluate_secret(secret: SecretKey, twiddles: Twiddles, moduli: tuple[int, ...]) -> jax.Array:
    """The secret's values, uint32 [limb, N], evaluation domain."""
    return ntt(signed_to_residues(secret.coefficients, moduli), twiddles, moduli)


def public_seed(key: jax.Array) -> jax.Array:
    """uint32 [8]: a seed that may be published. ChaCha20 being one-way, it says nothing of `key`."""
    return jax.random.bits(key, (8,), jnp.uint32)


def expand_seed(seed: jax.Array, moduli: tuple[int, ...], batch: tuple[int, ...], degree: int) -> jax.Array:
    """The uniform polynomial that a published seed stands for, uint32 [*batch, limb, N]."""
    key = jax.random.wrap_key_data(seed, impl=CHACHA20)
    return uniform(key, moduli, batch, degree)


def errors(key: jax.Array, twiddles: Twiddles, moduli: tuple[int, ...], batch: tuple[int, ...]) -> jax.Array:
    """Fresh centred-binomial errors (variance 10.5), uint32 [*batch, limb, N], evaluation domain."""
    small = materialise(centred_binomial(key, batch, twiddles.ring.degree))
    return ntt(signed_to_residues(small, moduli), twiddles, moduli)


def public_key(key: jax.Array, secret: SecretKey) -> PublicKey:
    """(-a s + e, a) at the highest level: anyone who has it can encrypt."""
    check_cryptographic_key(key)
    return _public_key(key, secret, twiddles_of(secret.params))


@kernel
@wide
def _public_key(key: jax.Array, secret: SecretKey, twiddles: Twiddles) -> PublicKey:
    params, moduli = secret.params, secret.params.level_moduli(secret.params.depth)
    stream = derive(key, purpose("public key", params), secret.key_id)
    seed_key, error_key = jax.random.split(stream)
    seed = public_seed(seed_key)
    mask = expand_seed(seed, moduli, (), params.ring.degree)
    product = modular.multiply(mask, evaluate_secret(secret, twiddles, moduli), constants(moduli))
    noise = errors(error_key, twiddles, moduli, ())
    body = modular.subtract(noise, product, constants(moduli).value)
    return PublicKey(jnp.stack([body, mask]), seed, secret.key_id, params)


def evaluation_keys(
    key: jax.Array,
    secret: SecretKey,
    *,
    relinearise: bool = False,
    rotations: Iterable[int] = (),
    conjugate: bool = False,
    level: int | None = None,
) -> EvaluationKeys:
    """What the server needs: a relinearisation key and the rotation keys named.

    Args:
        key: cryptographic random key, used once.
        secret: stays with the client.
        relinearise: whether ciphertexts are multiplied and then relinearised.
        rotations: slot distances, to the left if positive; a distance of 0 needs no key.
        conjugate: whether slots are conjugated, which the conjugate-invariant ring has no need of.
        level: the highest level at which the keys are used; cutting them there saves bytes.

    Raises:
        ValueError: a random key that is not cryptographic, parameters without key switching, or
            conjugation of real slots.
    """
    check_cryptographic_key(key)
    params = secret.params
    exponents = dict.fromkeys(rotation_exponent(params, r) for r in rotations if r % params.slots)
    if conjugate:
        exponents[conjugation_exponent(params)] = None
    if (relinearise or exponents) and not params.special:
        raise ValueError(
            "an evaluation key was asked for, and these parameters were made without key switching; "
            "make them with key_switching=True."
        )
    level = params.depth if level is None else level
    params.level_moduli(level)
    keys, twiddles = jax.random.split(key, 1 + len(exponents)), twiddles_of(params)
    identity = switching_identity(secret.key_id, RELINEARISATION)
    squared = _squared_key(keys[0], secret, twiddles, identity, level) if relinearise else None
    rotated = {
        exponent: _rotation_key(
            k,
            secret,
            twiddles,
            switching_identity(secret.key_id, exponent),
            level,
            _rotation_positions(params, exponent),
        )
        for exponent, k in zip(exponents, keys[1:], strict=True)
    }
    return EvaluationKeys(squared, rotated, secret.key_id, params)


def rotation_exponent(params: Parameters, steps: int) -> int:
    """The automorphism X -> X^e that rotates slots by `steps` to the left: e = 5**steps."""
    return pow(5, steps % params.slots, params.ring.root_order)


def rotation_steps(params: Parameters, exponent: int) -> int:
    """The slots by which X -> X^exponent rotates to the left, 0 to slots - 1: by trying all.

    0 for the identity, and for conjugation, which is no rotation.
    """
    power, steps = 1, 0
    while power != exponent and steps < params.slots:
        power, steps = power * 5 % params.ring.root_order, steps + 1
    return steps % params.slots


def conjugation_exponent(params: Parameters) -> int:
    """The automorphism that conjugates slots: X -> 1/X.

    Raises:
        ValueError: in the conjugate-invariant ring, whose slots are real.
    """
    if params.ring.conjugate_invariant:
        raise ValueError(
            "conjugation was asked for in the conjugate-invariant ring, whose slots are real: leave it out, "
            "or make parameters with real=False."
        )
    return params.ring.root_order - 1


def _rotation_positions(params: Parameters, exponent: int) -> jax.Array:
    return permutation(params.ring, pow(exponent, -1, params.ring.root_order))


@functools.partial(kernel, static_argnames="level")
@wide
def _squared_key(
    key: jax.Array, secret: SecretKey, twiddles: Twiddles, identity: jax.Array, level: int
) -> SwitchingKey:
    moduli = key_moduli(secret.params, level)
    values = evaluate_secret(secret, twiddles, moduli)
    squared = modular.multiply(values, values, constants(moduli))
    return make_switching_key(key, twiddles, secret.params, values, squared, identity, level)


@functools.partial(kernel, static_argnames="level")
@wide
def _rotation_key(
    key: jax.Array,
    secret: SecretKey,
    twiddles: Twiddles,
    identity: jax.Array,
    level: int,
    inverse: jax.Array,
) -> SwitchingKey:
    """The key from s to s(X^(1/e)), so that applying X -> X^e afterwards brings the result back under s.

    That order lets hoisted rotations share one decomposition and permute two components only.
    """
    values = evaluate_secret(secret, twiddles, key_moduli(secret.params, level))
    target = permute(values, inverse)
    return make_switching_key(key, twiddles, secret.params, target, values, identity, level)


def key_moduli(params: Parameters, level: int) -> tuple[int, ...]:
    """The primes of a switching key made for `level`: those of Q that some level up to it has, and P."""
    start, stop = params.key_range(level)
    return params.moduli[start:stop] + params.special


def key_digits(params: Parameters, level: int) -> list[tuple[int, int]]:
    """[start, stop) among `params.moduli` of each digit of a key made for `level`."""
    first, last = params.key_range(level)
    size = params.digit_size
    return [(max(start, first), min(start + size, last)) for start in range(first // size * size, last, size)]


def make_switching_key(
    key: jax.Array,
    twiddles: Twiddles,
    params: Parameters,
    target: jax.Array,
    source: jax.Array,
    identity: jax.Array,
    level: int,
) -> SwitchingKey:
    """The key (-a t + e + g_j source, a) of each digit j, t the target secret; for wide callers only.

    target, source: values of the secrets, uint32 [limb of `key_moduli`, N], evaluation domain. g_j = P
    modulo the primes of digit j, else 0. identity: the key's `switching_identity`, to which its randomness
    is bound: keys for other uses or secrets have other masks and errors, whatever `key` is.
    """
    moduli, digits = key_moduli(params, level), key_digits(params, level)
    stream = derive(key, purpose("switching key", params, level), identity)
    seed_key, error_key = jax.random.split(stream)
    seed = public_seed(seed_key)
    mask = expand_seed(seed, moduli, (len(digits),), params.ring.degree)
    gadget = _gadget(params, level, digits)
    payload = modular.multiply(source, gadget, constants(moduli))
    noise = errors(error_key, twiddles, moduli, (len(digits),))
    payload = modular.add(payload, noise, constants(moduli).value)
    body = modular.subtract(
        payload, modular.multiply(mask, target, constants(moduli)), constants(moduli).value
    )
    return SwitchingKey(jnp.stack([body, mask], 1), seed, identity, params, level)


def _gadget(params: Parameters, level: int, digits: list[tuple[int, int]]) -> jax.Array:
    """uint32 [digit, limb, 1]: P mod q inside the digit, 0 elsewhere."""
    product = math.prod(params.special)
    start, stop = params.key_range(level)
    rows = [
        [product % params.moduli[i] if low <= i < high else 0 for i in range(start, stop)]
        + [0] * len(params.special)
        for low, high in digits
    ]
    return jnp.array(rows, jnp.uint32)[..., None]


def digit_ranges(params: Parameters, level: int) -> list[tuple[int, int]]:
    """[start, stop) of each digit's primes among those of the level."""
    first, _ = params.limb_range(level)
    return [(start - first, stop - first) for start, stop in params.digit_ranges(level)]
