"""Counts of key switches by formula: what papers print, and limbs in words of another size."""

import pytest

from fhejax.ckks import Parameters
from fhejax.ckks.counts import NOTHING, OperationCounts, SwitchedLimbs, limb_table
from fhejax.ckks.counts.key_switching import key_reads, relinearisation, rotation, switch
from fhejax.ckks.counts.linear_transform import linear_transform

MIB = 2**20


def test_keys_weigh_what_papers_say():
    """SHARP's of 35 + 12 limbs in 3 digits at 36 bits, and BTS's of 28 + 28 at 64: 79.3 and 112 MiB."""
    sharp = key_reads(SwitchedLimbs(35, 12, (12, 12, 11))).key_limbs * 2**16 * 36 / 8
    assert sharp / MIB == pytest.approx(79.3, abs=0.05)
    assert key_reads(SwitchedLimbs(28, 28, (28,))).key_limbs * 2**17 * 8 / MIB == 112


def test_a_switch_of_one_digit_takes_six_transforms_a_limb():
    """CraterLake's at 60 limbs: 6 L transforms, and about 3 L^2 multiply-adds."""
    counted = switch(SwitchedLimbs(60, 60, (60,)))
    assert counted.transforms == 6 * 60
    assert counted.conversions == 60 * 60 + 60 + 2 * 60 * 61  # raised; both divided
    assert counted.key_products == 2 * 120


def test_counts_add_up():
    at = SwitchedLimbs(5, 2, (2, 2, 1))
    assert 2 * rotation(at) == rotation(at) + rotation(at)
    assert rotation(at) + NOTHING == rotation(at)
    assert rotation(at).rotations == 1
    assert relinearisation(at).rotations == 0
    assert sum([rotation(at)] * 3, NOTHING).decompositions == 3


def test_baby_steps_share_a_decomposition():
    at, steps = SwitchedLimbs(5, 2, (2, 2, 1)), [(g, b) for g in (0, 8) for b in range(4)]
    counted = linear_transform(at, steps, share=0.25)
    assert (counted.decompositions, counted.inner_products, counted.divisions) == (2, 4, 2)
    assert (counted.plaintexts, counted.plaintext_limbs, counted.distinct_limbs) == (8, 8 * 7, 2 * 7)
    assert linear_transform(at, [(0, 0)]) == linear_transform(at, [(0, 0)], dropped=0)
    assert linear_transform(at, [(0, 0)]).decompositions == 0


def test_words_of_other_sizes_hold_the_same_bits_in_other_limbs():
    params = Parameters.for_depth(12, slots=2**15, precision_bits=12)
    own, wide = limb_table(params), limb_table(params, 54.0)
    for level in range(params.depth + 1):
        assert own.limbs(level) == len(params.level_moduli(level))
        bits = sum(q.bit_length() for q in params.level_moduli(level))
        assert bits / 54 - 1 < wide.limbs(level) <= bits / 54 + 1
        assert sum(wide.switched(level).digits) == wide.limbs(level)
        assert sum(own.switched(level).digits) == own.limbs(level)
    assert own.dropped(3, 2) == len(set(params.levels[3]) - set(params.levels[2]))
    assert wide.dropped(3, 2) >= 1
    assert own.dropped(3, 3) == 0


def test_counts_of_nothing_are_zero():
    assert OperationCounts().values == (0,) * 19
