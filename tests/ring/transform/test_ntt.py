"""Both transforms against evaluation and schoolbook products in Python integers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import evaluate, primes_for, product, random_residues

from fhejax.ring import Ring, evaluation_exponents, inverse_ntt, ntt, root_of_unity
from fhejax.ring.transform import METHODS

SMALL = [Ring(degree, real) for degree in (16, 32) for real in (False, True)]
ALL = [Ring(2**k, real) for k in (4, 5, 6, 9, 10, 13) for real in (False, True)]


@pytest.mark.parametrize("ring", SMALL, ids=str)
def test_values_are_those_at_the_named_powers(ring):
    moduli = (*primes_for(ring, 2), *primes_for(ring, 1, 14))
    x = random_residues((ring.degree,), moduli)
    values = np.asarray(ntt(jnp.asarray(x), ring, moduli))
    for limb, q in enumerate(moduli):
        root, coefficients = root_of_unity(q, ring.root_order), x[limb].tolist()
        expected = [evaluate(coefficients, ring, root, int(e), q) for e in evaluation_exponents(ring)]
        assert values[limb].tolist() == expected


@pytest.mark.parametrize("ring", SMALL, ids=str)
def test_pointwise_products_are_products_in_the_ring(ring):
    moduli = primes_for(ring, 2)
    x, y = (jnp.asarray(random_residues((ring.degree,), moduli, seed)) for seed in (1, 2))
    column = np.array(moduli, object)[:, None]
    values = [np.asarray(ntt(a, ring, moduli)).astype(object) for a in (x, y)]
    pointwise = (values[0] * values[1] % column).astype(np.uint32)
    result = np.asarray(inverse_ntt(jnp.asarray(pointwise), ring, moduli))
    for limb, q in enumerate(moduli):
        expected = product(x[limb].tolist(), y[limb].tolist(), ring, q)
        assert result[limb].tolist() == expected


@pytest.mark.parametrize("ring", ALL, ids=str)
def test_round_trips_both_ways(ring):
    moduli = primes_for(ring, 3)
    x = jnp.asarray(random_residues((2, ring.degree), moduli))
    forward = ntt(x, ring, moduli)
    assert (inverse_ntt(forward, ring, moduli) == x).all()
    assert (ntt(inverse_ntt(x, ring, moduli), ring, moduli) == x).all()
    assert (np.asarray(forward) < np.array(moduli, np.uint32)[:, None]).all()


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("degree", [64, 2**13])
def test_edge_values(degree, real):
    """All zero, a constant, and all q - 1: minus the polynomial of ones."""
    ring = Ring(degree, real)
    moduli = primes_for(ring, 2)
    highest = np.array(moduli, np.uint32)[:, None] - 1
    zero = np.zeros((2, degree), np.uint32)
    constant = zero.copy()
    constant[:, :1] = highest
    ones = np.ones((2, degree), np.uint32)
    x = jnp.asarray(np.stack([zero, constant, ones, ones * highest]))
    values = np.asarray(ntt(x, ring, moduli))
    assert (values[0] == 0).all()
    assert (values[1] == highest).all()
    assert ((values[2].astype(np.uint64) + values[3]) % (highest + np.uint64(1)) == 0).all()
    assert (inverse_ntt(jnp.asarray(values), ring, moduli) == x).all()
    root, q = root_of_unity(moduli[0], ring.root_order), moduli[0]
    for position in (0, 1, degree // 2, degree - 1):
        exponent = int(evaluation_exponents(ring)[position])
        assert values[2, 0, position] == evaluate([1] * degree, ring, root, exponent, q)


@pytest.mark.parametrize("ring", [Ring(64), Ring(64, True)], ids=str)
def test_jit_vmap_and_leading_axes_agree(ring):
    moduli = primes_for(ring, 3)
    x = jnp.asarray(random_residues((2, 3, ring.degree), moduli))
    for transform in (ntt, inverse_ntt):
        expected = np.stack([[np.asarray(transform(item, ring, moduli)) for item in row] for row in x])
        one = jax.jit(lambda item, transform=transform: transform(item, ring, moduli))
        assert (one(x) == expected).all()
        assert (jax.vmap(jax.vmap(one))(x) == expected).all()
        assert (transform(x, ring, moduli) == expected).all()


def test_evaluation_exponents_name_each_root_once():
    for ring in ALL:
        exponents = evaluation_exponents(ring)
        assert len(set(exponents.tolist())) == ring.degree
        assert (exponents % 2 == 1).all()
        if ring.conjugate_invariant:
            mirrored = -exponents % ring.root_order
            assert not set(exponents.tolist()) & set(mirrored.tolist())


@pytest.mark.parametrize("transform", [ntt, inverse_ntt])
def test_wrong_shapes_and_types_are_refused(transform):
    ring = Ring(16)
    moduli = primes_for(ring, 2)
    for bad in (jnp.zeros((3, 16), jnp.uint32), jnp.zeros((2, 32), jnp.uint32)):
        with pytest.raises(ValueError, match=r"needs uint32 residues .* = \[2, 16\]"):
            transform(bad, ring, moduli)
    with pytest.raises(ValueError, match="was given int32"):
        transform(jnp.zeros((2, 16), jnp.int32), ring, moduli)


@pytest.mark.parametrize("ring", [Ring(2**k, real) for k in (4, 5, 9) for real in (False, True)], ids=str)
def test_every_method_gives_the_same_bits(ring):
    """Also for all residues at q - 1, where sixteen products come closest to 2^64."""
    moduli = primes_for(ring, 3)
    x = random_residues((2, ring.degree), moduli)
    x[1] = np.array(moduli, np.uint32)[:, None] - 1
    for transform in (ntt, inverse_ntt):
        first, *others = (
            np.asarray(transform(jnp.asarray(x), ring, moduli, method=name)) for name in METHODS
        )
        assert len(others) == len(METHODS) - 1
        for other in others:
            assert (first == other).all()


def test_an_unknown_method_is_refused():
    ring = Ring(16)
    moduli = primes_for(ring, 1)
    with pytest.raises(ValueError, match="butterflies, direct sums, one loop, pallas"):
        ntt(jnp.zeros((1, 16), jnp.uint32), ring, moduli, method="magic")
