"""Numbers of few bits side by side, against Python's integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fhejax.ckks.files import bit_packing
from fhejax.ckks.files.bit_packing import GROUP, pack_bits, packed_bytes, unpack_bits


@given(st.integers(1, 32), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_numbers_lie_one_after_another(bits, groups, seed):
    generator = np.random.default_rng(seed)
    numbers = generator.integers(0, 2**bits, (groups, GROUP), np.uint64).astype(np.uint32)
    whole = sum(int(number) << bits * place for place, number in enumerate(numbers.reshape(-1)))
    words = pack_bits(numbers, bits)
    assert words.tobytes() == whole.to_bytes(packed_bytes(numbers.size, bits), "little")
    np.testing.assert_array_equal(unpack_bits(words, bits), numbers.reshape(-1))


def test_long_arrays_are_packed_a_piece_at_a_time(monkeypatch):
    numbers = np.random.default_rng(0).integers(0, 2**30, 40 * GROUP).astype(np.uint32)
    words = pack_bits(numbers, 30)
    monkeypatch.setattr(bit_packing, "_GROUPS_AT_ONCE", 7)
    np.testing.assert_array_equal(pack_bits(numbers, 30), words)
    np.testing.assert_array_equal(unpack_bits(words, 30), numbers)
