"""Sums over an axis by additions of ciphertexts and rotations, as `sum_over` plans them."""

import functools
from collections.abc import Iterable, Sequence

from fhejax.ckks.evaluation import add, rotate
from fhejax.ckks.operation import Keys, Value
from fhejax.program.packing.layout import SlotSum


def add_up(keys: Keys, ciphertexts: Sequence[Value], planned: SlotSum) -> list[Value]:
    """The sum over an axis: the ciphertexts of each group added, and their slots by rotations. No level.

    Args:
        keys: with the plan's rotations.
        ciphertexts: of the layout that was summed, in order, of two components.
        planned: of `sum_over`.
    """
    sums = (functools.reduce(add, (ciphertexts[number] for number in group)) for group in planned.groups)
    return [add_rotated(keys, total, planned.rotations) for total in sums]


def add_rotated(keys: Keys, ciphertext: Value, rotations: Iterable[int]) -> Value:
    """The ciphertext, for each rotation in turn, plus itself rotated. No level."""
    for rotation in rotations:
        ciphertext = add(ciphertext, rotate(keys, ciphertext, rotation))
    return ciphertext
