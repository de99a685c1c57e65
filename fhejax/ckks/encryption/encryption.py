"""Encryption under a secret or a public key, seeded ciphertexts, and decryption."""

import jax
import jax.numpy as jnp

from fhejax.ckks.keys.generation import (
    check_cryptographic_key,
    errors,
    evaluate_secret,
    expand_seed,
    public_seed,
    purpose,
)
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.noise.precision import check_precision_left
from fhejax.ckks.parameters.parameters import twiddles_of
from fhejax.ckks.types import (
    Ciphertext,
    Plaintext,
    PublicKey,
    SecretKey,
    SeededCiphertext,
    check_opens,
    check_residues,
    check_same_parameters,
)
from fhejax.ring import Twiddles, modular, ntt
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.randomness import centred_binomial, derive, signed_to_residues, ternary
from fhejax.ring.wide import kernel, wide


def encrypt(key: jax.Array, holder: SecretKey | PublicKey, plaintext: Plaintext) -> Ciphertext:
    """Encrypt each plaintext of a batch.

    All randomness is bound to the key, the holder and the plaintexts, so that no two messages are hidden by
    one mask, whatever becomes of the key: under `jax.vmap` with one key for all, in a loop, or when a run is
    resumed with its data in another order. Equal plaintexts under one key have equal ciphertexts, except in
    lanes of `jax.vmap` and within a batch.

    Args:
        key: a cryptographic random key, used once.
        holder: the secret key (smaller noise: variance 10.5 a coefficient), or a public key (variance
            10.5 (4/3 M + 1), M the ambient degree).
        plaintext: data [..., limb, N] in the evaluation domain.

    Returns:
        Ciphertext [..., 2, limb, N] at the plaintext's level and scale.

    Raises:
        ValueError: a random key that is not cryptographic, or other parameters.
    """
    if isinstance(holder, SecretKey):
        return expand(encrypt_seeded(key, holder, plaintext))
    check_cryptographic_key(key)
    check_same_parameters(holder, plaintext)
    return _encrypt_publicly(key, holder, plaintext, twiddles_of(holder.params))


def encrypt_seeded(key: jax.Array, secret: SecretKey, plaintext: Plaintext) -> SeededCiphertext:
    """Encrypt under the secret key, in half the bytes: c_1 travels as a fresh 256-bit seed."""
    check_cryptographic_key(key)
    check_same_parameters(secret, plaintext)
    return _encrypt_seeded(key, secret, plaintext, twiddles_of(secret.params))


@kernel
@wide
def _encrypt_seeded(
    key: jax.Array, secret: SecretKey, plaintext: Plaintext, twiddles: Twiddles
) -> SeededCiphertext:
    """c_0 = m + e - a s, with a drawn from a seed made by a key of its own."""
    params, batch = plaintext.params, plaintext.data.shape[:-2]
    moduli = params.level_moduli(plaintext.level)
    name = purpose("encryption under a secret key", params, plaintext.level)
    seed_key, error_key = jax.random.split(derive(key, name, secret.key_id, message=plaintext.data))
    seed = public_seed(seed_key)
    mask = expand_seed(seed, moduli, batch, params.ring.degree)
    product = modular.multiply(mask, evaluate_secret(secret, twiddles, moduli), constants(moduli))
    noise = errors(error_key, twiddles, moduli, batch)
    noisy = modular.add(plaintext.data, noise, constants(moduli).value)
    body = modular.subtract(noisy, product, constants(moduli).value)
    return SeededCiphertext(body, seed, secret.key_id, params, plaintext.level, plaintext.scale)


@kernel
@wide
def expand(seeded: SeededCiphertext) -> Ciphertext:
    """Draw c_1 from its seed: what a server does once, at load."""
    params = seeded.params
    moduli = params.level_moduli(seeded.level)
    mask = expand_seed(seeded.seed, moduli, seeded.body.shape[:-2], params.ring.degree)
    data = jnp.stack([seeded.body, mask], -3)
    return Ciphertext(data, seeded.key_id, params, seeded.level, seeded.scale, "evaluation")


@kernel
@wide
def _encrypt_publicly(
    key: jax.Array, public: PublicKey, plaintext: Plaintext, twiddles: Twiddles
) -> Ciphertext:
    """(b u + e_0 + m, a u + e_1) with u uniform ternary."""
    params, batch = plaintext.params, plaintext.data.shape[:-2]
    moduli = params.level_moduli(plaintext.level)
    limbs = constants(moduli)
    name = purpose("encryption under a public key", params, plaintext.level)
    stream = derive(key, name, public.key_id, public.seed, message=plaintext.data)
    mask_key, first, second = jax.random.split(stream, 3)
    degree = params.ring.degree
    noise = [centred_binomial(k, batch, degree) for k in (first, second)]
    small = materialise(jnp.stack([ternary(mask_key, batch, degree), *noise], -2))
    values = ntt(signed_to_residues(small, moduli), twiddles, moduli)
    start, stop = params.limb_range(plaintext.level)
    hidden = modular.multiply(values[..., :1, :, :], public.data[:, start:stop], limbs)
    data = modular.add(hidden, values[..., 1:, :, :], limbs.value)
    body = modular.add(data[..., 0, :, :], plaintext.data, limbs.value)
    data = jnp.stack([body, data[..., 1, :, :]], -3)
    return Ciphertext(data, public.key_id, params, plaintext.level, plaintext.scale, "evaluation")


def decrypt(
    secret: SecretKey, ciphertext: Ciphertext, *, prediction: NoiseEstimate | None = None
) -> Plaintext:
    """c_0 + c_1 s (+ c_2 s^2): the message and its noise, Plaintext [..., limb, N].

    Do not show a decryption to others: in CKKS it reveals the noise, and with it the key
    (Li and Micciancio 2021).

    Args:
        secret: of the ciphertext.
        ciphertext: data [..., poly, limb, N].
        prediction: what the circuit made of `ckks.estimate(params, values)`, if known. When called
            eagerly, a PrecisionWarning says that noise has drowned the message, and an OverflowWarning
            that it has outgrown its modulus. Both stay here: nothing is raised because of what is found.

    Raises:
        ValueError: a ciphertext of another key or other parameters, residues out of range, or a
            prediction for another level or scale.
    """
    check_same_parameters(secret, ciphertext)
    check_opens(secret, ciphertext)
    check_residues(ciphertext.data, ciphertext.moduli, "the ciphertext")
    check_precision_left(ciphertext, prediction)
    return decrypted(secret, ciphertext, twiddles_of(secret.params))


@kernel
@wide
def decrypted(secret: SecretKey, ciphertext: Ciphertext, twiddles: Twiddles) -> Plaintext:
    """What `decrypt` finds, of a ciphertext that nobody looks at."""
    moduli = ciphertext.moduli
    limbs = constants(moduli)
    data = ciphertext.data
    if ciphertext.domain == "coefficient":
        data = ntt(data, twiddles, moduli)
    values = evaluate_secret(secret, twiddles, moduli)
    total = data[..., -1, :, :]
    for component in range(ciphertext.components - 2, -1, -1):
        product = modular.multiply(total, values, limbs)
        total = modular.add(product, data[..., component, :, :], limbs.value)
    return Plaintext(total, ciphertext.params, ciphertext.level, ciphertext.scale, "evaluation")
