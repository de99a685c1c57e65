"""Every operation on ciphertexts in Python integers: slow, and what the kernels must equal bit by bit.

A component is a list of N integers, its coefficients; a ciphertext a list of components modulo Q_level.
"""

import math

import numpy as np
from reference import compose, product, substitute

from fhejax.ckks import Parameters
from fhejax.ckks.keys import SwitchingKey
from fhejax.ring import inverse_ntt

Component = list[int]


def integers(data, params: Parameters, moduli: tuple[int, ...]) -> list[Component]:
    """Values [component, limb, N] as centred coefficients modulo the product of `moduli`."""
    residues = np.asarray(inverse_ntt(data, params.ring, moduli))
    return [[compose(column, moduli) for column in component.T.tolist()] for component in residues]


def add(x: list[Component], y: list[Component], sign: int = 1) -> list[Component]:
    zero = [0] * len(x[0])
    pairs = [(x[i] if i < len(x) else zero, y[i] if i < len(y) else zero) for i in range(max(len(x), len(y)))]
    return [[a + sign * b for a, b in zip(first, second, strict=True)] for first, second in pairs]


def scale(x: list[Component], factor: int) -> list[Component]:
    return [[factor * c for c in component] for component in x]


def tensor(x: list[Component], y: list[Component], params: Parameters, modulus: int) -> list[Component]:
    parts = [[0] * len(x[0]) for _ in range(3)]
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            parts[i + j] = add([parts[i + j]], [product(a, b, params.ring, modulus)])[0]
    return parts


def divide(x: list[Component], source: tuple[int, ...], target: tuple[int, ...]) -> list[Component]:
    """A x / D to the nearest, A the product of the primes that come, D of those that go."""
    dropped = math.prod(q for q in source if q not in target)
    added = math.prod(q for q in target if q not in source)

    def nearest(c: int) -> int:
        remainder = added * c % dropped
        remainder -= dropped if remainder > dropped // 2 else 0
        return (added * c - remainder) // dropped

    return [[nearest(c) for c in component] for component in x]


def switch(component: Component, key: SwitchingKey, params: Parameters, level: int) -> list[Component]:
    """sum over digits of digit * (body, mask), modulo Q_level P."""
    low, high = params.key_range(key.level)
    key_moduli = params.moduli[low:high] + params.special
    moduli = params.level_moduli(level) + params.special
    modulus = math.prod(moduli)
    rows = [key_moduli.index(q) for q in moduli]
    first = low // params.digit_size
    total = [[0] * len(component) for _ in range(2)]
    for start, stop in params.digit_ranges(level):
        digit_modulus = math.prod(params.moduli[start:stop])
        digit = [c % digit_modulus for c in component]
        digit = [d - digit_modulus if d > digit_modulus // 2 else d for d in digit]
        pair = integers(key.data[start // params.digit_size - first][:, np.array(rows)], params, moduli)
        total = add(total, [product(digit, part, params.ring, modulus) for part in pair])
    return total


def relinearise(
    x: list[Component], key: SwitchingKey, params: Parameters, level: int, target: int
) -> list[Component]:
    source = params.level_moduli(level) + params.special
    switched = switch(x[2], key, params, level)
    total = add(scale(x[:2], math.prod(params.special)), switched)
    return divide(total, source, params.level_moduli(target))


def rotate(
    x: list[Component], key: SwitchingKey, params: Parameters, level: int, exponent: int
) -> list[Component]:
    source = params.level_moduli(level) + params.special
    divided = divide(switch(x[1], key, params, level), source, params.level_moduli(level))
    moved = add(divided, [x[0]])
    return [substitute(component, params.ring, exponent) for component in moved]


def imaginary(x: list[Component], params: Parameters) -> list[Component]:
    """X^(N/2) times each component."""
    half = params.ring.degree // 2
    return [[-c for c in component[half:]] + component[:half] for component in x]


def residues(x: list[Component], moduli: tuple[int, ...]) -> np.ndarray:
    """[component, limb, N], coefficients."""
    return np.array([[[c % q for c in component] for q in moduli] for component in x], np.uint32)
