"""Sums over an axis by rotations and additions, and where they leave a result.

A rotation moves all slots at once, so that adding up the values of one digit reads, from any of its values
but the first, into the next value of the digits above. Hence

- where all digits above are copies, or there is none, every slot comes out right: the digit is then a copy;
- where the digit just above is a copy, every slot does at which the copy's lowest bit is 0 (it is a guard):
  the digit is then a copy, and the other half is junk;
- elsewhere it is right at one value of the digit, any that is chosen, and junk at the others.

Junk is bounded, by as many times the largest value as there are terms. It needs a mask only before it enters
a sum, a state, or a copy to all slots.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.packing.layout.alignment import NotAlignedError, axis_of
from fhejax.program.packing.layout.digit import Digit, copies, gap, product
from fhejax.program.packing.layout.layout import Layout


@dataclasses.dataclass(frozen=True)
class SlotSum:
    """How an axis is summed.

    Attributes:
        groups: for each ciphertext of the result, the numbers of those that are added up.
        rotations: after that, in this order: the sum is rotated by each and added to itself. Positive ones
            are to the left, as of `ckks.rotate`.
        layout: of the result, without the axis. Its empty positions hold junk or what they held before.
        terms: how many values come together in a slot: how much larger junk may be than what was summed.
        is_clean: whether no position holds junk: no mask is ever needed.
    """

    groups: tuple[tuple[int, ...], ...]
    rotations: tuple[int, ...]
    layout: Layout
    terms: int
    is_clean: bool


def sum_over(layout: Layout, axis: int, *, over_gaps: bool = False, at: int = 0) -> SlotSum:
    """The sum over one axis. Empty positions along it must hold zero.

    Args:
        layout: of what is summed.
        axis: that is summed.
        over_gaps: sum as well the digits that hold entries at one value only, wherever every slot comes out
            right by it, so that they become copies. Their empty positions must hold zero.
        at: the value of the digit at which the sum is right, where it is so at one value only: several sums
            that are right at different values find room in one ciphertext.

    Raises:
        NotAlignedError: entries whose index on the axis counts together with that on another, or lies among
            the real and imaginary parts.
        ValueError: an axis that is not there, or a value that the digit does not have.
    """
    axis = axis_of(axis, layout.shape)
    _check_alone(layout, axis)
    groups, kept = _grouped(layout, axis)
    digits, rotations, is_clean = _windows(layout, axis, over_gaps, at)
    changed = Layout(
        tuple(n for a, n in enumerate(layout.shape) if a != axis),
        tuple(_without(digit, axis) for digit in digits),
        ciphertexts=tuple(_without(digit, axis) for digit in kept),
        parts=tuple(_without(digit, axis) for digit in layout.parts),
        offset=tuple(n for a, n in enumerate(layout.offset) if a != axis),
        wrap=tuple(n for a, n in enumerate(layout.wrap) if a != axis),
    )
    return SlotSum(groups, rotations, changed, len(groups[0]) << len(rotations), is_clean)


def copied(layout: Layout) -> tuple[Layout, tuple[int, ...]]:
    """(layout, rotations) by which what each digit holds at one value only comes to all its others.

    Every empty position must hold zero; the rotations go like those of a `SlotSum`.
    """
    rotations: list[int] = []
    digits: list[Digit] = []
    stride = 1
    for digit in reversed(layout.slots):
        if digit.only is not None:
            rotations += _steps(digit.size, stride, digit.size - 1 - digit.only)
        digits.append(digit if digit.only is None else copies(digit.size))
        stride *= digit.size
    return layout.replace(slots=tuple(reversed(digits))), tuple(rotations)


def as_shares(layout: Layout) -> Layout:
    """The layout with one more axis, along which its copies in the slots are told apart.

    What lies so may be a share of an entry in each copy: `sum_over` the last axis adds them up.
    """
    axis, step = len(layout.shape), 1
    digits: list[Digit] = []
    for digit in reversed(layout.slots):
        digits.append(Digit(digit.size, ((axis, step),)) if digit.is_copy else digit)
        step *= digit.size if digit.is_copy else 1
    return Layout(
        (*layout.shape, step),
        tuple(reversed(digits)),
        ciphertexts=layout.ciphertexts,
        parts=layout.parts,
        offset=(*layout.offset, 0),
        wrap=(*layout.wrap, 0),
    )


def _check_alone(layout: Layout, axis: int) -> None:
    along = [digit for digit in layout.digits if digit.step(axis)]
    if any(len(digit.steps) > 1 for digit in along) or any(digit.step(axis) for digit in layout.parts):
        raise NotAlignedError(
            f"a sum over axis {axis} of a layout was asked for in which its index counts together with that "
            f"of another axis, or lies among real and imaginary parts. Repack, or take the parts first."
        )
    sums = np.array([layout.offset[axis]])
    for digit in along:
        sums = (sums[:, None] + digit.step(axis) * np.arange(digit.size)).ravel()
    sums = sums % layout.wrap[axis] if layout.wrap[axis] else sums
    held = int(np.sum((sums >= 0) & (sums < layout.shape[axis])))
    if held != layout.shape[axis]:
        raise NotAlignedError(
            f"a sum over axis {axis} of length {layout.shape[axis]} was asked for, whose indices lie at "
            f"{held} places: some would be summed twice. Tell the copies apart by a digit of their own, or "
            f"repack."
        )


def _grouped(layout: Layout, axis: int) -> tuple[tuple[tuple[int, ...], ...], tuple[Digit, ...]]:
    """The ciphertexts of each sum, and the digits of those that result."""
    numbers = np.arange(layout.ciphertext_count).reshape([digit.size for digit in layout.ciphertexts])
    summed = [place for place, digit in enumerate(layout.ciphertexts) if digit.step(axis)]
    kept = [place for place in range(len(layout.ciphertexts)) if place not in summed]
    table = numbers.transpose([*kept, *summed]).reshape(
        product(tuple(layout.ciphertexts[place] for place in kept)), -1
    )
    return tuple(tuple(map(int, row)) for row in table), tuple(layout.ciphertexts[place] for place in kept)


def _windows(
    layout: Layout, axis: int, over_gaps: bool, at: int
) -> tuple[list[Digit], tuple[int, ...], bool]:
    """The digits after the sum, the rotations that make it, and whether it leaves no junk."""
    above: list[Digit] = []
    rotations: tuple[int, ...] = ()
    is_clean = True
    rest, stride = list(layout.slots), layout.slot_count
    while rest:
        size = 1  # of neighbouring digits that are summed as one
        while rest and (rest[0].step(axis) or (over_gaps and _is_summed_gap(rest[0], above))):
            size *= rest.pop(0).size
        stride //= size
        if size > 1:
            clean = all(digit.is_copy for digit in above)
            guarded = not clean and above[-1].is_copy and not at
            above = _above_and_sum(above, size, clean, guarded, at)
            rotations += _steps(size, stride, 0 if clean or guarded else at)
            is_clean &= clean
        if rest:
            above.append(rest.pop(0))
            stride //= above[-1].size
    return above, rotations, is_clean


def _is_summed_gap(digit: Digit, above: Sequence[Digit]) -> bool:
    return digit.only is not None and all(digit.is_copy for digit in above)


def _above_and_sum(above: list[Digit], size: int, clean: bool, guarded: bool, at: int) -> list[Digit]:
    """The digits down to those of a sum, as they are after it."""
    if clean:
        return [*above, copies(size)]
    if guarded:
        return [*above[:-1], above[-1].split(2)[0], gap(2), copies(size)]
    if not 0 <= at < size:
        raise ValueError(f"a sum that is right at value {at} was asked for, of digits of size {size}.")
    return [*above, gap(size, at)]


def _steps(size: int, stride: int, at: int) -> tuple[int, ...]:
    """Rotations that bring all values of a digit together at one of them: backwards for each bit it has."""
    bits = range(size.bit_length() - 1)
    return tuple((-stride if at >> bit & 1 else stride) << bit for bit in bits)


def _without(digit: Digit, axis: int) -> Digit:
    steps = tuple((a - (a > axis), step) for a, step in digit.steps if a != axis)
    return Digit(digit.size, steps, digit.only)
