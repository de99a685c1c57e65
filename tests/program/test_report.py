"""The report says what a person must know before making keys, and says it rightly."""

import re

import numpy as np
import pytest
from circuits import LOG_DEGREE, SAMPLES, compiled, data, linear_square_linear, rows

import fhejax
from fhejax.program.report import peak_bytes


@pytest.fixture(scope="module")
def program():
    return compiled(lambda x: linear_square_linear(x) ** 2 + 3, rows())


def test_every_line(program):
    text = program.report()
    for start in (
        "ring ",
        "security ",
        "primes ",
        "circuit ",
        "keys ",
        "upload ",
        "memory ",
        "predicted ",
        "steps",
    ):
        assert re.search(f"^{start}", text, re.MULTILINE), start
    assert f"N = 2**{LOG_DEGREE}" in text
    assert "INSECURE, for tests only" in text
    assert "depth 2" in text
    assert f"1 block for {SAMPLES} samples" in text
    assert len(re.findall(r"^ +\d+ ", text, re.MULTILINE)) == len(program.plan.steps)
    assert "test_report.py:" in text or "circuits.py:" in text


def test_the_peak_is_no_less_than_the_arguments(program):
    secret, _ = program.keygen()
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    assert peak_bytes(program.plan) >= ciphertext.bytes


def test_a_linear_program_needs_no_key():
    program = compiled(lambda x: 2 * x + 1, rows())
    assert "none to the server" in program.report()
    _, keys = program.keygen()
    assert keys.relinearisation is None
    assert keys.wire_bytes == 0


def test_the_bound_of_the_outputs_counts_factors_and_offsets():
    program = compiled(lambda x: 100 * x + 7, rows())
    assert program.plan.largest_output == pytest.approx(107, rel=1e-6)


def test_a_result_that_is_zero_on_the_sample_has_an_error_and_no_bits():
    zeros = np.zeros((SAMPLES, 4), np.float32)
    report = compiled(lambda x: (x + 1, x * x), rows(), sample=zeros, margin=4).report()
    assert re.search(r"^results +0: \d+\.\d bits, ", report, re.MULTILINE)
    assert re.search(r"^ +1: zero on the sample, with an error of \d", report, re.MULTILINE)


def test_representations_are_short_and_hold_no_data(program):
    secret, keys = program.keygen()
    ciphertext = program.encrypt(secret, data(SAMPLES, 4))
    for value in (program, ciphertext, program(keys, ciphertext), keys, secret):
        assert len(repr(value)) < 400
        assert "Array" not in repr(value).replace("EncryptedArray", "")
    assert repr(program).startswith(f"Program(encrypted ({SAMPLES}, 4)")


def test_verification_prints_a_row_for_each_layer(program):
    found = program.verify(data(SAMPLES, 4))
    assert isinstance(found, fhejax.Verification)
    assert "rounding" in str(found).splitlines()[0]
    assert np.isfinite(found.bits)
