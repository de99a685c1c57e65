"""Programs run on ciphertexts, against the function itself, on a ring too small to be secure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import (
    LOG_DEGREE,
    SAMPLES,
    compiled,
    data,
    in_one_ring,
    linear_square_linear,
    relative_bits,
    rows,
    weights,
)

import fhejax
from fhejax import approx

TANH = approx.chebyshev("tanh", 3, (-2.0, 2.0))
SIGMOID = approx.chebyshev("sigmoid", 5, (-3.0, 3.0))

CIRCUITS = {
    "affine": lambda x: 3 * x[:, ::-1] + 1,
    "linear": lambda x: x @ weights(4, 3) + 1,
    "linear square linear": linear_square_linear,
    "two squares": lambda x: (linear_square_linear(x) + 0.5) ** 2 @ weights(3, 2),
    "square at the output": lambda x: (x + 0.5) ** 2,
    "product": lambda x: x[:, :2] * (x[:, 2:] + 1),
    "degree three": lambda x: TANH(2 * x),
    "degree five": lambda x: SIGMOID(x @ weights(4, 3)) @ weights(3, 2),
    "residual": lambda x: x + linear_square_linear(x) @ weights(3, 4),
    "concatenation": lambda x: jnp.concatenate([x, x**2, jnp.ones((x.shape[0], 1))], 1) @ weights(9, 3),
    "concatenation at the output": lambda x: jnp.concatenate([2 * x, x**4], 1),
    "padded": lambda x: jnp.pad(x, ((0, 0), (1, 1)), constant_values=0.5) ** 2 @ weights(6, 2),
}


def encrypted_result(program, *values):
    secret, keys = program.keygen()
    given = program.encrypt(secret, *values)
    result = program(keys, *given) if len(values) > 1 else program(keys, given)
    return program.decrypt(secret, result)


@pytest.mark.parametrize("name", CIRCUITS)
def test_circuits(name):
    """As precise as predicted, within a bit, and never less than asked for by more than that."""
    function, x = CIRCUITS[name], data(SAMPLES, 4)
    program = in_one_ring(function, rows())
    found, expected = encrypted_result(program, x), np.asarray(function(x))
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    known = min(program.plan.predicted_bits, 24.0)  # to which float32 gives the expected values
    assert relative_bits(found, expected) > max(9.0, known - 1)


@pytest.mark.parametrize("factor", [1e40, 1e-50])
def test_results_of_64_bits_may_be_larger_and_smaller_than_numbers_of_32(factor):
    with jax.enable_x64(True):
        program = in_one_ring(lambda x: x * factor, fhejax.Encrypted((SAMPLES, 4), dtype=jnp.float64))
        x = data(SAMPLES, 4).astype(np.float64)
        found = encrypted_result(program, x)
    assert found.dtype == np.float64
    assert relative_bits(found / factor, x) > 9


@pytest.fixture(scope="module")
def network():
    program = in_one_ring(linear_square_linear, rows())
    return program, *program.keygen()


def close(found, expected, bits=9):
    assert found.shape == expected.shape
    assert relative_bits(found, np.asarray(expected)) > bits


def test_fewer_samples_than_planned(network):
    program, secret, keys = network
    x = data(5, 4)
    found = program.decrypt(secret, program(keys, program.encrypt(secret, x)))
    close(found, linear_square_linear(x))
    close(program.simulate(x), linear_square_linear(x))


def test_an_encrypted_array_decrypts_to_itself(network):
    program, secret, _ = network
    x = data(5, 4)
    close(program.decrypt(secret, program.encrypt(secret, x)), x)


def test_jit_gives_the_same_bits(network):
    program, secret, keys = network
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    direct, jitted = program(keys, ciphertext), jax.jit(program)(keys, ciphertext)
    np.testing.assert_array_equal(direct.data, jitted.data)
    assert jax.tree.structure(direct) == jax.tree.structure(jitted)


def test_the_program_is_a_pytree_argument(network):
    program, secret, keys = network
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    direct = program(keys, ciphertext)
    passed = jax.jit(lambda p, k, c: p(k, c))(program, keys, ciphertext)
    np.testing.assert_array_equal(direct.data, passed.data)


def test_vmap_over_two_batches(network):
    program, secret, keys = network
    batches = [data(SAMPLES, 4), data(SAMPLES, 4)[::-1]]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *(program.encrypt(secret, b) for b in batches))
    results = jax.vmap(program, in_axes=(None, 0))(keys, stacked)
    for number, batch in enumerate(batches):
        one = jax.tree.map(lambda a, n=number: a[n], results)
        close(program.decrypt(secret, one), linear_square_linear(batch))


def test_fresh_encryptions_differ(network):
    program, secret, _ = network
    x = data(SAMPLES, 4)
    first, second = program.encrypt(secret, x), program.encrypt(secret, x)
    assert (np.asarray(first.data) != np.asarray(second.data)).mean() > 0.99


def test_verification(network):
    program, *_ = network
    found = program.verify(data(5, 4))
    assert found.bits > 9
    assert len(str(found).splitlines()) == len(found.layers) + 1
    assert all(layer.encrypted_error < 0.01 for layer in found.layers)


def test_several_blocks():
    samples = 2 * 2**LOG_DEGREE + 3
    program = in_one_ring(lambda x: x**2 @ weights(2, 1), rows(2, samples))
    x = data(samples, 2)
    assert program.plan.blocks == 3
    close(encrypted_result(program, x), x**2 @ weights(2, 1))
    assert encrypted_result(program, x[: 2**LOG_DEGREE + 1]).shape == (2**LOG_DEGREE + 1, 1)


def test_several_arguments_in_other_layouts():
    def function(x, y):
        return x * y.T + x, {"sum": (x + y.T).sum(1)}

    program = in_one_ring(function, rows(3), fhejax.Encrypted((3, SAMPLES), (0, 2), batch_axis=1))
    x, y = data(7, 3), data(3, 7, low=0, high=2)
    found, expected = encrypted_result(program, x, y), function(x, y)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(close, found, expected)


def test_values_that_all_samples_share():
    """Encrypted weights: batch_axis=None, also where fewer samples come than planned."""

    def function(w, x):
        return (x * w[None]).sum(1), w * w

    program = in_one_ring(function, fhejax.Encrypted((3,), batch_axis=None), rows(3))
    w, x = data(3), data(5, 3)
    found = encrypted_result(program, w, x)
    jax.tree.map(close, found, function(w, x))


def test_nothing_but_shared_values():
    program = in_one_ring(lambda w: w**2 + 1, fhejax.Encrypted((3,), batch_axis=None))
    close(encrypted_result(program, data(3)), data(3) ** 2 + 1)


def test_nested_arguments_and_results_that_mix_plain_and_encrypted():
    def function(inputs, z):
        x, y = inputs["x"], inputs["y"][0]
        return {"constant": jnp.arange(3), "product": x * y, "more": [jnp.float32(2.5), z + x]}

    nested = {"x": rows(2), "y": (rows(2),)}
    program = in_one_ring(function, nested, rows(2))
    secret, keys = program.keygen()
    values = ({"x": data(SAMPLES, 2), "y": (data(SAMPLES, 2) / 2,)}, data(SAMPLES, 2))
    given = program.encrypt(secret, *values)
    assert isinstance(given[0]["y"][0], fhejax.EncryptedArray)
    found = program.decrypt(secret, program(keys, *given))
    expected = function(*values)
    np.testing.assert_array_equal(found["constant"], [0, 1, 2])
    assert found["more"][0] == 2.5
    close(found["product"], expected["product"])
    close(found["more"][1], expected["more"][1])
    np.testing.assert_allclose(program.clear(*values)["product"], expected["product"], atol=1e-6)


def test_plain_arguments_are_given_with_the_call():
    def function(x, w):
        return (x @ w) ** 2 + w.sum()

    program = in_one_ring(function, rows(), fhejax.Plain((4, 3)))
    secret, keys = program.keygen()
    x = data(SAMPLES, 4)
    ciphertext = program.encrypt(secret, x)
    for w in (data(4, 3), -data(4, 3) / 2, np.ones((4, 3), np.float32)):
        expected = np.asarray(function(x, w))
        close(program.decrypt(secret, program(keys, ciphertext, w)), expected, bits=8)
        np.testing.assert_allclose(program.clear(x, w), expected, atol=1e-5)


def test_empty_slots_cannot_overflow():
    """Far from zero, what fills unused slots must lie in the range too."""
    argument = rows(2, range=(1000.0, 1001.0))
    program = compiled(lambda x: ((x - 1000.5) ** 2 + 1) ** 2, argument, precision_bits=4)
    x = data(3, 2, low=1000, high=1001)
    close(encrypted_result(program, x), ((x - 1000.5) ** 2 + 1) ** 2, bits=3)


def test_other_dtypes():
    argument = fhejax.Encrypted((SAMPLES, 4), dtype=jnp.bfloat16)
    program = in_one_ring(lambda x: x * 2, argument)
    x = jnp.asarray(data(SAMPLES, 4), jnp.bfloat16)
    found = encrypted_result(program, x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.astype(np.float32), 2 * np.asarray(x, np.float32), rtol=0.02, atol=0.01)


def test_real_security():
    def function(x):
        return (x @ weights(8, 4) + 0.1) ** 2 @ weights(4, 2)

    program = fhejax.compile(function, fhejax.Encrypted((4096, 8), range=(0, 1)))
    assert program.params.security == program.plan.security >= 128
    assert f"security      {program.params.security} bits: log2 QP" in program.report()
    assert "INSECURE" not in program.report()
    x = data(4096, 8, low=0)
    found, expected = encrypted_result(program, x), np.asarray(function(x))
    assert relative_bits(found, expected) > max(9.5, program.plan.predicted_bits - 0.5)


def test_a_jitted_program_that_is_checked_refuses_what_plain_jit_cannot():
    program = fhejax.compile(lambda x: x * x, fhejax.Encrypted((4, 2)), insecure_log_degree=10)
    secret, keys = program.keygen()
    _, others = program.keygen()
    values = np.full((4, 2), 0.5)
    argument = program.encrypt(secret, values)
    checked = fhejax.ckks.checked(jax.jit(program))
    assert np.abs(program.decrypt(secret, checked(keys, argument)) - 0.25).max() < 1e-2
    with pytest.raises(ValueError, match="of different secret keys"):
        checked(others, argument)
    with pytest.raises(ValueError, match="from ciphertexts or keys of different secrets"):
        program.decrypt(secret, jax.jit(program)(others, argument))
    altered = dataclasses.replace(argument, data=argument.data | np.uint32(2**31))
    with pytest.raises(ValueError, match="the encrypted array holds a residue that is not below its prime"):
        checked(keys, altered)


def test_a_result_that_a_server_described_anew_is_refused(network):
    program, secret, keys = network[:3]
    result = program(keys, program.encrypt(secret, data(SAMPLES, 4)))
    moved = dataclasses.replace(result.view, offset=np.asarray(result.view.offset) + 1)
    altered = {
        "samples": dataclasses.replace(result, samples=SAMPLES + 1),
        "scale": dataclasses.replace(result, scale=result.scale * 2),
        "factors": dataclasses.replace(result, view=moved),
        "shape": dataclasses.replace(result, shape=(SAMPLES, 9)),
    }
    for wrong, other in altered.items():
        with pytest.raises(ValueError, match=f"none that this program makes.*{wrong}"):
            program.decrypt(secret, other)
