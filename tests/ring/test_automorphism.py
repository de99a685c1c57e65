"""Automorphisms in both domains, against substitution in Python integers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import primes_for, random_residues, substitute

from fhejax.ring import Ring, automorphism, coefficient_automorphism, ntt

RINGS = [Ring(16), Ring(16, True)]


@pytest.mark.parametrize("ring", RINGS, ids=str)
def test_every_automorphism_of_a_small_ring(ring):
    moduli = primes_for(ring, 2)
    x = jnp.asarray(random_residues((ring.degree,), moduli))
    values = ntt(x, ring, moduli)
    for exponent in (*range(1, ring.root_order, 2), -1, ring.root_order + 5):
        moved = coefficient_automorphism(x, ring, exponent, moduli)
        for limb, q in enumerate(moduli):
            expected = [c % q for c in substitute(x[limb].tolist(), ring, exponent)]
            assert moved[limb].tolist() == expected
        assert (automorphism(values, ring, exponent) == ntt(moved, ring, moduli)).all()


@pytest.mark.parametrize("ring", [Ring(2**12), Ring(2**12, True)], ids=str)
def test_both_domains_agree_in_a_large_ring(ring):
    moduli = primes_for(ring, 2)
    x = jnp.asarray(random_residues((ring.degree,), moduli))
    moved = coefficient_automorphism(x, ring, 25, moduli)
    assert (automorphism(ntt(x, ring, moduli), ring, 25) == ntt(moved, ring, moduli)).all()


@pytest.mark.parametrize("ring", RINGS, ids=str)
def test_jit_vmap_and_leading_axes_agree(ring):
    moduli = primes_for(ring, 2)
    x = jnp.asarray(random_residues((3, ring.degree), moduli))
    functions = (
        lambda item: automorphism(item, ring, 5),
        lambda item: coefficient_automorphism(item, ring, 5, moduli),
    )
    for function in functions:
        expected = np.stack([np.asarray(function(item)) for item in x])
        assert (function(x) == expected).all()
        assert (jax.jit(jax.vmap(function))(x) == expected).all()


@pytest.mark.parametrize("exponent", [0, 2, -4])
def test_even_exponents_are_refused(exponent):
    x = jnp.zeros((1, 16), jnp.uint32)
    with pytest.raises(ValueError, match="exponent must be odd"):
        automorphism(x, RINGS[0], exponent)
    with pytest.raises(ValueError, match="exponent must be odd"):
        coefficient_automorphism(x, RINGS[0], exponent, primes_for(RINGS[0], 1))
