"""Products with powers of X: exact, at no level and without noise."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.levels import check_evaluation_domain
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.noise_estimate import NoiseEstimate
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.types import Ciphertext
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.primes import root_of_unity
from fhejax.ring.transform import evaluation_exponents
from fhejax.ring.transform.tree import powers
from fhejax.ring.wide import kernel, wide


def multiply_by_monomial(ciphertext: Value, power: int) -> Value:
    """X^power times the ciphertext: its coefficients move, those that pass the end change sign.

    Level and scale stay. A slot that holds the polynomial's value at a root of unity is multiplied by the
    root's power.

    Args:
        ciphertext: data [..., component, limb, N], evaluation domain.
        power: any whole number, also a negative one; modulo 2N.

    Raises:
        ValueError: in the conjugate-invariant ring, which powers of X lead out of.
    """
    ring = ciphertext.params.ring
    if ring.conjugate_invariant:
        raise ValueError(
            "a product with a power of X was asked for in the conjugate-invariant ring, which has sums of "
            "X^k and X^-k alone; use the standard ring."
        )
    check_evaluation_domain("a product with a power of X", ciphertext)
    return _times_monomial(ciphertext, power % ring.root_order)


def _phases(x: NoiseEstimate, power: int) -> NoiseEstimate:
    ring = x.params.ring
    turns = ring.slot_exponents().astype(np.int64) * power % ring.root_order
    return estimates.multiply_exactly(x, np.exp(2j * np.pi * turns / ring.root_order))


@operation(noise=_phases)
def _times_monomial(ciphertext: Ciphertext, power: int) -> Ciphertext:
    if power == 0:
        return ciphertext
    ring, moduli = ciphertext.params.ring, ciphertext.moduli
    stride = math.gcd(power, ring.root_order)
    order = ring.root_order // stride
    roots = [pow(root_of_unity(q, ring.root_order), stride, q) for q in moduli]
    table = np.stack([powers(root, order, q)[:order] for root, q in zip(roots, moduli, strict=True)])
    places = evaluation_exponents(ring) * (power // stride) % order
    data = _multiplied(ciphertext, jnp.asarray(table, jnp.uint32), jnp.asarray(places, jnp.int32))
    return ciphertext.replace(data=data)


@kernel
@wide
def _multiplied(ciphertext: Ciphertext, table: jax.Array, places: jax.Array) -> jax.Array:
    """The residues times the root's power that `places` names for each position."""
    return modular.multiply(ciphertext.data, table[:, places], constants(ciphertext.moduli))
