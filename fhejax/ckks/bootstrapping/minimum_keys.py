"""Matrices of the homomorphic Fourier transform applied with two rotation keys each.

Minimum key switching: a baby step is the baby step before it rotated by one unit more, as a giant step is the
one before it rotated by one stride more, so that one key serves all of either (Kim et al., "ARK: fully
homomorphic encryption accelerator with runtime data generation and inter-operation key reuse", 2022). Each
baby step then takes a decomposition of its own, and has the noise of all before it. With 13 levels left at
N = 2^16, all keys of a bootstrap weigh 1.6 gigabytes instead of 3.9; at N = 2^12 one took 1.15 times as long,
and at N = 2^13 it is predicted to be less precise by 0.02 bits.

Distances of a butterfly lie on both sides of 0, and walks that start at the lowest would need a third
key to get there. A rotation put between two neighbouring matrices, and undone by the second, spares
it: by the unit of the coarser of both, after which the distances of every matrix are 0 or more.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from fhejax.ckks.bootstrapping.fourier_factors import Diagonals


def counted_from_zero(factors: Sequence[Diagonals]) -> list[Diagonals]:
    """Other matrices of the same product, whose distances are not negative.

    With units u_1 > u_2 > .. the distances of matrix i > 1 reach down to u_i - u_(i-1). Between it and the
    one before goes a rotation by u_(i-1), which makes that u_i - u_i = 0, or u_i if i is the last. Matrix 1
    has all multiples of u_1, which any rotation by u_1 only permutes. Where units ascend, all of this is
    inverted.

    Args:
        factors: complex128 [n] by distance, from `slots_to_coefficients_factors` or its inverse, the one that
            is applied first coming first.

    Returns:
        Diagonals as these, by distances from 0 to n - 1.
    """
    slots = len(next(iter(factors[0].values())))
    units = [int(np.gcd.reduce([*diagonals, slots])) for diagonals in factors]
    sign = 1 if units[0] > units[-1] else -1
    between = (sign * max(pair) for pair in itertools.pairwise(units))
    rotations = itertools.pairwise([0, *between, 0])
    return [_moved(diagonals, *ends) for diagonals, ends in zip(factors, rotations, strict=True)]


def _moved(diagonals: Diagonals, before: int, after: int) -> Diagonals:
    """Rotated by `before` first, and back by `after` in the end."""
    slots = len(next(iter(diagonals.values())))
    return {(d + before - after) % slots: np.roll(v, after) for d, v in diagonals.items()}


def split_walks(distances: Sequence[int]) -> tuple[int, int, dict[int, tuple[int, int]]]:
    """(unit of the baby steps, stride of the giant steps, {distance: (giant, baby)}).

    Baby steps are 0, unit, 2 unit and so on; giant steps are 0, stride, 2 stride and so on.

    Args:
        distances: 0 or more, of which neighbours differ by one unit.
    """
    unit = int(np.gcd.reduce(distances)) or 1
    stride = unit * _baby_count(max(distances) // unit + 1)
    return unit, stride, {d: (d - d % stride, d % stride) for d in distances}


def _baby_count(count: int) -> int:
    """The number of baby steps with which there are the fewest steps: all are key switches of one cost.

    Of several such, the fewest baby steps: theirs is noise beside the ciphertext, that of giant steps is
    beside its product with the matrix. And all baby steps are in memory at once.
    """
    return min(range(1, count + 1), key=lambda babies: (babies + -(-count // babies), babies))
