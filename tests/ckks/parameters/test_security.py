"""The security gate: every limit accepted, the next integer refused, nothing rounded."""

import itertools
import math

import pytest

from fhejax.ckks.parameters.security import (
    SecurityError,
    check_security,
    maximum_modulus_bits,
    security_level,
)

# Written as columns over log2 N, unlike the table under test.
DEGREES = range(10, 18)
COLUMNS = {
    128: [26, 53, 106, 214, 430, 868, 1746, 3522],
    192: [None, 36, 73, 147, 297, 596, 1199, None],
    256: [None, 27, 56, 114, 230, 462, 929, None],
}
CELLS = [
    (1 << log_degree, security, limit)
    for security, column in COLUMNS.items()
    for log_degree, limit in zip(DEGREES, column, strict=True)
]
KNOWN = [cell for cell in CELLS if cell[2] is not None]
UNKNOWN = [cell[:2] for cell in CELLS if cell[2] is None]


@pytest.mark.parametrize(("degree", "security", "limit"), KNOWN)
def test_limit_is_accepted_and_the_next_integer_refused(degree, security, limit):
    assert maximum_modulus_bits(degree, security) == limit
    check_security(degree, [2**limit], security)
    with pytest.raises(SecurityError, match=f"degree {degree} .* {limit + 1} bits.* {limit} are"):
        check_security(degree, [2**limit + 1], security)
    with pytest.raises(SecurityError):
        check_security(degree, [2] * (limit + 1), security)


@pytest.mark.parametrize(("degree", "security", "limit"), KNOWN)
def test_level_is_the_highest_that_is_met(degree, security, limit):
    assert security_level(degree, 2**limit) == security
    assert security_level(degree, 2**limit + 1) < security


@pytest.mark.parametrize(
    ("degree", "security"), [*UNKNOWN, (512, 128), (1 << 18, 128), (12_000, 128), (0, 128)]
)
def test_unknown_degrees_are_refused(degree, security):
    with pytest.raises(SecurityError, match=f"ring degree {degree}, for which no limit is known"):
        maximum_modulus_bits(degree, security)
    with pytest.raises(SecurityError):
        check_security(degree, [3], security)


def test_unknown_degree_has_level_zero():
    assert security_level(512, 3) == 0
    assert security_level(1 << 18, 3) == 0


def test_limits_grow_with_the_degree_and_shrink_with_security():
    for security, column in COLUMNS.items():
        known = [limit for limit in column if limit is not None]
        ratios = [large / small for small, large in itertools.pairwise(known)]
        assert all(1.98 < ratio < 2.1 for ratio in ratios), security
    for row in list(zip(*COLUMNS.values(), strict=True))[1:-1]:
        assert row[0] > row[1] > row[2]


def test_all_primes_count_and_bits_are_not_rounded():
    primes = [2**30 - 35, 2**30 - 41, 2**30 - 83]
    check_security(1 << 12, primes, 128)
    assert math.log2(math.prod([*primes, 2**16 + 1])) < 106.01
    with pytest.raises(SecurityError, match="use degree 8192 or a modulus of at most 106 bits"):
        check_security(1 << 12, [*primes, 2**16 + 1], 128)


def test_nothing_suggested_when_no_degree_is_large_enough():
    with pytest.raises(SecurityError, match=r"secure: use a modulus of at most 3522 bits\.$"):
        check_security(1 << 17, [2**4000], 128)


@pytest.mark.parametrize("security", [0, 80, 127, 512])
def test_unknown_security_levels_are_refused(security):
    with pytest.raises(SecurityError, match="known for 128, 192 and 256"):
        maximum_modulus_bits(1 << 13, security)


@pytest.mark.parametrize("moduli", [[], [0], [5, -7], [1]])
def test_senseless_moduli_are_refused(moduli):
    with pytest.raises(SecurityError, match="at least one is needed"):
        check_security(1 << 13, moduli)
