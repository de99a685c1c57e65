"""Precision in bits, and the warning before a decryption that noise has drowned."""

import warnings

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.noise import OverflowWarning, Precision, PrecisionWarning
from fhejax.ckks.noise.estimates import as_estimate
from fhejax.ckks.parameters import Scale


def test_bits_of_known_errors():
    expected = np.zeros(4)
    found = ckks.precision(np.array([2.0**-10, -(2.0**-12), 2.0**-12, 2.0**-20]), expected)
    assert (found.minimum, found.maximum, found.median) == (10, 20, 12)
    squares = 2.0**-20 + 2 * 2.0**-24 + 2.0**-40
    assert found.mean == pytest.approx(-np.log2(np.sqrt(squares / 4)))
    exact = ckks.precision(expected, expected)
    assert exact == Precision(*[np.inf] * 4)


def test_it_reads_as_a_sentence():
    text = repr(Precision(10.25, 12.5, 12.75, 20.0))
    assert text == "Precision: 12.5 bits in the mean, 10.2 at worst, 12.8 in the median and 20.0 at best"


def test_real_and_imaginary_parts_are_two_numbers():
    found = ckks.precision(np.array([1 + 2.0**-4, (2 + 2.0**-8) * 1j]), np.array([1, 2j]))
    assert (found.minimum, found.maximum) == (4, np.inf)
    assert found.mean == pytest.approx(-np.log2(np.sqrt((2.0**-8 + 2.0**-16) / 4)))


def test_plaintexts_batches_and_fewer_numbers_than_slots(insecure_real):
    values = insecure_real.numbers(3)
    plaintext = ckks.encode(insecure_real.params, values)
    found = ckks.precision(plaintext, values)
    assert found == ckks.precision(ckks.decode(plaintext), values)
    assert found.minimum < found.mean < found.median < found.maximum
    few = ckks.precision(plaintext, values[..., :10])
    decoded = np.asarray(ckks.decode(plaintext))[..., :10]
    assert few == ckks.precision(decoded, values[..., :10])
    assert found.mean == pytest.approx(as_estimate(plaintext).precision_bits, abs=0.15)


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        (np.zeros(4), np.zeros(5), "nor longer in what is expected"),
        (np.zeros(0), np.zeros(0), "must not be empty"),
        (np.zeros(4), 0.0, "compares the last axis"),
        (0.0, np.zeros(4), "compares the last axis"),
        (np.zeros(4), np.array([np.nan, 0, 0, 0]), "NaN or infinite"),
        (np.full(4, np.inf), np.full(4, np.inf), "NaN or infinite"),
        (np.full(4, -np.inf), np.zeros(4), "NaN or infinite"),
        (np.zeros((2, 4)), np.zeros((3, 4)), "their leading axes must be equal or 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(found, expected, message):
    with pytest.raises(ValueError, match=message):
        ckks.precision(found, expected)


@pytest.mark.parametrize(
    "wrong",
    [None, "text", [None], np.full(4, "a"), np.ma.masked_array([1.0, 2.0], mask=[True, False]), object()],
)
def test_what_is_no_array_of_numbers_is_refused(wrong):
    for arguments in ((wrong, np.zeros(2)), (np.zeros(2), wrong)):
        with pytest.raises(TypeError, match="precision was given"):
            ckks.precision(*arguments)


def test_precision_of_narrow_numbers_and_under_jit():
    """float16 would overflow: 60000 + 60000; and unsigned integers wrap around."""
    assert ckks.precision(np.float16([6e4]), np.float16([-6e4])).mean == -np.log2(float(np.float16(6e4)) * 2)
    assert ckks.precision(np.uint8([1]), np.uint8([2])).mean == 0
    with pytest.raises(ValueError, match="inside of a traced function"):
        jax.jit(lambda x: ckks.precision(x, np.zeros(4)) and x)(np.zeros(4, np.float32))


def drowned(scheme, values: np.ndarray):
    """A ciphertext and its prediction at a scale of 2**4, where noise is larger than the values."""
    scale = Scale.of(2**4)
    return scheme.encrypt(values, scale=scale), ckks.estimate(scheme.params, values, scale=scale)


def test_a_warning_says_that_nothing_is_left(insecure_real):
    values = insecure_real.numbers()
    ciphertext, prediction = drowned(insecure_real, values)
    message = r"nothing is left .* noise of .* is predicted on values of .* from encryption"
    with pytest.warns(PrecisionWarning, match=message) as found:
        ckks.decrypt(insecure_real.secret, ciphertext, prediction=prediction)
    assert found[0].filename == __file__
    message = r"not even integers are left .* at its scale, 2\*\*4"
    with pytest.warns(PrecisionWarning, match=message) as found:
        ckks.decrypt(insecure_real.secret, ciphertext)
    assert found[0].filename == __file__


def test_no_warning_where_something_is_left(insecure_real):
    values = insecure_real.numbers()
    prediction = ckks.estimate(insecure_real.params, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ckks.decrypt(insecure_real.secret, insecure_real.encrypt(values), prediction=prediction)
        ciphertext, _ = drowned(insecure_real, 1000 * values)
        large = ckks.estimate(insecure_real.params, 1000 * values, scale=ciphertext.scale)
        ckks.decrypt(insecure_real.secret, ciphertext, prediction=large)
        zero = ckks.estimate(insecure_real.params, 0 * values, scale=ciphertext.scale)
        ckks.decrypt(insecure_real.secret, ciphertext, prediction=zero)
        jax.jit(ckks.decrypt)(insecure_real.secret, ciphertext)


def test_a_prediction_of_something_else_is_refused(insecure_real):
    values = insecure_real.numbers()
    ciphertext = insecure_real.encrypt(values)
    prediction = ckks.estimate(insecure_real.params, values)
    for other in (
        ckks.drop_level(prediction, 1),
        prediction.replace(scale=prediction.scale * 2),
        ckks.estimate(ckks.insecure_parameters(256, 4, real=False), values[:4]),
    ):
        with pytest.raises(ValueError, match=r"run the same circuit on ckks\.estimate"):
            ckks.decrypt(insecure_real.secret, ciphertext, prediction=other)


def test_a_warning_says_that_the_message_has_outgrown_the_modulus(insecure_real):
    """160,000 at level 0, where numbers below 8 fit."""
    params, keys = insecure_real.params, insecure_real.keys

    def fourth_power(keys, x):
        return ckks.square(keys, ckks.square(keys, x))

    ciphertext = fourth_power(keys, insecure_real.encrypt(np.full(params.slots, 20.0)))
    prediction = fourth_power(None, ckks.estimate(params, np.full(params.slots, 20.0)))
    assert (
        ckks.precision(ckks.decrypt(insecure_real.secret, ciphertext, prediction=prediction), [160000]).mean
        > -8
    )
    lowest, predicted = (ckks.drop_level(x, 0) for x in (ciphertext, prediction))
    message = r"outgrow the modulus by 14\.3 bits at level 0, at which it is decrypted: .* at a higher level"
    with pytest.warns(OverflowWarning, match=message) as found:
        decrypted = ckks.decrypt(insecure_real.secret, lowest, prediction=predicted)
    assert found[0].filename == __file__
    assert abs(np.asarray(ckks.decode(decrypted))).max() < 8.1
    assert issubclass(OverflowWarning, PrecisionWarning)


def test_what_outgrew_the_modulus_before_a_rescale_stays_wrong(insecure_real):
    """10^4 times 10^4 does not fit level 1 before the rescale; times zero, it would fit level 0."""
    params, values = insecure_real.params, np.full(256, 1e4)

    def circuit(keys, x):
        product = ckks.evaluation.square_tensor(ckks.drop_level(x, 1))
        return ckks.evaluation.multiply_integer(ckks.relinearise(keys, product, target_level=0), 0)

    ciphertext = circuit(insecure_real.keys, insecure_real.encrypt(values))
    prediction = circuit(None, ckks.estimate(params, values))
    with pytest.warns(OverflowWarning, match=r"by \d+\.\d bits at level 1, before a rescale on the way"):
        ckks.decrypt(insecure_real.secret, ciphertext, prediction=prediction)
