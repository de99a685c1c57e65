"""Bad input ends in a sentence that says what was found and what is needed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import LOG_DEGREE, SAMPLES, compiled, data, linear_square_linear, rows, weights

import fhejax
from fhejax import Encrypted, Plain, ckks
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.program.arguments import check_values, describe


def squared(x):
    return (x @ weights(4, 4)) ** 2 @ weights(4, 2) + (x @ weights(4, 2)) ** 4


@pytest.fixture(scope="module")
def network():
    """A program that relinearises, its keys, a ciphertext and its result."""
    program = compiled(squared, rows())
    secret, keys = program.keygen()
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    return program, secret, keys, ciphertext


@pytest.fixture(scope="module")
def other():
    """A program of other parameters, without relinearisation."""
    program = compiled(linear_square_linear, rows(), precision_bits=12)
    return program, *program.keygen()


VALUES = {
    "shape": (np.zeros((4, 5)), ValueError, r"shape \(4, 5\).*planned for \(12, 4\).*at most 12"),
    "rank": (np.zeros(4), ValueError, r"shape \(4,\).*planned for \(12, 4\)"),
    "too many": (np.zeros((13, 4)), ValueError, r"13 samples.*planned for 1 to 12"),
    "none": (np.zeros((0, 4)), ValueError, "0 samples"),
    "nan": (np.full((2, 4), np.nan), ValueError, "8 of the values.*NaN"),
    "infinite": (np.full((2, 4), np.inf), ValueError, "NaN or infinite"),
    "high": (np.full((2, 4), 1.5), ValueError, r"\[1.5, 1.5\], outside the range \(-1, 1\)"),
    "low": (np.full((2, 4), -1.001), ValueError, "outside the range"),
    "complex": (np.zeros((2, 4), complex), TypeError, "complex128.*real numbers"),
    "text": (np.full((2, 4), "one"), TypeError, "real numbers are needed"),
    "nothing": (None, TypeError, "real numbers are needed"),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name, network):
    values, error, sentence = VALUES[name]
    program, secret, *_ = network
    with pytest.raises(error, match=sentence):
        program.encrypt(secret, values)
    with pytest.raises(error, match=sentence):
        program.clear(values)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8, np.uint32, bool, jnp.bfloat16])
def test_every_real_dtype_is_taken(dtype):
    values = check_values(Encrypted((4, 2)), np.ones((3, 2), dtype))
    assert values.dtype == np.float64


DESCRIPTIONS = {
    "array": (np.zeros((4, 4)), TypeError, "type ndarray.*fhejax.Encrypted"),
    "number": (3, TypeError, "type int"),
    "reversed": (Encrypted((4, 2), (1, -1)), ValueError, r"\(1.0, -1.0\).*low < high"),
    "empty range": (Encrypted((4, 2), (1, 1)), ValueError, "low < high"),
    "infinite range": (Encrypted((4, 2), (0, np.inf)), ValueError, "finite"),
    "nan range": (Encrypted((4, 2), (np.nan, 1)), ValueError, "finite"),
    "single range": (Encrypted((4, 2), 5), TypeError, "pair of numbers"),
    "text range": (Encrypted((4, 2), ("a", "b")), TypeError, "pair of numbers"),
    "plain range": (Plain((4,), (2, 1)), ValueError, "a plain argument.*low < high"),
    "shape": (Encrypted(4), TypeError, "tuple of whole numbers"),
    "plain type": (Plain((4,), (-1e5, 1e5), jnp.float16), ValueError, "float16.*at most 65504"),
    "plain shape": (Plain([4, 2]), TypeError, "tuple of whole numbers"),
    "fractional shape": (Encrypted((4, 2.5)), TypeError, "tuple of whole numbers"),
    "empty shape": (Encrypted((4, 0)), ValueError, "empty shape"),
    "axis": (Encrypted((4, 2), batch_axis=2), ValueError, "batch_axis=2.*one of its axes"),
    "several axes": (Encrypted((4, 2), batch_axis=(0,)), TypeError, r"batch_axis=\(0,\).*along one axis"),
    "fractional axis": (Encrypted((4, 2), batch_axis=1.0), TypeError, "batch_axis=1.0.*along one axis"),
    "axis true": (Encrypted((4, 2), batch_axis=True), TypeError, "batch_axis=True.*along one axis"),
    "scalar axis": (Encrypted(()), ValueError, "batch_axis=0"),
    "integers": (Encrypted((4, 2), dtype=jnp.int32), TypeError, "floating-point"),
    "bare integers": (jax.ShapeDtypeStruct((4, 2), jnp.int32), TypeError, "floating-point"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions(name):
    argument, error, sentence = DESCRIPTIONS[name]
    with pytest.raises(error, match=sentence):
        describe(argument)
    if not isinstance(argument, Plain):
        with pytest.raises(error, match=sentence):
            fhejax.compile(lambda x: x, argument)


def test_descriptions_are_completed():
    assert describe(Encrypted((4, 2), batch_axis=-1)).batch_axis == 1
    assert describe(jax.ShapeDtypeStruct((4, 2), jnp.float32)) == Encrypted((4, 2))


def test_compile_needs_something_encrypted():
    with pytest.raises(ValueError, match="no encrypted argument"):
        compiled(lambda: 1.0)
    with pytest.raises(ValueError, match="no encrypted argument"):
        compiled(lambda x: x, Plain((4,)))
    with pytest.raises(ValueError, match="no result of the function depends"):
        compiled(lambda x: jnp.ones(3) * 2, rows())
    with pytest.raises(ValueError, match=r"batches of \[4, 5\]"):
        compiled(lambda x, y: (x, y), rows(2, 4), rows(2, 5))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_must_be_finite(bad):
    kernel = weights(4, 2).at[1, 1].set(bad)
    for function in (
        lambda x: x @ kernel,
        lambda x: x * kernel[None, :, 1],
        lambda x: x + kernel[1, 1],
    ):
        with pytest.raises(ValueError, match="NaN or infinite weights"):
            compiled(function, rows())
    with pytest.raises(ValueError, match=r"test_errors.py:\d+\) has NaN or infinite weights"):
        compiled(lambda x: (x @ kernel) ** 2, rows())


def test_samples_must_fit_the_arguments():
    with pytest.raises(ValueError, match=r"sample holds 2 arrays.*1 encrypted"):
        compiled(lambda x: x, rows(), sample=(data(3, 4), data(3, 4)))
    with pytest.raises(ValueError, match="planned for"):
        compiled(lambda x: x, rows(), sample=data(3, 5))


def test_too_deep():
    def function(x):
        for _ in range(40):
            x = x**2
        return x

    with pytest.raises(fhejax.TooDeepError) as caught:
        fhejax.compile(function, Encrypted((SAMPLES, 1)), sample=np.full((2, 1), 1.0))
    for part in ("40 times in a row", "2**16", "10 bits", "128-bit", "lower-degree", "range"):
        assert part in str(caught.value)


def test_number_and_nesting_of_arguments(network):
    program, secret, keys, ciphertext = network
    x = data(SAMPLES, 4)
    for call in (
        lambda: program.encrypt(secret),
        lambda: program.encrypt(secret, x, x),
        lambda: program(keys),
        lambda: program(keys, ciphertext, ciphertext),
        lambda: program.clear(x, x),
        lambda: program.simulate(),
        lambda: program.verify(x, x),
    ):
        with pytest.raises(ValueError, match="it needs 1, nested like"):
            call()


def test_arguments_need_the_same_samples():
    program = compiled(lambda x, y: x + y, rows(), rows())
    secret, keys = program.keygen()
    with pytest.raises(ValueError, match=r"\[3, 5\] samples"):
        program.encrypt(secret, data(3, 4), data(5, 4))
    with pytest.raises(ValueError, match=r"\[3, 5\] samples"):
        program.clear(data(3, 4), data(5, 4))
    few, _ = program.encrypt(secret, data(3, 4), data(3, 4))
    many, _ = program.encrypt(secret, data(5, 4), data(5, 4))
    with pytest.raises(ValueError, match=r"\[3, 5\] samples"):
        program(keys, few, many)


def test_what_a_program_is_called_with(network):
    program, secret, keys, ciphertext = network
    with pytest.raises(TypeError, match=r"ndarray where it needs an EncryptedArray.*encrypt"):
        program(keys, data(SAMPLES, 4))
    with pytest.raises(TypeError, match="SecretKey as its first argument"):
        program(secret, ciphertext)
    with pytest.raises(TypeError, match="EncryptedArray as its first argument"):
        program(ciphertext, keys)
    with pytest.raises(ValueError, match="encrypt"):
        program(keys, program(keys, ciphertext))


def test_keys_of_other_parameters(network, other):
    program, _, keys, ciphertext = network
    _, other_secret, other_keys = other
    with pytest.raises(ValueError, match=r"evaluation keys was made for|keys with this program's"):
        program(other_keys, ciphertext)
    with pytest.raises(ValueError, match="keygen"):
        program.encrypt(other_secret, data(SAMPLES, 4))
    with pytest.raises(ValueError, match="keygen"):
        program.decrypt(other_secret, program(keys, ciphertext))


def test_ciphertexts_of_other_parameters(network, other):
    program, _, keys, _ = network
    other_program, other_secret, _ = other
    with pytest.raises(ValueError, match="the encrypted array was made for"):
        program(keys, other_program.encrypt(other_secret, data(SAMPLES, 4)))


def test_keys_of_another_keygen(network):
    program, _, keys, ciphertext = network
    another_secret, another_keys = program.keygen()
    with pytest.raises(ValueError, match="one keygen"):
        program(another_keys, ciphertext)
    with pytest.raises(ValueError, match="one keygen"):
        program.decrypt(another_secret, ciphertext)
    with pytest.raises(ValueError, match="one keygen"):
        program.decrypt(another_secret, program(keys, ciphertext))


def altered(array, data):
    return dataclasses.replace(array, data=jnp.asarray(data))


def test_altered_residues(network):
    program, secret, keys, ciphertext = network
    residues = np.asarray(ciphertext.data).copy()
    residues[0, 1, 0, 0, 5] = ciphertext.flat(0).moduli[0]
    with pytest.raises(ValueError, match="not below its prime"):
        program(keys, altered(ciphertext, residues))
    with pytest.raises(ValueError, match="not below its prime"):
        program.decrypt(secret, altered(ciphertext, residues))


def test_altered_shapes(network):
    program, _, keys, ciphertext = network
    for cut in (
        ciphertext.data[:, :3],
        ciphertext.data[:, :, :0],
        ciphertext.expanded().data,
        ciphertext.data[..., :1, :],
        ciphertext.data[..., :64],
        jnp.concatenate([ciphertext.data] * 2),
        ciphertext.data[:0],
    ):
        with pytest.raises(ValueError, match="altered"):
            program(keys, altered(ciphertext, cut))
    for seeds in (ciphertext.seeds[:, :3], ciphertext.seeds[..., :4]):
        with pytest.raises(ValueError, match="altered"):
            program(keys, dataclasses.replace(ciphertext, seeds=seeds))
    with pytest.raises(ValueError, match="uint32"):
        program(keys, altered(ciphertext, ciphertext.data.astype(jnp.int32)))


def test_altered_fields(network):
    program, _, keys, ciphertext = network
    for changes in (
        {"level": ciphertext.level - 1},
        {"scale": ciphertext.scale * 2},
        {"shape": (SAMPLES, 2, 2)},
        {"batch_axis": None},
    ):
        with pytest.raises(ValueError, match="encrypt it with this program"):
            program(keys, dataclasses.replace(ciphertext, **changes))


def test_missing_relinearisation_key(network):
    program, secret, _, ciphertext = network
    keys = ckks.evaluation_keys(ckks.random_key(), secret)
    assert program.plan.relinearises
    with pytest.raises(ValueError, match="needs its key"):
        program(keys, ciphertext)


def test_plain_arguments():
    program = compiled(lambda x, w: x @ w, rows(), Plain((4, 2)))
    secret, keys = program.keygen()
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    for values, error, sentence in [
        (np.zeros((2, 4)), ValueError, r"shape \(2, 4\).*\(4, 2\) are needed"),
        (np.full((4, 2), np.nan), ValueError, "finite numbers"),
        (np.full((4, 2), 1.5), ValueError, "compile with a wider range"),
        (np.full((4, 2), "one"), TypeError, "real numbers"),
    ]:
        with pytest.raises(error, match=sentence):
            program(keys, ciphertext, values)
        with pytest.raises(error, match=sentence):
            program.clear(data(SAMPLES, 4), values)
    with pytest.raises(TypeError, match="a plain argument of a program was traced"):
        jax.jit(lambda w: program(keys, ciphertext, w))(weights(4, 2))


def test_a_secret_key_is_not_shown(network):
    _, secret, *_ = network
    assert "hidden" in repr(secret)
    assert secret.params.ring.degree.bit_length() - 1 == LOG_DEGREE


def test_a_level_of_security_is_one_of_the_table():
    """Whatever else is asked for: nothing that counts as false, as 1 or as 128 will do."""
    for security in (0, -1, 100, 128.0, 128.5, True, False, None, "128"):
        for options in ({}, {"insecure_log_degree": LOG_DEGREE}):
            with pytest.raises(ckks.SecurityError, match=r"security=.* known for 128, 192 and 256"):
                fhejax.compile(squared, rows(), security=security, **options)


def test_insecure_rings_have_a_degree():
    for log_degree in (0, 3, 18, -1, 6.0, True, "6"):
        with pytest.raises(ValueError, match=r"insecure_log_degree=.* is a whole number from 4 to 17"):
            fhejax.compile(squared, rows(), insecure_log_degree=log_degree)


def test_insecure_is_true_or_false_and_permits_given_parameters_alone():
    for insecure in (0, 1, None, "yes"):
        with pytest.raises(ValueError, match=r"insecure=.* True or False"):
            fhejax.compile(squared, rows(), insecure=insecure)
    for bootstrapping in (True, False):
        with pytest.raises(ValueError, match="pass them as parameters= or bootstrapping=, or a small ring"):
            fhejax.compile(squared, rows(), insecure=True, bootstrapping=bootstrapping)
    for wrong in (1, None, ckks.insecure_parameters(64, 1)):
        with pytest.raises(ValueError, match="it is True, False, or BootstrappingParameters"):
            fhejax.compile(squared, rows(), bootstrapping=wrong)


def test_given_parameters_reach_the_security_that_is_asked_for():
    options = BootstrappingOptions(hamming_weight=4, double_angles=1)
    small = ckks.BootstrappingParameters.for_levels(1, degree=64, slots=16, insecure=True, options=options)
    for security in (128, 192, 256):
        with pytest.raises(ckks.SecurityError, match=f"{security}-bit security .* reach 0 bits.*INSECURE"):
            fhejax.compile(squared, rows(), security=security, bootstrapping=small)
    secure = ckks.BootstrappingParameters.for_levels(0)
    for security in (192, 256):
        with pytest.raises(ckks.SecurityError, match=f"{security}-bit security .* reach 128 bits"):
            fhejax.compile(squared, rows(), security=security, bootstrapping=secure)
    sparse = ckks.BootstrappingParameters.for_levels(
        0, insecure=True, options=BootstrappingOptions(hamming_weight=8)
    )
    assert sparse.params.security == 192
    with pytest.raises(ckks.SecurityError, match=r"128-bit security .* reach 0 bits"):
        fhejax.compile(squared, rows(), bootstrapping=sparse)
