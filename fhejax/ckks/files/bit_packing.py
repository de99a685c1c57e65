"""Whole numbers of b bits side by side, as files hold residues: 32 of them take b words of 32 bits.

Number i of a group of 32 has the bits b i to b (i + 1) - 1 of the group's words, lowest bits first: it begins
in word (b i) // 32 at bit (b i) % 32, and ends in that word or in the next.
"""

import numpy as np

GROUP = 32
_WORD = 32
_GROUPS_AT_ONCE = 2**12  # within a processor's caches


def packed_bytes(count: int, bits: int) -> int:
    """The bytes of so many numbers, a multiple of 32, of so many bits."""
    return count // GROUP * bits * (_WORD // 8)


def pack_bits(numbers: np.ndarray, bits: int) -> np.ndarray:
    """The words of numbers.

    Args:
        numbers: uint32, a multiple of 32 of them, all below 2**bits.
        bits: 1 to 32.

    Returns:
        Little-endian uint32 [count * bits / 32].
    """
    groups = numbers.reshape(-1, GROUP)
    words = np.empty((len(groups), bits), "<u4")
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        columns = np.ascontiguousarray(groups[start : start + _GROUPS_AT_ONCE].T)
        found = np.zeros((bits, columns.shape[1]), np.uint32)
        for place, column in enumerate(columns):
            word, shift = divmod(bits * place, _WORD)
            found[word] |= column << np.uint32(shift)
            if shift + bits > _WORD:
                found[word + 1] |= column >> np.uint32(_WORD - shift)
        words[start : start + _GROUPS_AT_ONCE] = found.T
    return words.reshape(-1)


def unpack_bits(words: np.ndarray, bits: int) -> np.ndarray:
    """The numbers that `pack_bits` made words of, uint32 [count]; any words stand for numbers."""
    groups = words.reshape(-1, bits)
    numbers = np.empty((len(groups), GROUP), np.uint32)
    mask = np.uint32(2**bits - 1)
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        columns = np.ascontiguousarray(groups[start : start + _GROUPS_AT_ONCE].T, np.uint32)
        found = np.empty((GROUP, columns.shape[1]), np.uint32)
        for place in range(GROUP):
            word, shift = divmod(bits * place, _WORD)
            number = columns[word] >> np.uint32(shift)
            if shift + bits > _WORD:
                number = number | columns[word + 1] << np.uint32(_WORD - shift)
            found[place] = number & mask
        numbers[start : start + _GROUPS_AT_ONCE] = found.T
    return numbers.reshape(-1)
