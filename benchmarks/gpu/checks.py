"""Digests of what is computed from fixed seeds, which every machine and every method has to share."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.measuring import Sheet
from fhejax import approx, ckks
from fhejax.ring import Ring, inverse_ntt, key_from_bytes, modular_matrix_product, ntt, ntt_primes
from fhejax.ring.platform import current_device
from fhejax.ring.transform import METHODS

RINGS = tuple(Ring(2**bits, real) for bits in (10, 12, 13) for real in (False, True))
SMALL_RINGS = (Ring(2**6), Ring(2**6, True))
_SEEDS = tuple(bytes([number]) * 32 for number in (1, 2, 3))


def digest(tree: Any) -> str:
    """The first 16 digits of the SHA-256 of all arrays."""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        found.update(np.ascontiguousarray(np.asarray(leaf)).tobytes())
    return found.hexdigest()[:16]


def residues(shape: tuple[int, ...], moduli: tuple[int, ...]) -> jax.Array:
    """The same residues everywhere, [*shape[:-1], limb, N], with all q - 1 in the first polynomial's end."""
    generator = np.random.default_rng(len(moduli))
    x = np.stack([generator.integers(0, q, shape, dtype=np.uint32) for q in moduli], -2)
    x[..., -1] = np.array(moduli, np.uint32) - 1
    return jnp.asarray(x)


def ring_digests(*, small: bool) -> dict[str, str]:
    """Transforms by each method, and the matrix product by each that does not take minutes."""
    found = {}
    for ring in SMALL_RINGS if small else RINGS:
        moduli = ntt_primes(30.0, ring.root_order, 3)
        x = residues((2, ring.degree), moduli)
        for method in METHODS:
            values = ntt(x, ring, moduli, method=method)
            found[f"{ring}, forward, {method}"] = digest(values)
            found[f"{ring}, inverse, {method}"] = digest(inverse_ntt(x, ring, moduli, method=method))
    degree, outputs, inputs = (64, 5, 20) if small else (4096, 50, 200)
    moduli = ntt_primes(30.0, 4 * degree, 3)
    weights = np.random.default_rng(0).integers(-1023, 1024, (1, outputs, inputs)).astype(np.int32)
    x = residues((inputs, 2, degree), moduli)
    for method in ("float64",) if current_device().kind == "cpu" else ("float64", "int8"):
        found[f"matrix product, {method}"] = digest(
            modular_matrix_product(weights, x, moduli, 1023, method=method)
        )
    return found


def scheme_digests(*, small: bool) -> dict[str, str]:
    """The scheme's operations, on one ciphertext."""
    params = ckks.insecure_parameters(64 if small else 4096, 5, 28.0)
    first, second, third = (key_from_bytes(seed) for seed in _SEEDS)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=(1, 3))
    x = ckks.encrypt(third, secret, ckks.encode(params, np.linspace(-1, 1, params.slots)))
    operations = {
        "encryption": x,
        "sum": ckks.add(x, x),
        "product": ckks.multiply(keys, x, x),
        "square": ckks.square(keys, x),
        "rotation": ckks.rotate(keys, x, 3),
        "hoisted rotations": ckks.rotate_hoisted(keys, x, (1, 3)),
        "polynomial of degree 7": ckks.evaluate_polynomial(keys, x, approx.chebyshev(jnp.tanh, 7, (-1, 1))),
    }
    return {name: digest(result) for name, result in operations.items()}


def digests(sheet: Sheet, *, small: bool) -> None:
    """Both, as notes."""
    sheet.notes |= ring_digests(small=small) | scheme_digests(small=small)


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """What differs from the CPU: of a method that only one of them ran, from its first other method."""
    wrong = []
    for name, found in ours.items():
        kind = name.rpartition(", ")[0]
        expected = theirs.get(name) or next((d for k, d in theirs.items() if k.startswith(f"{kind}, ")), None)
        if found != expected:
            wrong.append(name)
    return wrong
