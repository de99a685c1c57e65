"""Primes and roots of unity, against trial division and powers."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhejax.ring import Ring, check_ring, is_prime, modulus_bits, ntt_primes, root_of_unity


def trial_division(n: int) -> bool:
    return n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))


def test_is_prime_agrees_with_trial_division():
    assert [n for n in range(-3, 5000) if is_prime(n)] == [n for n in range(-3, 5000) if trial_division(n)]


@settings(max_examples=100, deadline=None)
@given(st.integers(2**20, 2**30))
def test_is_prime_on_the_sizes_in_use(n):
    assert is_prime(n) == trial_division(n)


@pytest.mark.parametrize("pseudoprime", [3215031751, 3825123056546413051, 2**61 - 1])
def test_is_prime_is_not_fooled_by_strong_pseudoprimes(pseudoprime):
    """The first two pass Miller-Rabin for bases 2 to 7 and 2 to 23; the last is prime."""
    assert is_prime(pseudoprime) == (pseudoprime == 2**61 - 1)


@pytest.mark.parametrize(("bits", "order"), [(14, 64), (20, 2**10), (26.3, 2**14), (30, 2**19)])
def test_primes_are_the_nearest_that_split(bits, order):
    found = ntt_primes(bits, order, 5)
    target = 2.0**bits
    furthest = max(abs(p - target) for p in found)
    nearest = [k for k in range(1, 2**30, order) if abs(k - target) <= furthest and trial_division(k)]
    assert sorted(found) == nearest
    assert [abs(p - target) for p in found] == sorted(abs(p - target) for p in found)


def test_primes_in_use_are_excluded():
    first = ntt_primes(28, 2**12, 3)
    second = ntt_primes(28, 2**12, 3, first)
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(ntt_primes(28, 2**12, 6))


def test_too_many_primes_are_refused():
    with pytest.raises(ValueError, match="fewer levels or a smaller ring"):
        ntt_primes(30, 2**25, 40)


@pytest.mark.parametrize("order", [32, 2**10, 2**19])
def test_roots_have_exactly_their_order(order):
    for p in ntt_primes(29, order, 3):
        root = root_of_unity(p, order)
        assert pow(root, order, p) == 1
        assert pow(root, order // 2, p) == p - 1


def test_roots_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="1 modulo 64"):
        root_of_unity(97, 64)


def test_modulus_bits():
    assert modulus_bits(()) == 0.0
    assert modulus_bits((2**10, 2**12)) == 22.0


@pytest.mark.parametrize("degree", [0, 8, 24, 2**18, -16])
def test_degrees_that_are_no_ring_are_refused(degree):
    with pytest.raises(ValueError, match=f"degree {degree} .* power of two from 16"):
        check_ring(Ring(degree))


def test_ring_sizes():
    standard, real = Ring(64), Ring(64, conjugate_invariant=True)
    assert (standard.slots, standard.root_order, standard.expansion) == (32, 128, 64)
    assert (real.slots, real.root_order, real.expansion) == (64, 256, 128)
    for ring in (standard, real):
        exponents = {int(e) for e in ring.slot_exponents()}
        mirrored = {ring.root_order - e for e in exponents}
        assert exponents | mirrored == set(range(1, ring.root_order, 2))
        assert not exponents & mirrored
