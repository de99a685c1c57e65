"""Where the entries of an array lie: an affine map from positions, by mixed-radix digits, to indices.

Index bits are not enough: 845 = 5 x 13 x 13, batches that are no power of two, copies shifted against each
other, diagonals, real and imaginary parts.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fhejax.program.packing.layout.canonical import Form, canonical
from fhejax.program.packing.layout.coverage import missing_entries
from fhejax.program.packing.layout.digit import Digit, product, whole

_GROUPS = ("ciphertexts", "parts", "slots")  # most significant first


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the entries of an array lie among ciphertexts, their slots, and the parts of these.

    A position's index on an axis is where the axis starts plus the steps of the position's digits, modulo
    the axis's `wrap` if that is not 0. A position whose index lies outside of the shape is empty, as are
    those of digits that hold entries at one value only. What empty positions hold (zero, or bounded junk) is
    not said here: it is an interval that belongs to the value.

    Whatever is given, the digits that are held are the canonical ones: see `canonical`.

    Attributes:
        shape: of the array.
        slots: digits of the slot, most significant first; their sizes multiply to the ring's slots.
        ciphertexts: digits of the ciphertext's number, most significant first.
        parts: no digit, or one of size 2: the real and the imaginary part of a slot.
        offset: the index at which each axis starts, by default 0: padding, crops.
        wrap: 0, or the number modulo which the index of each axis counts: shifted copies, diagonals.

    Raises:
        TypeError: what are no integers and no digits.
        ValueError: digits that move an axis which is not there, slots that are no power of two, parts that
            are not two, or entries that lie nowhere.
    """

    shape: tuple[int, ...]
    slots: tuple[Digit, ...] = ()
    ciphertexts: tuple[Digit, ...] = dataclasses.field(default=(), kw_only=True)
    parts: tuple[Digit, ...] = dataclasses.field(default=(), kw_only=True)
    offset: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)
    wrap: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        shape = tuple(whole(n, "the length of an axis", 1) for n in _sequence(self.shape, "shape"))
        offset = _of_axes(self.offset, len(shape), "offset", None)
        wrap = _of_axes(self.wrap, len(shape), "wrap", 0)
        groups = tuple(_digits(getattr(self, name), name, len(shape)) for name in _GROUPS)
        _check_sizes(parts=groups[1], slots=groups[2])
        form = canonical(Form(shape, groups, offset, wrap))
        _check_complete(form)
        values = dict(zip(_GROUPS, form.groups, strict=True), shape=shape, offset=form.offset, wrap=form.wrap)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def ciphertext_count(self) -> int:
        """How many ciphertexts the array takes."""
        return product(self.ciphertexts)

    @property
    def part_count(self) -> int:
        """2 where real and imaginary parts of a slot hold different positions, else 1."""
        return product(self.parts)

    @property
    def slot_count(self) -> int:
        """How many slots a ciphertext has."""
        return product(self.slots)

    @property
    def digits(self) -> tuple[Digit, ...]:
        """The digits of ciphertexts, parts and slots, in this order."""
        return self.ciphertexts + self.parts + self.slots

    @property
    def form(self) -> Form:
        """What the canonical form is made of."""
        return Form(self.shape, (self.ciphertexts, self.parts, self.slots), self.offset, self.wrap)

    def replace(self, **changes: Any) -> "Layout":
        """A layout with some fields changed, checked like any other."""
        return dataclasses.replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        """Numbers, lists and dictionaries, from which `from_json` makes an equal layout."""
        groups = {name: [_digit_as_json(digit) for digit in getattr(self, name)] for name in _GROUPS}
        numbers = {name: list(getattr(self, name)) for name in ("shape", "offset", "wrap")}
        return {**groups, **numbers}

    @staticmethod
    def from_json(given: Mapping[str, Any]) -> "Layout":
        """The layout that `as_json` wrote, checked like any other.

        Raises:
            TypeError: what is no dictionary of lists.
            ValueError: other keys than those of a layout, or what no layout has.
        """
        names = {*_GROUPS, "shape", "offset", "wrap"}
        if not isinstance(given, Mapping) or set(given) != names:
            found = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise ValueError(f"a layout was to be read from {found}; it is a dictionary of {sorted(names)}.")
        groups = {name: tuple(map(_digit_from_json, _sequence(given[name], name))) for name in _GROUPS}
        numbers = {name: tuple(_sequence(given[name], name)) for name in ("shape", "offset", "wrap")}
        return Layout(**groups, **numbers)


def _digit_as_json(digit: Digit) -> dict[str, Any]:
    return {"size": digit.size, "steps": [list(pair) for pair in digit.steps], "only": digit.only}


def _digit_from_json(given: object) -> Digit:
    if not isinstance(given, Mapping) or set(given) != {"size", "steps", "only"}:
        raise ValueError(f"a digit was to be read from {given!r}; it has a size, steps and only.")
    return Digit(given["size"], given["steps"], given["only"])


def _sequence(given: object, name: str) -> Sequence[Any]:
    if not isinstance(given, tuple | list):
        raise TypeError(f"{name} of a layout was given as {given!r}; it is a tuple.")
    return given


def _of_axes(given: object, count: int, name: str, least: int | None) -> tuple[int, ...]:
    numbers = tuple(whole(number, f"{name} of a layout", least) for number in _sequence(given, name))
    if numbers and len(numbers) != count:
        raise ValueError(
            f"{name} of a layout has {len(numbers)} numbers and its shape {count} axes; give one for each "
            f"axis, or none."
        )
    return numbers or (0,) * count


def _digits(given: object, name: str, axes: int) -> tuple[Digit, ...]:
    digits = tuple(_sequence(given, name))
    for digit in digits:
        if not isinstance(digit, Digit):
            raise TypeError(f"{name} of a layout were given {digit!r}; they are digits.")
        if any(axis >= axes for axis, _ in digit.steps):
            raise ValueError(f"{name} of a layout with {axes} axes were given {digit}, which moves another.")
    return digits


def _check_sizes(parts: tuple[Digit, ...], slots: tuple[Digit, ...]) -> None:
    if product(parts) not in (1, 2):
        raise ValueError(
            f"a layout with {product(parts)} parts in a slot was asked for; a slot has two, real and "
            f"imaginary."
        )
    count = product(slots)
    if count & (count - 1):
        raise ValueError(
            f"a layout with {count} slots was asked for; a ring has a power of two of them. Make the size of "
            f"a digit larger: what lies outside of the shape is empty."
        )


def _check_complete(form: Form) -> None:
    axes, count = missing_entries(form)
    if count:
        raise ValueError(
            f"a layout of shape {form.shape} was asked for in which {count} indices of axes {axes} lie "
            f"nowhere; give more or larger digits along these axes, or another offset."
        )
