"""Parameters: secure as made, scales that hold, and sentences for what cannot be."""

import math
import pickle

import pytest

from fhejax import ckks
from fhejax.ckks import Parameters, SecurityError
from fhejax.ckks.parameters import make_parameters
from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.ring import Ring, is_prime

SWEEP = [
    (depth, precision, real, security)
    for depth in (0, 1, 2, 3, 5, 8, 13, 20)
    for precision in (8, 12, 16, 22, 35)
    for real in (True, False)
    for security in (128, 192, 256)
]


def made(depth: int, precision: float, real: bool, security: int) -> Parameters | None:
    try:
        return Parameters.for_depth(depth, slots=1024, precision_bits=precision, real=real, security=security)
    except ValueError as error:
        assert f"depth {depth} at {precision} bits" in str(error)
        return None


def check(params: Parameters, depth: int, security: int) -> None:
    everything = params.moduli + params.special
    limit = maximum_modulus_bits(params.ring.degree, security)
    assert math.prod(everything) <= 2**limit
    assert params.modulus_bits <= limit
    assert params.security >= security
    assert params.depth == depth
    assert len(set(everything)) == len(everything)
    for q in everything:
        assert q < 2**30
        assert q % params.ring.root_order == 1
        assert is_prime(q)


@pytest.mark.parametrize("security", [128, 192, 256])
def test_no_parameters_are_above_the_table(security):
    cases = [case for case in SWEEP if case[3] == security]
    found = [(case, made(*case)) for case in cases]
    assert sum(params is not None for _, params in found) > 0.8 * len(cases)
    for (depth, precision, _, _), params in found:
        if params is not None:
            check(params, depth, security)
            assert min(s.bits for s in params.scales) > precision + 7
            assert max(s.bits for s in params.scales) - params.scales[-1].bits < 2.5


@pytest.mark.parametrize("real", [True, False])
def test_scales_stay_where_they_were_however_many_levels(real):
    """Squaring doubles what a scale is off by; not made up for, 20 levels end in nonsense."""
    params = ckks.insecure_parameters(2**15, 25, 28, real=real)
    assert all(abs(scale.bits - 28) < 0.3 for scale in params.scales)
    for level in range(1, params.depth + 1):
        dropped = math.prod(params.level_moduli(level)) // math.prod(params.level_moduli(level - 1))
        exact = params.scales[level].fraction() ** 2 / dropped
        assert abs(params.scales[level - 1].fraction() / exact - 1) < 2.0**-126


def test_the_smallest_ring_with_room_is_taken():
    params = Parameters.for_depth(2, slots=4096)
    assert params.ring == Ring(2**12, conjugate_invariant=True)
    assert params.slots == 4096
    assert Parameters.for_depth(2, slots=4097).ring.degree == 2**13
    assert Parameters.for_depth(2, slots=4096, real=False).ring == Ring(2**13)
    assert Parameters.for_depth(12, slots=1).ring.degree > 2**13


def test_more_digits_are_taken_rather_than_a_ring_twice_as_large():
    # In thirds of the primes, log2 QP is 430.6, and 430 is the limit at 2^14.
    params = Parameters.for_depth(5, slots=8192, precision_bits=24)
    assert params.ring.degree == 2**14 and params.modulus_bits <= 430
    assert params.digit_size < math.ceil(len(params.moduli) / 3)


def test_levels_are_nested_and_end_at_zero():
    params = Parameters.for_depth(3, slots=1024)
    for level in range(3):
        lower, upper = params.level_moduli(level), params.level_moduli(level + 1)
        assert upper[: len(lower)] == lower
        assert len(upper) > len(lower)
    for level in (-1, 4):
        with pytest.raises(ValueError, match=f"level {level} was asked for.* levels 0 to 3"):
            params.level_moduli(level)


def test_special_primes_are_as_large_as_a_digit():
    for digit_size in (1, 2, 3):
        params = ckks.insecure_parameters(64, 5, digit_size=digit_size)
        starts = range(0, len(params.moduli), digit_size)
        largest = max(math.prod(params.moduli[i : i + digit_size]) for i in starts)
        assert math.prod(params.special) >= largest
    assert ckks.insecure_parameters(64, 5, key_switching=False).special == ()


def test_repr_says_what_matters():
    params = Parameters.for_depth(2, slots=4096)
    text = repr(params)
    assert "N=2**12 conjugate-invariant" in text
    assert f"log2 QP={params.modulus_bits:.1f} (limit 106)" in text
    assert "128-bit security" in text
    assert "INSECURE" not in text
    assert "standard" in repr(Parameters.for_depth(1, real=False))


def test_insecure_parameters_say_so():
    params = ckks.insecure_parameters(64, 2)
    assert "INSECURE" in repr(params)
    assert "limit none" in repr(params)
    assert params.insecure and params.security == 0


def test_equal_hashable_and_fingerprinted():
    first, second = (ckks.insecure_parameters(64, 2) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 32
    assert pickle.loads(pickle.dumps(first)) == first
    others = [
        ckks.insecure_parameters(64, 3),
        ckks.insecure_parameters(64, 2, real=False),
        ckks.insecure_parameters(64, 2, scale_bits=25),
        ckks.insecure_parameters(64, 2, digit_size=2),
    ]
    assert len({p.fingerprint for p in (first, *others)}) == 5


def test_what_cannot_be_secure_is_refused():
    with pytest.raises(SecurityError, match="at most 106 are secure"):
        make_parameters(Ring(2**12, True), [26] * 4, 26)
    with pytest.raises(ValueError, match=r"depth 200 .* 128-bit security.*bootstrap"):
        Parameters.for_depth(200)
    with pytest.raises(ValueError, match=r"with 262144 slots .*none has so many slots"):
        Parameters.for_depth(1, slots=2**18)
    with pytest.raises(ValueError, match="security=100 was asked for"):
        Parameters.for_depth(1, security=100)
    with pytest.raises(ValueError, match="depth=-1 was asked for"):
        Parameters.for_depth(-1)
    with pytest.raises(ValueError, match="power of two from 16"):
        ckks.insecure_parameters(48, 1)
