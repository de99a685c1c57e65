"""The diagonals of a matrix as they are given: read, checked, and held in 32-bit arrays.

The diagonal at distance d holds in entry j what slot j of the result takes of slot j + d of the argument.
"""

from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import is_concrete

Numbers = np.ndarray | jax.Array


def read_diagonals(params: Parameters, given: Mapping[int, Numbers] | Numbers) -> dict[int, Numbers]:
    """The diagonals [slots] by distance modulo the slots, without those of zeros; equal distances add up.

    Args:
        params: of the ciphertexts.
        given: a matrix [slots, slots], or diagonals [slots] by distance.

    Raises:
        TypeError: what is no array of numbers, and distances that are no integers.
        ValueError: other sizes, numbers that are not finite, or nothing but zeros.
    """
    pairs = given.items() if isinstance(given, Mapping) else _diagonals_of_matrix(params, given)
    found: dict[int, Numbers] = {}
    for distance, diagonal in pairs:
        diagonal = _as_diagonal(params, distance, diagonal)
        if is_concrete(diagonal) and not diagonal.any():
            continue
        place = int(distance) % params.slots
        found[place] = found[place] + diagonal if place in found else diagonal
    if not found:
        raise ValueError(
            "a linear transform without a diagonal other than zero was asked for; its result would be zero, "
            "which needs no transform."
        )
    return found


def _as_diagonal(params: Parameters, distance: int, given: Numbers) -> Numbers:
    if isinstance(distance, bool) or not isinstance(distance, int | np.integer):
        raise TypeError(f"a diagonal at distance {distance!r} was given; a distance is an integer.")
    diagonal = as_numbers(given, f"the diagonal at distance {distance}")
    diagonal = np.asarray(diagonal) if is_concrete(diagonal) else diagonal
    if diagonal.shape != (params.slots,):
        raise ValueError(
            f"the diagonal at distance {distance} has shape {diagonal.shape}; it needs [{params.slots}], "
            f"a number for each slot of these parameters. Pad the matrix with zeros."
        )
    if is_concrete(diagonal) and not np.isfinite(diagonal).all():
        raise ValueError(f"the diagonal at distance {distance} holds NaN or an infinite value; replace it.")
    return diagonal


def _diagonals_of_matrix(params: Parameters, given: Numbers) -> Iterable[tuple[int, Numbers]]:
    slots, matrix = params.slots, as_numbers(given, "a linear transform")
    if np.shape(matrix) != (slots, slots):
        raise ValueError(
            f"a matrix of shape {np.shape(matrix)} was given for a linear transform; it needs "
            f"[{slots}, {slots}], the slots of these parameters. Pad it with zeros."
        )
    rows = np.arange(slots)
    if not is_concrete(matrix):
        return ((d, matrix[rows, (rows + d) % slots]) for d in range(slots))
    matrix = np.asarray(matrix)
    row, column = np.nonzero(matrix)
    return ((int(d), matrix[rows, (rows + d) % slots]) for d in np.unique((column - row) % slots))


def period_of(diagonals: Iterable[np.ndarray]) -> int:
    """The least power of two after which every diagonal repeats itself."""
    found = 1
    for diagonal in diagonals:
        while found < len(diagonal) and not _repeats(diagonal, found):
            found *= 2
    return found


def _repeats(diagonal: np.ndarray, period: int) -> bool:
    return bool((diagonal[period:] == diagonal[:-period]).all())


def as_words(diagonals: Sequence[np.ndarray], period: int) -> np.ndarray:
    """One period of each in float32 numbers that add up to it exactly: [term, part, word, period].

    The parts are real and imaginary. Numbers of single precision, as most weights are, take one word, others
    up to three. Arrays of 64 bits would lose half of them in a program whose JAX has 32-bit types.
    """
    is_complex = any(np.iscomplexobj(diagonal) for diagonal in diagonals)
    rows = [_words(diagonal[:period], is_complex) for diagonal in diagonals]
    words = np.zeros((len(rows), 1 + is_complex, max(map(len, rows)), period), np.float32)
    for number, row in enumerate(rows):
        for place, word in enumerate(row):
            words[number, :, place] = word
    return words


def _words(values: np.ndarray, is_complex: bool) -> list[np.ndarray]:
    rest = np.stack([np.real(values), np.imag(values)] if is_complex else [np.real(values)]).astype(
        np.float64
    )
    found: list[np.ndarray] = []
    while not found or rest.any():
        found.append(rest.astype(np.float32))
        rest = rest - found[-1]
        rest[np.abs(rest) < np.finfo(np.float32).tiny] = 0.0
    return found


def from_words(words: jax.Array, slots: int) -> jax.Array:
    """The numbers in all slots from `as_words`: float64 or complex128 [..., slots], in a wide scope."""
    parts = words.astype(jnp.float64).sum(-2)
    values = parts[..., 0, :] if parts.shape[-2] == 1 else jax.lax.complex(parts[..., 0, :], parts[..., 1, :])
    return jnp.tile(values, slots // words.shape[-1])
