"""The discrete Fourier transform between coefficients and slots, as a product of sparse matrices.

With zeta a primitive root of order 4n, U[j, k] = zeta^(5^j k) takes w_k = t_k + i t_(k+n) to the values in n
slots of the polynomial with coefficients t_0 .. t_(2n-1). With R the reversal of bits, U R is a product of
log2 n matrices of butterflies, each of three diagonals; a few neighbours multiplied together make a matrix
of few diagonals at equal distances (Chen, Chillotti and Song, "Improved bootstrapping for approximate
homomorphic encryption", 2019; Cheon, Han and Hhan, "Faster homomorphic discrete Fourier transforms and
improved FHE bootstrapping", 2018).
"""

import functools
from collections.abc import Sequence

import numpy as np

Diagonals = dict[int, np.ndarray]


def slots_to_coefficients_factors(slots: int, stages: Sequence[int]) -> list[Diagonals]:
    """The factors of U R, the one that is applied first coming first.

    Args:
        slots: n, a power of two.
        stages: how many butterflies each factor takes, log2 n in all.

    Returns:
        Diagonals complex128 [n] by distance, between -n / 2 and n: entry j belongs to slot j + distance.

    Raises:
        ValueError: stages that do not add up.
    """
    return _grouped([_butterfly(slots, 2**bit) for bit in range(1, slots.bit_length())], stages, slots)


def coefficients_to_slots_factors(slots: int, stages: Sequence[int]) -> list[Diagonals]:
    """The factors of the inverse of U R, else as `slots_to_coefficients_factors`."""
    bits = range(slots.bit_length() - 1, 0, -1)
    return _grouped([_inverse_butterfly(slots, 2**bit) for bit in bits], stages, slots)


def split_stages(slots: int, budget: int) -> tuple[int, ...]:
    """log2 n butterflies in `budget` matrices, as evenly as can be, the larger ones first."""
    total = slots.bit_length() - 1
    budget = max(1, min(budget, total))
    return tuple(total // budget + (i < total % budget) for i in range(budget))


def _grouped(matrices: list[Diagonals], stages: Sequence[int], slots: int) -> list[Diagonals]:
    if sum(stages) != len(matrices) or min(stages, default=1) < 1:
        raise ValueError(
            f"a transform of {slots} slots, so {len(matrices)} butterflies, was to be made of matrices of "
            f"{tuple(stages)}; these are at least 1 each and add up to {len(matrices)}."
        )
    if not matrices:
        return [{0: np.ones(slots, np.complex128)}]
    rest = iter(matrices)
    groups = ([next(rest) for _ in range(count)] for count in stages)
    products = (functools.reduce(lambda first, then: _multiply(then, first), group) for group in groups)
    return [_from_zero(product, slots) for product in products]


def _multiply(left: Diagonals, right: Diagonals) -> Diagonals:
    """The matrix product left right."""
    product: Diagonals = {}
    for d, a in left.items():
        for e, b in right.items():
            place = _around_zero(d + e, len(a))
            product[place] = product.get(place, 0) + a * np.roll(b, -d)
    return product


def _around_zero(distance: int, slots: int) -> int:
    """Modulo the slots, from -n / 2 + 1 to n / 2."""
    place = distance % slots
    return place - slots if place > slots // 2 else place


def _from_zero(diagonals: Diagonals, slots: int) -> Diagonals:
    """Distances that go all the way around are counted from 0 on, so that 0 is the first."""
    unit = int(np.gcd.reduce([*diagonals, slots]))
    around = len(diagonals) * unit == slots
    return {d % slots: v for d, v in diagonals.items()} if around else diagonals


def _roots(length: int) -> np.ndarray:
    """exp(2 pi i 5^j / (4 length)) for j < length / 2: the twiddles of a butterfly of this length."""
    powers = np.ones(length // 2, np.int64)
    for j in range(1, length // 2):
        powers[j] = powers[j - 1] * 5 % (4 * length)
    return np.exp(2j * np.pi * powers / (4 * length))


def _butterfly(slots: int, length: int) -> Diagonals:
    """(u, v) to (u + r v, u - r v) in each block of `length` slots."""
    half, twiddles, zeros = length // 2, _roots(length), np.zeros(length // 2)
    blocks = slots // length
    main = np.tile(np.concatenate([zeros + 1, -twiddles]), blocks)
    above = np.tile(np.concatenate([twiddles, zeros]), blocks)
    below = np.tile(np.concatenate([zeros, zeros + 1]), blocks)
    return _collected({0: main, half: above, -half: below}, slots)


def _inverse_butterfly(slots: int, length: int) -> Diagonals:
    """(a, b) to ((a + b) / 2, (a - b) / (2 r))."""
    half, twiddles, zeros = length // 2, _roots(length).conj(), np.zeros(length // 2)
    blocks = slots // length
    main = np.tile(np.concatenate([zeros + 1, -twiddles]) / 2, blocks)
    above = np.tile(np.concatenate([zeros + 1, zeros]) / 2, blocks)
    below = np.tile(np.concatenate([zeros, twiddles]) / 2, blocks)
    return _collected({0: main, half: above, -half: below}, slots)


def _collected(diagonals: Diagonals, slots: int) -> Diagonals:
    """Distances n / 2 and -n / 2 are the same modulo the slots."""
    found: Diagonals = {}
    for distance, diagonal in diagonals.items():
        place = _around_zero(distance, slots)
        found[place] = found.get(place, 0) + diagonal.astype(np.complex128)
    return found
