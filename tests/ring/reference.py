"""Both rings in Python integers: what the kernels are tested against."""

import math

import numpy as np

from fhejax.ring import Ring
from fhejax.ring.primes import ntt_primes


def primes_for(ring: Ring, count: int, bits: float = 30.0) -> tuple[int, ...]:
    return ntt_primes(bits, ring.root_order, count)


def random_residues(shape: tuple[int, ...], moduli: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """uint32 [*shape[:-1], limb, shape[-1]], with the edges 0, 1, q - 2 and q - 1 in front."""
    generator = np.random.default_rng(seed)
    limbs = []
    for q in moduli:
        values = generator.integers(0, q, shape, np.uint32)
        values.reshape(-1)[:4] = [0, 1, q - 2, q - 1]
        limbs.append(values)
    return np.stack(limbs, -2)


def ambient(coefficients: list[int], ring: Ring) -> list[int]:
    """Coefficients in Z[X]/(X^M + 1), of which the conjugate-invariant ring is a part (M = 2N)."""
    if not ring.conjugate_invariant:
        return coefficients
    return [*coefficients, 0, *(-c for c in reversed(coefficients[1:]))]


def product(first: list[int], second: list[int], ring: Ring, modulus: int) -> list[int]:
    """Schoolbook, with X^M = -1."""
    a, b = ambient(first, ring), ambient(second, ring)
    size = len(a)
    result = [0] * size
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            sign = -1 if i + j >= size else 1
            result[(i + j) % size] += sign * x * y
    return [c % modulus for c in result[: ring.degree]]


def evaluate(coefficients: list[int], ring: Ring, root: int, exponent: int, modulus: int) -> int:
    terms = (c * pow(root, exponent * i, modulus) for i, c in enumerate(ambient(coefficients, ring)))
    return sum(terms) % modulus


def substitute(coefficients: list[int], ring: Ring, exponent: int) -> list[int]:
    """f(X^exponent)."""
    f = ambient(coefficients, ring)
    size = len(f)
    result = [0] * size
    for i, c in enumerate(f):
        power = i * exponent % (2 * size)
        result[power % size] += c if power < size else -c
    return result[: ring.degree]


def compose(residues: list[int], moduli: tuple[int, ...]) -> int:
    """The centred integer with these residues."""
    total = math.prod(moduli)
    value = 0
    for r, q in zip(residues, moduli, strict=True):
        value += int(r) * (total // q) * pow(total // q, -1, q)
    value %= total
    return value - total if value > total // 2 else value


def decompose(values: list[int], moduli: tuple[int, ...]) -> np.ndarray:
    """uint32 [limb, N]."""
    return np.array([[v % q for v in values] for q in moduli], np.uint32)
