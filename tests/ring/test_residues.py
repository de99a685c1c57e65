"""Residues to centred floats, against Python integers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import decompose, primes_for

from fhejax.ring import Ring
from fhejax.ring.residues import residues_to_float

PRIMES = primes_for(Ring(16), 20)


@pytest.mark.parametrize("limbs", [1, 2, 3, 20])
def test_small_and_large_values(limbs):
    moduli = PRIMES[:limbs]
    half = math.prod(moduli) // 2
    small = [0, 1, -1, 12345, -(2**28), 2**28]
    values = [*small, half, -half, half - 1, half // 3, -half // 7, 1 - half]
    found = residues_to_float(jnp.asarray(decompose(values, moduli)), moduli)
    assert found.dtype == np.float64
    assert np.asarray(found)[: len(small)].tolist() == small
    np.testing.assert_allclose(np.asarray(found), [float(v) for v in values], rtol=4e-16 * limbs)


def test_values_of_52_bits_are_exact_under_any_modulus():
    values = [2**52 - 1, -(2**52) + 1, 2**51 + 1, 3**32, -(3**32)]
    for limbs in (2, 5, 20):
        found = residues_to_float(jnp.asarray(decompose(values, PRIMES[:limbs])), PRIMES[:limbs])
        assert np.asarray(found).tolist() == values


def test_jit_vmap_and_leading_axes_agree():
    moduli = PRIMES[:3]
    values = np.arange(-12, 12) * 10**15
    x = decompose([int(v) for v in values], moduli).reshape(3, 4, 6).swapaxes(0, 1)
    one = jax.jit(lambda item: residues_to_float(item, moduli))
    for found in (one(jnp.asarray(x)), jax.vmap(one)(jnp.asarray(x))):
        assert np.asarray(found).tolist() == values.reshape(4, 6).tolist()
