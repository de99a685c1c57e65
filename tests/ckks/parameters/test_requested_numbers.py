"""Absurd numbers are refused at once, by one sentence with the cause and what is needed."""

import math
import time

import numpy as np
import pytest

from benchmarks.bootstrapping_cases import Case
from fhejax import ckks
from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.ckks.parameters.requested_numbers import flag, power_of_two, real_number, whole_number
from fhejax.ring import Ring

RING = Ring(2**14, True)
LEVELS = [26.0] * 5
NOT_REAL = [math.nan, math.inf, -math.inf, True, None, "26", [26.0], 2j]
NOT_WHOLE = [*NOT_REAL, 1.5, 3.0]
SENTENCE = r"(?s)^[a-z0-9].{40,}\.$"
SECONDS = 10  # of processor time: what hung took minutes, and what is refused takes milliseconds


def refused(function, *arguments, match: str = SENTENCE, **options) -> str:
    start = time.process_time()
    with pytest.raises(ValueError, match=SENTENCE) as caught:
        function(*arguments, **options)
    assert time.process_time() - start < SECONDS
    assert len(str(caught.value)) < 700
    return str(caught.value)


def made(*arguments, **options) -> Parameters:
    return make_parameters(*arguments, ParameterOptions(**options))


def rational(*arguments, **options) -> Parameters:
    return made(*arguments, rational=True, **options)


def bootstrapping(levels: int, **options) -> BootstrappingParameters:
    return Case(levels, tuple(options.items())).parameters


def test_the_four_kinds_of_numbers():
    assert type(whole_number("depth", np.int32(3), 0, 5)) is int
    assert type(real_number("bits", np.float32(3), 0, 5)) is float
    assert real_number("bits", 3, 0, 5) == 3.0
    assert power_of_two("slots", 4096, 1, 2**17) == 4096
    assert flag("insecure", False) is False
    for value in (10**5000, -(10**5000), "x" * 10**4):
        assert len(refused(whole_number, "depth", value, 0, 5)) < 250
        assert len(refused(real_number, "bits", value, 0, 5)) < 250
    for value in (*NOT_WHOLE, -1, 6, 10**30):
        assert f"depth={value!r} was asked for; depth is a whole number from 0 to 5" in refused(
            whole_number, "depth", value, 0, 5
        )
    for value in (*NOT_REAL, -1, 5.1, 10**400):
        assert "bits is a finite number from 0 to 5" in refused(real_number, "bits", value, 0, 5)
    for value in (*NOT_WHOLE, 0, -4, 3, 1000, 2**18):
        assert "slots is a power of two from 1 to 131072" in refused(power_of_two, "slots", value, 1, 2**17)


@pytest.mark.parametrize("bits", [*NOT_REAL, 1e9, 10**30, 5.0, 0, -3.0], ids=repr)
def test_sizes_of_levels(bits):
    if bits is not None:  # the default of base_bits
        assert "base_bits=" in refused(made, RING, LEVELS, 26.0, base_bits=bits)
    assert "level_bits=" in refused(made, RING, [bits], 26.0)
    assert "level_bits=" in refused(made, RING, [26.0, 26.0, bits], 26.0)
    if bits != 5.0:
        assert "scale_bits=" in refused(made, RING, LEVELS, bits)
    refused(rational, RING, 2, bits)
    refused(ckks.insecure_parameters, 64, 3, bits)


def test_levels_that_are_no_list_and_too_many():
    assert "levels=26.0 was asked for; it is a number of levels, or a list" in refused(made, RING, 26.0, 26.0)
    for count in (512, 10**5):
        assert f"{count} levels were asked for" in refused(made, RING, [26.0] * count, 26.0)
        refused(made, RING, [26.0] * count, 26.0, insecure=True)
    assert "which take 603 primes" in refused(made, RING, [60.0] * 300, 60.0, insecure=True)
    assert "at most 3522 are secure" in refused(made, Ring(2**17), [26.0] * 500, 26.0)
    assert "which take 671 primes" in refused(rational, RING, 500, 40, insecure=True)
    assert "at most 430 are secure" in refused(rational, RING, 500, 40)


@pytest.mark.parametrize("size", [*NOT_WHOLE[:4], *NOT_WHOLE[5:], 0, -1, 513, 10**9], ids=repr)
def test_sizes_of_digits(size):
    assert "digit_size=" in refused(made, RING, LEVELS, 26.0, digit_size=size)
    assert "digit_size=" in refused(rational, RING, 2, 35, digit_size=size)


@pytest.mark.parametrize("size", [7, 100, 512])
def test_one_digit_of_all_primes_is_no_error(size):
    params = made(RING, LEVELS, 26.0, digit_size=size)
    assert len(params.digit_ranges(params.depth)) == 1


@pytest.mark.parametrize("depth", [*NOT_WHOLE, -1, 512, 10**6, 10**30], ids=repr)
def test_depths(depth):
    assert "depth=" in refused(Parameters.for_depth, depth)
    assert "levels=" in refused(rational, RING, depth, 40)
    if not isinstance(depth, str | list):  # lists are sizes, each of which is looked at
        assert "levels=" in refused(made, RING, depth, 26)
    assert "depth=" in refused(ckks.insecure_parameters, 64, depth)


@pytest.mark.parametrize("depth", [200, 500, 511])
def test_depths_that_no_ring_holds(depth):
    assert "Lower the depth or the precision, or bootstrap" in refused(Parameters.for_depth, depth)


@pytest.mark.parametrize("slots", [*NOT_WHOLE, 0, -4], ids=repr)
def test_slots(slots):
    assert "slots=" in refused(Parameters.for_depth, 3, slots=slots)


@pytest.mark.parametrize(("slots", "degree"), [(1, 2**12), (1000, 2**13), (5000, 2**13), (2**17, 2**17)])
def test_slots_that_are_no_power_of_two_take_the_next(slots, degree):
    assert Parameters.for_depth(3, slots=slots, precision_bits=12).ring.degree == max(degree, 2**13)


@pytest.mark.parametrize("bits", [*NOT_REAL, -20, -0.1, 52.5, 1e6], ids=repr)
def test_precision(bits):
    assert "precision_bits=" in refused(Parameters.for_depth, 3, precision_bits=bits)


@pytest.mark.parametrize("bits", [0, np.float32(20), 52])
def test_precision_of_every_size_is_had(bits):
    params = Parameters.for_depth(1, precision_bits=bits)
    assert params.scales[-1].bits > bits + 7


@pytest.mark.parametrize("degree", [*NOT_WHOLE, 0, -16, 8, 48, 1000, 2**18, 1024.0, np.int64(1024)], ids=repr)
def test_degrees(degree):
    assert "a ring of degree" in refused(made, Ring(degree), LEVELS, 26.0, insecure=True)
    assert "a ring of degree" in refused(ckks.insecure_parameters, degree, 1)
    if not isinstance(degree, np.int64):
        assert "degree=" in refused(BootstrappingParameters.for_levels, 3, degree=degree, insecure=True)
    with pytest.raises(ValueError, match="conjugate_invariant=1"):
        made(Ring(1024, 1), LEVELS, 26.0, insecure=True)


SMALL = {"degree": 256, "slots": 16, "hamming_weight": 4, "insecure": True}
WHOLE = {
    "slots": (0, -4, 3, 1000, 256),
    "hamming_weight": (0, -1, 257, 10**6),
    "bound": (0, -1, 10**6),
    "polynomial_degree": (-1, 256, 10**6),
    "double_angles": (-1, 16, 10**6),
    "coefficients_to_slots": (0, -1, 10**6),
    "slots_to_coefficients": (0, -1, 10**6),
    "ratio_bits": (0, -1, 2, 31, 10**6),
    "digit_size": (0, -1, 513, 10**6),
    "base_bits": (0, -5, 15, 10**6),
    "arcsine_degree": (0, -3, 2, 4, 17, 10**6 + 1),
}
REAL = {
    "scale_bits": (0, -40, 15, 61, 1e6),
    "failure_bits": (0, -10, 1e6),
    "modular_bits": (0, -1, 61, 1e6),
    "transform_bits": (0, -1, 61, 1e6),
}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, (*NOT_WHOLE, *values)) for name, values in WHOLE.items()),
        *((name, (*NOT_REAL, *values)) for name, values in REAL.items()),
    ],
    ids=[*WHOLE, *REAL],
)
def test_options_of_bootstrapping(name, values):
    for value in values:
        optional = value is None and name not in (
            "hamming_weight",
            "ratio_bits",
            "scale_bits",
            "failure_bits",
        )
        if optional and name not in (
            "modular_bits",
            "transform_bits",
            "coefficients_to_slots",
            "slots_to_coefficients",
        ):
            continue  # None leaves the choice to the library
        if name != "arcsine_degree" and value == 3.0 and name in REAL:
            continue
        refused(bootstrapping, 2, **{**SMALL, name: value})


@pytest.mark.parametrize("levels", [*NOT_WHOLE, -1, 256, 10**5, 10**30], ids=repr)
def test_levels_between_bootstraps(levels):
    assert "levels=" in refused(BootstrappingParameters.for_levels, levels)
    assert "levels=" in refused(bootstrapping, levels, **SMALL)


@pytest.mark.parametrize("scale_bits", [16, 29, 35, 40, 45, 55, 60])
def test_levels_that_no_ring_holds(scale_bits):
    for levels, degree in ((40, 2**15), (200, 2**17), (255, 2**16)):
        refused(BootstrappingParameters.for_levels, levels, degree=degree, scale_bits=scale_bits)


def test_many_levels_of_a_small_ring_are_made():
    chosen = bootstrapping(60, **SMALL)
    assert chosen.levels_left == 60
