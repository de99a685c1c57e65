"""What fusing the ends of a key switch is predicted to save, counted by hand for a small one."""

import pytest

from benchmarks.gpu.key_switch_passes import KeySwitch, rotation_of, savings, table
from fhejax import ckks
from fhejax.ckks.keys.generation import key_moduli
from fhejax.ring.platform import DEVICES

SMALL = KeySwitch(degree=1000, digits=(2, 1), special=2)  # a limb is 4,000 bytes


def test_a_small_key_switch_counted_by_hand():
    """Digits of 2 and 1 primes are raised to 1 + 2 and 2 + 2 others: 7 limbs, from 2 * 3 + 1 * 4 reads."""
    assert (SMALL.limbs, SMALL.raised, SMALL.read_by_conversion, SMALL.key) == (3, 7, 10, 20)
    found = {one.what.split()[0]: one for one in savings(SMALL)}
    assert found["base"].memory == 2 * (7 + 3 + 2) * 4000  # the later of two that begin so
    assert found["sum"].memory == (2 * (7 + 3) - 3) * 4000
    assert found["difference"].memory == 2 * 6 * 4000
    once = savings(SMALL)[0]
    assert (once.memory, once.cache) == (2 * (3 + 2) * 4000, 7 * 4000)
    h200 = DEVICES["h200"]
    assert once.seconds(h200) == pytest.approx(40e3 / h200.bandwidth + 28e3 / 5.5e12)


def test_sizes_are_those_of_the_parameters_and_the_largest_saving_is_first():
    params = ckks.insecure_parameters(64, 5, 28.0, digit_size=2)
    switch = rotation_of(params)
    assert switch.limbs + switch.special == len(key_moduli(params, params.depth))
    lines = table(switch, DEVICES["h200"]).splitlines()
    assert len(lines) == 6
    saved = [float(line.split()[-3]) for line in lines[2:]]
    assert saved == sorted(saved, reverse=True)
