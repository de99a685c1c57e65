"""Polynomials in X^t: their values in a ring are those of the smaller ring, repeated in its order."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.ring import Ring, ntt, ntt_primes, twiddles
from fhejax.ring.subring import embedding
from fhejax.ring.wide import wide


@pytest.mark.parametrize("conjugate_invariant", [False, True])
@pytest.mark.parametrize(("degree", "small"), [(64, 64), (64, 16), (512, 256), (512, 16), (2048, 32)])
def test_values_of_a_polynomial_in_a_power_are_those_of_the_smaller_ring(degree, small, conjugate_invariant):
    ring = Ring(degree, conjugate_invariant)
    moduli = ntt_primes(28.0, ring.root_order, 2)
    found = embedding(ring, small)
    coefficients = np.random.default_rng(0).integers(0, moduli[0], (2, small)).astype(np.uint32)
    coefficients %= np.array(moduli, np.uint32)[:, None]
    spread = np.zeros((2, degree), np.uint32)
    spread[:, :: degree // small] = coefficients
    transform = wide(ntt)
    whole = transform(jnp.asarray(spread), twiddles(ring, moduli), moduli)
    part = transform(jnp.asarray(coefficients), twiddles(found.small, moduli), moduli)
    repeated = np.broadcast_to(found.spread(part, found.order), (2, *found.shape))
    np.testing.assert_array_equal(repeated, found.split(whole))
