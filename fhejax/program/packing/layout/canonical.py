"""The one form of a layout among the many that put the same entries at the same positions.

Digits of size 1 are dropped, digits that hold entries at one value only are known as such (a digit whose
other values lead out of the shape, too: of 32 positions for 13 entries the upper 16 are those of a digit that
no sum needs to go over), and neighbours are merged, so that equal layouts are equal and hash equal.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from fhejax.program.packing.layout.digit import Digit, Steps

Groups = tuple[tuple[Digit, ...], ...]


@dataclasses.dataclass(frozen=True)
class Form:
    """The digits of the ciphertexts, the parts and the slots, and where the axes start and wrap around."""

    shape: tuple[int, ...]
    groups: Groups
    offset: tuple[int, ...]
    wrap: tuple[int, ...]

    @property
    def digits(self) -> Iterator[Digit]:
        """All of them."""
        return (digit for group in self.groups for digit in group)

    def range(self, axis: int) -> tuple[int, int]:
        """The least and the largest index that positions have, before it wraps around."""
        reached = [self._reach(digit, axis) for digit in self.digits]
        return (
            self.offset[axis] + sum(low for low, _ in reached),
            self.offset[axis] + sum(high for _, high in reached),
        )

    @staticmethod
    def _reach(digit: Digit, axis: int) -> tuple[int, int]:
        return reach(digit.step(axis), digit.size)


def reach(step: int, size: int) -> tuple[int, int]:
    """The least and the largest multiple of a step by the values of a digit."""
    return min(0, step * (size - 1)), max(0, step * (size - 1))


def canonical(form: Form) -> Form:
    """The same positions of the same entries, in the one form."""
    while True:
        better = _merged(_narrowed(_unwrapped(_merged(_folded(form)))))
        if better == form:
            return form
        form = better


def _unwrapped(form: Form) -> Form:
    """Steps between 0 and the modulus of their axis, or no modulus where no entry is reached around it."""
    for axis, modulus in enumerate(form.wrap):
        if modulus:
            # A step stands for itself less the modulus, too: half of it of size 2 leads as well up as down.
            ways = (
                _modulo(form, axis, least)
                for least in (-((modulus - 1) // 2), -(modulus // 2), 0, 1 - modulus)
            )
            form = next(filter(None, (_straightened(way, axis) for way in ways)), _modulo(form, axis, 0))
    return form


def _straightened(form: Form, axis: int) -> Form | None:
    """The same without a modulus, if what wraps around it lies outside of the shape."""
    low, high = form.range(axis)
    modulus = form.wrap[axis]
    around = high // modulus * modulus
    if low - around < form.shape[axis] - modulus:
        return None
    offset = replaced_at(form.offset, axis, form.offset[axis] - around)
    return dataclasses.replace(form, offset=offset, wrap=replaced_at(form.wrap, axis, 0))


def _modulo(form: Form, axis: int, least: int) -> Form:
    """Steps on an axis from `least` on, one for each number modulo its modulus."""
    modulus = form.wrap[axis]
    offset = replaced_at(form.offset, axis, form.offset[axis] % modulus)

    def digit_modulo(digit: Digit) -> Digit:
        steps = ((a, (s - least) % modulus + least if a == axis else s) for a, s in digit.steps)
        return Digit(digit.size, tuple(steps), digit.only)

    groups = tuple(tuple(map(digit_modulo, group)) for group in form.groups)
    return dataclasses.replace(form, groups=groups, offset=offset)


def _folded(form: Form) -> Form:
    """A digit that holds entries at one value only moves where its axes start, and has no steps."""
    offset = list(form.offset)
    for digit in form.digits:
        for axis, step in digit.steps if digit.only is not None else ():
            offset[axis] += step * (digit.only or 0)
    groups = tuple(
        tuple(digit if digit.only is None else Digit(digit.size, (), digit.only) for digit in group)
        for group in form.groups
    )
    return dataclasses.replace(form, groups=groups, offset=tuple(offset))


def _narrowed(form: Form) -> Form:
    """The high part of a digit split off where but one of its values stays within the shape."""
    for number, group in enumerate(form.groups):
        for place, digit in enumerate(group):
            found = _narrow_part(form, digit)
            if found is not None:
                changed = (*group[:place], *found, *group[place + 1 :])
                groups = (*form.groups[:number], changed, *form.groups[number + 1 :])
                return _narrowed(_folded(dataclasses.replace(form, groups=groups)))
    return form


def _narrow_part(form: Form, digit: Digit) -> tuple[Digit, ...] | None:
    for axis, step in digit.steps:
        if form.wrap[axis]:
            continue
        low, high = form.range(axis)
        below, above = reach(step, digit.size)
        rest = low - below, high - above  # the range without this digit
        for size in divisors(digit.size)[:-1]:
            inside = reach(step, size)
            values = _values_within(
                rest[0] + inside[0], rest[1] + inside[1], step * size, digit.size // size, form.shape[axis]
            )
            if len(values) == 1:
                outer, inner = digit.split(size)
                return dataclasses.replace(outer, only=values[0]), inner
    return None


def _values_within(low: int, high: int, step: int, size: int, length: int) -> range:
    """The values v below size at which some index in low + step v to high + step v is in 0 to length - 1."""
    if step < 0:  # as seen from the other end of the axis
        low, high, step = length - 1 - high, length - 1 - low, -step
    return range(max(0, -(high // step)), min(size, (length - 1 - low) // step + 1))


def _merged(form: Form) -> Form:
    groups = tuple(_merge(group, form.wrap) for group in form.groups)
    return dataclasses.replace(form, groups=groups)


def _merge(digits: Sequence[Digit], wrap: tuple[int, ...]) -> tuple[Digit, ...]:
    """Neighbours that one digit stands for in its place, and none of size 1."""
    merged: list[Digit] = []
    for digit in digits:
        if digit.size == 1:
            continue
        if merged and _is_one(merged[-1], digit, wrap):
            high = merged.pop()
            only = None if digit.only is None else (high.only or 0) * digit.size + digit.only
            digit = Digit(high.size * digit.size, digit.steps, only)
        merged.append(digit)
    return tuple(merged)


def _is_one(high: Digit, low: Digit, wrap: tuple[int, ...]) -> bool:
    if (high.only is None) != (low.only is None):
        return False
    raised = tuple((axis, step * low.size) for axis, step in low.steps)
    return _modulo_wrap(high.steps, wrap) == _modulo_wrap(raised, wrap)


def _modulo_wrap(steps: Steps, wrap: tuple[int, ...]) -> Steps:
    reduced = ((axis, step % wrap[axis] if wrap[axis] else step) for axis, step in steps)
    return tuple((axis, step) for axis, step in reduced if step)


def divisors(number: int) -> list[int]:
    """Every divisor, in order."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def replaced_at(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    """The numbers with another one at one place."""
    return (*values[:place], value, *values[place + 1 :])
