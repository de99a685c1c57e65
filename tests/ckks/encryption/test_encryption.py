"""Encryption: right, as noisy as predicted, fresh each time; and what it refuses."""

import copy
import dataclasses
import pickle
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import EvaluationKeys, SecretKey
from fhejax.ckks.keys import SwitchingKey
from fhejax.ckks.parameters import ParameterOptions, deviations, make_parameters
from fhejax.ring import Ring


def bits_off(found: float, predicted: float) -> float:
    return abs(np.log2(found / predicted))


def holders(scheme) -> dict[str, tuple[object, float]]:
    ring = scheme.params.ring
    return {
        "secret": (scheme.secret, deviations.fresh_deviation(ring)),
        "public": (scheme.public, deviations.fresh_public_deviation(ring)),
    }


@pytest.mark.parametrize("holder", ["secret", "public"])
def test_decryption_gives_the_message_within_the_noise(insecure, holder):
    key, predicted = holders(insecure)[holder]
    values = insecure.numbers(50)
    plaintext = ckks.encode(insecure.params, values)
    ciphertext = ckks.encrypt(ckks.random_key(), key, plaintext)
    assert ciphertext.data.shape == (50, 2, 5, 256)
    # the masks u and the secret are one draw each: their norm varies by a few percent at N = 256
    assert bits_off(insecure.deviation(ciphertext, values), predicted) < 0.2


@pytest.mark.parametrize(
    "ring",
    [*(pytest.param(Ring(2**k, True), marks=pytest.mark.nightly) for k in (11, 13)), Ring(2**12)],
    ids=str,
)
def test_fresh_noise_is_as_predicted_at_secure_parameters(ring):
    params = make_parameters(ring, 0, 24, ParameterOptions(base_bits=28, key_switching=False))
    first, second, third, fourth = jax.random.split(ckks.random_key(), 4)
    secret = ckks.secret_key(first, params)
    public = ckks.public_key(second, secret)
    values = np.random.default_rng(0).uniform(-1, 1, (4, ring.slots))
    plaintext = ckks.encode(params, values)
    for key, holder, predicted in (
        (third, secret, deviations.fresh_deviation(ring)),
        (fourth, public, deviations.fresh_public_deviation(ring)),
    ):
        found = ckks.decode(ckks.decrypt(secret, ckks.encrypt(key, holder, plaintext)))
        error = (np.asarray(found) - values).real * float(plaintext.scale)
        assert bits_off(error.std(), predicted) < 0.1


def test_seeded_ciphertexts_expand_to_the_same_message(insecure):
    values = insecure.numbers(2)
    plaintext = ckks.encode(insecure.params, values)
    key = ckks.random_key()
    seeded = ckks.encryption.encrypt_seeded(key, insecure.secret, plaintext)
    assert seeded.body.shape == (2, 5, 256)
    assert seeded.seed.shape == (8,)
    expanded = ckks.encryption.expand(seeded)
    again = ckks.encrypt(jax.random.clone(key), insecure.secret, plaintext)
    assert (expanded.data == again.data).all()
    assert (expanded.data == jax.jit(ckks.encryption.expand)(seeded).data).all()
    assert abs(insecure.decrypt(expanded) - values).max() < 1e-4
    assert "batch=(2,)" in repr(seeded)


def test_encryptions_differ_from_key_to_key_and_within_a_batch(insecure):
    plaintext = ckks.encode(insecure.params, np.zeros((2, 4)))
    for holder in (insecure.secret, insecure.public):
        first, second = (ckks.encrypt(ckks.random_key(), holder, plaintext).data for _ in range(2))
        rows = np.concatenate([np.asarray(first), np.asarray(second)])
        for component in (0, 1):
            assert len(np.unique(rows[:, component, 0], axis=0)) == 4
            equal = (rows[:2, component] == rows[2:, component]).mean()
            assert equal < 1e-2


def test_a_ciphertext_looks_uniform(insecure_real):
    """Of a constant message: every residue class, in both components and every limb."""
    plaintext = ckks.encode(insecure_real.params, np.zeros((50, 4)))
    data = np.asarray(ckks.encrypt(ckks.random_key(), insecure_real.secret, plaintext).data)
    moduli = np.array(insecure_real.params.level_moduli(4))[:, None]
    means = (data / moduli).mean((0, 3))
    assert abs(means - 0.5).max() < 6 / np.sqrt(12 * 50 * 256)


def test_jit_and_vmap_give_the_same_bits(insecure_real):
    plaintext = ckks.encode(insecure_real.params, insecure_real.numbers(2))
    secret, key = insecure_real.secret, ckks.random_key()
    expected = ckks.encrypt(key, secret, plaintext)
    again = jax.jit(ckks.encrypt)(jax.random.clone(key), secret, plaintext)
    assert (again.data == expected.data).all()
    decrypted = ckks.decrypt(secret, expected).data
    assert (jax.jit(ckks.decrypt)(secret, expected).data == decrypted).all()
    each = jax.vmap(lambda data: ckks.decrypt(secret, expected.replace(data=data)).data)
    assert (each(expected.data) == decrypted).all()


def test_encryption_at_a_lower_level(insecure):
    values = insecure.numbers(2)
    plaintext = ckks.encode(insecure.params, values, level=0)
    for holder in (insecure.secret, insecure.public):
        ciphertext = ckks.encrypt(ckks.random_key(), holder, plaintext)
        assert ciphertext.level == 0
        assert abs(insecure.decrypt(ciphertext) - values).max() < 2e-3


def test_keys_that_are_not_cryptographic_are_refused(insecure_real):
    secret, params = insecure_real.secret, insecure_real.params
    plaintext = ckks.encode(params, np.zeros(4))
    weak = jax.random.key(0)
    several = jax.random.split(ckks.random_key(), 2)
    for key in (weak, several, 0, jnp.zeros(8, jnp.uint32)):
        for call in (
            lambda key: ckks.secret_key(key, params),
            lambda key: ckks.public_key(key, secret),
            lambda key: ckks.encrypt(key, secret, plaintext),
            lambda key: ckks.encrypt(key, insecure_real.public, plaintext),
            lambda key: ckks.encryption.encrypt_seeded(key, secret, plaintext),
            lambda key: ckks.evaluation_keys(key, secret, relinearise=True),
        ):
            with pytest.raises(ValueError, match=r"cryptographic random key.*random_key\(\)"):
                call(key)


def test_other_keys_and_parameters_are_refused(insecure_real, insecure_complex):
    ciphertext = insecure_real.encrypt(insecure_real.numbers())
    stranger = ckks.secret_key(ckks.random_key(), insecure_real.params)
    with pytest.raises(ValueError, match="different secret keys were combined"):
        ckks.decrypt(stranger, ciphertext)
    with pytest.raises(ValueError, match="have different parameters"):
        ckks.decrypt(insecure_complex.secret, ciphertext)
    plaintext = ckks.encode(insecure_complex.params, np.zeros(4))
    for holder in (insecure_real.secret, insecure_real.public):
        with pytest.raises(ValueError, match="have different parameters"):
            ckks.encrypt(ckks.random_key(), holder, plaintext)


def test_a_wrong_key_learns_nothing(insecure_real):
    """With the check out of the way, decryption under another secret is noise."""
    values = np.zeros(4)
    ciphertext = insecure_real.encrypt(values)
    stranger = ckks.secret_key(ckks.random_key(), insecure_real.params)
    found = jax.jit(lambda s, c: ckks.decode(ckks.decrypt(s, c)))(stranger, ciphertext)
    assert np.abs(np.asarray(found)).mean() > 1e6


def test_tampered_residues_are_refused(insecure_real):
    ciphertext = insecure_real.encrypt(insecure_real.numbers())
    modulus = ciphertext.moduli[2]
    tampered = ciphertext.replace(data=ciphertext.data.at[1, 2, 7].set(modulus))
    with pytest.raises(ValueError, match="not below its prime"):
        ckks.decrypt(insecure_real.secret, tampered)
    with pytest.raises(ValueError, match="4 limbs; it needs uint32 with 5 limbs"):
        ckks.decrypt(insecure_real.secret, ciphertext.replace(data=ciphertext.data[:, :4]))
    with pytest.raises(ValueError, match="holds int32"):
        signed = ciphertext.data.astype(jnp.int32)
        ckks.decrypt(insecure_real.secret, ciphertext.replace(data=signed))


def test_a_secret_hides_itself(insecure_real):
    secret = insecure_real.secret
    for text in (repr(secret), str(secret), f"{secret}"):
        assert text == "SecretKey(N=256, coefficients hidden)"
    for copied in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="SecretKey was about to be pickled"):
            copied(secret)
    coefficients = np.asarray(secret.coefficients)
    assert coefficients.dtype == np.int8
    assert set(np.unique(coefficients)) == {-1, 0, 1}
    others = ckks.secret_key(ckks.random_key(), secret.params)
    assert (coefficients != np.asarray(others.coefficients)).mean() > 0.5
    assert (np.asarray(secret.key_id) != np.asarray(others.key_id)).any()


def test_evaluation_keys_cannot_hold_a_secret(insecure_real):
    """No field for one, no leaf but residues, seeds and ids; and a smuggled one is refused."""
    for kind in (EvaluationKeys, SwitchingKey):
        for hint in typing.get_type_hints(kind).values():
            assert hint is not SecretKey
            assert SecretKey not in typing.get_args(hint)
    keys = insecure_real.keys
    assert {leaf.dtype for leaf in jax.tree.leaves(keys)} == {np.dtype(np.uint32)}
    secret = np.asarray(insecure_real.secret.coefficients).astype(np.int64)
    for leaf in jax.tree.leaves(keys):
        if leaf.ndim > 1:
            for limb, q in enumerate(insecure_real.params.moduli):
                assert not (np.asarray(leaf)[..., limb, :] == secret % q).all(-1).any()
    smuggled = dataclasses.replace(keys, relinearisation=insecure_real.secret)
    with pytest.raises(TypeError, match="SecretKey was about to be pickled"):
        pickle.dumps(smuggled)


def test_keys_print_and_count_their_bytes(insecure_real):
    keys = insecure_real.keys
    digits, limbs = keys.relinearisation.body.shape[:2]
    assert keys.wire_bytes == 2 * (4 * digits * limbs * 256 + 32)
    assert repr(keys).startswith("EvaluationKeys(N=256, relinearisation=True, rotations=[5]")
    assert repr(insecure_real.public) == "PublicKey(N=256)"
    assert repr(keys.relinearisation) == "SwitchingKey(N=256, level=4)"


def test_keys_need_parameters_made_for_them():
    params = ckks.insecure_parameters(16, 1, key_switching=False)
    secret = ckks.secret_key(ckks.random_key(), params)
    with pytest.raises(ValueError, match="made without key switching"):
        ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True)
    assert ckks.evaluation_keys(ckks.random_key(), secret).wire_bytes == 0
