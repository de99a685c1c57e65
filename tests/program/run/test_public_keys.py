"""Clients with a public key: what they encrypt, how precise results are, and who may not."""

import dataclasses

import jax
import numpy as np
import pytest
from circuits import SAMPLES, compiled, data, linear_square_linear, relative_bits, rows

import fhejax


@pytest.fixture(scope="module")
def program():
    return compiled(linear_square_linear, rows(public_key=True))


def test_a_public_key_encrypts_and_the_secret_one_opens(program):
    secret, keys = program.keygen()
    public = program.public_key(secret)
    sent = program.encrypt(public, data(SAMPLES, 4))
    assert sent.seeds is None
    assert sent.data.shape[-3] == 2
    found = program.decrypt(secret, program(keys, sent))
    assert relative_bits(found, np.asarray(linear_square_linear(data(SAMPLES, 4)))) > 9
    seeded = program.encrypt(secret, data(SAMPLES, 4))
    assert seeded.seeds is not None
    told = program.client.predictions
    assert len(fhejax.to_bytes(sent)) == told.public_upload_bytes
    assert len(fhejax.to_bytes(seeded)) == told.upload_bytes
    assert "with a public key" in program.report()


def test_the_noise_of_public_keys_is_predicted():
    """Within half a bit, on every entry of several encryptions."""
    program = compiled(lambda x: 1.0 * x, rows(16, 128, public_key=True))
    secret, keys = program.keygen()
    x, public = data(128, 16), program.public_key(secret)
    errors = [program.decrypt(secret, program(keys, program.encrypt(public, x))) - x for _ in range(4)]
    measured = np.sqrt(np.mean(np.square(errors)))
    assert abs(np.log2(measured / program.plan.predicted_noise[0])) < 0.5
    alone = compiled(lambda x: 1.0 * x, rows(16, 128))
    scales = [p.plan.settings.input_bits for p in (program, alone)]
    noise = [p.plan.predicted_noise[0] * 2.0**bits for p, bits in zip((program, alone), scales, strict=True)]
    assert noise[0] > 8 * noise[1]


def test_equal_messages_have_different_ciphertexts(program):
    secret, _ = program.keygen()
    public, zeros = program.public_key(secret), np.zeros((SAMPLES, 4))
    sent = [np.asarray(program.encrypt(public, zeros).data)[0] for _ in range(2)]
    assert len(np.unique(np.concatenate(sent).reshape(8, -1), axis=0)) == 8


def test_a_client_file_and_a_public_key_file_are_enough_to_encrypt(program, tmp_path):
    secret, keys = program.keygen()
    fhejax.save(tmp_path / "public", program.public_key(secret))
    program.save_client(tmp_path / "client")
    client = fhejax.load_client(tmp_path / "client", allow_insecure=True)
    public = fhejax.load(tmp_path / "public", client.params)
    sent = fhejax.from_bytes(fhejax.to_bytes(client.encrypt(public, data(SAMPLES, 4))), program.params)
    found = client.decrypt(secret, jax.jit(program)(keys, sent))
    assert relative_bits(found, np.asarray(linear_square_linear(data(SAMPLES, 4)))) > 9


def test_public_keys_that_were_not_planned_for_are_refused(program):
    other = compiled(linear_square_linear, rows())
    secret, _ = other.keygen()
    with pytest.raises(ValueError, match=r"compile with Encrypted\(\.\.\., public_key=True\)"):
        other.public_key(secret)
    public = fhejax.ckks.public_key(fhejax.ckks.random_key(), secret)
    with pytest.raises(ValueError, match="planned for the secret key"):
        other.encrypt(public, data(SAMPLES, 4))
    with pytest.raises(TypeError, match="were to be encrypted with an object of type EvaluationKeys"):
        program.encrypt(program.keygen()[1], data(SAMPLES, 4))
    with pytest.raises(TypeError, match="public_key='yes'; it is True where"):
        compiled(linear_square_linear, rows(public_key="yes"))
    wrong = dataclasses.replace(public, params=fhejax.ckks.insecure_parameters(16, 2))
    with pytest.raises(ValueError, match="the public key was made for"):
        program.encrypt(wrong, data(SAMPLES, 4))
