"""Where weights and state lie in the ciphertexts that they come in: each at a place among the samples.

A weight is used as copies at every sample. As an argument, and as a result, it takes one place: many find
room in one ciphertext, which then one bootstrap serves. What is added to a weight, such as a gradient, comes
out right at one sample, any that is chosen: that of the weight's place.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fhejax.program.packing.layout import Layout, along, copies, gap
from fhejax.program.packing.layout.digit import Digit
from fhejax.program.packing.tiles.bits import COPY, Bit, Bits
from fhejax.program.packing.tiles.fields import Fields
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, ProductAtom, TotalAtom

Number = tuple[int, ...]  # for each axis of a value, the part of the index that numbers ciphertexts


@dataclasses.dataclass(frozen=True)
class Place:
    """The place of an array without samples.

    Attributes:
        base: the first of the samples at which its ciphertexts lie, a multiple of how many they are.
        state: the number of the ciphertext in which it is carried, beside others.
    """

    base: int
    state: int


def numbers_of(fields: Fields, axes: Sequence[int]) -> list[Number]:
    """The numbers of a value's ciphertexts, in order."""
    return list(itertools.product(*(range(1 << fields.across(axis)) for axis in axes)))


def axes_bits(fields: Fields, axes: Sequence[int]) -> Bits:
    """The bits of a value that has copies along all that are not its axes."""
    bits = [COPY] * fields.bits
    for axis in axes:
        for place in fields.places(axis):
            bits[place] = Bit("index", axis)
    return tuple(bits)


def bits_at(fields: Fields, axes: Sequence[int], sample: int) -> Bits:
    """The bits of an array that lies at one sample, and where the bits below its own axis on top are zero."""
    bits = list(axes_bits(fields, axes))
    for place in fields.guards(axes):
        bits[place] = Bit("zero")
    for place in fields.samples:
        bits[place] = Bit("zero", at=sample >> (fields.bits - 1 - place) & 1)
    return tuple(bits)


def places_of(
    forms: Forms,
    batch: int,
    carried: Sequence[tuple[Form, int]],
    room: int,
    count: Callable[[Sequence[int]], int] = lambda axes: 1,
) -> dict[int, Place]:
    """The place of each argument without samples, by its atom.

    Args:
        forms: of the function.
        batch: the name of the axis of samples.
        carried: results that replace arguments, each with the atom of its argument.
        room: for how many places there is in one ciphertext.
        count: of places that an array of some axes takes.
    """
    groups: dict[int, list[int]] = {}
    for form, atom in carried:
        sums = [number for number in form.terms if is_gradient(forms, batch, number)]
        groups.setdefault(min(sums, default=-1 - atom), []).append(atom)
    grouped = {atom for members in groups.values() for atom in members}
    for number, atom in enumerate(forms.atoms):
        if isinstance(atom, ArgumentAtom) and batch not in atom.axes and number not in grouped:
            groups[-1 - number] = [number]
    counted = [(group, count(forms.atoms[group[0]].axes)) for group in groups.values()]
    return _assigned(counted, room)


def is_gradient(forms: Forms, batch: int, number: int) -> bool:
    """Whether an atom is a sum over all samples."""
    atom = forms.atoms[number]
    return isinstance(atom, ProductAtom | TotalAtom) and batch in atom.summed


def _assigned(groups: Sequence[tuple[Sequence[int], int]], room: int) -> dict[int, Place]:
    """Places for groups of arguments of the same axes, one after the other, those that are many first."""
    found: dict[int, Place] = {}
    base, state = 0, 0
    most = max((len(group) for group, _ in groups), default=1)
    for group, count in sorted(groups, key=lambda group: -group[1]):
        if base + count > room:
            base, state = 0, state + most
        for number, atom in enumerate(group):
            found[atom] = Place(base, state + number)
        base += count
    return found


def sample_of(fields: Fields, axes: Sequence[int], number: Number, base: int) -> int:
    """The sample at which one of a weight's ciphertexts lies."""
    place = 0
    for axis, part in zip(axes, number, strict=True):
        place = (place << fields.across(axis)) + part
    return base + place


def layout_of(fields: Fields, atom: ArgumentAtom, place: Place | None) -> Layout:
    """The layout of an argument: with copies along other axes, or at its place.

    Args:
        fields: where axes lie.
        atom: the argument.
        place: of what has no samples; None of data.
    """
    steps = dict(zip(atom.axes, atom.steps, strict=True))
    axes = tuple(sorted(atom.axes))
    across = [
        along(steps[axis][0], 1 << fields.across(axis), steps[axis][1] << fields.held[axis])
        for axis in axes
        if fields.across(axis)
    ]
    bits = axes_bits(fields, axes) if place is None else bits_at(fields, axes, place.base)
    digits = [_digit(fields, bit, where, steps) for where, bit in enumerate(bits)]
    if place is None:
        return Layout(atom.shape, tuple(digits), ciphertexts=tuple(across), offset=atom.starts)
    taken = sum(fields.across(axis) for axis in axes)
    return Layout(atom.shape, (*digits[: len(digits) - taken], *across), offset=atom.starts)


def _digit(fields: Fields, bit: Bit, where: int, steps: Mapping[int, tuple[int, int]]) -> Digit:
    """The digit of one bit of a slot's number."""
    if bit.kind == "index":
        dimension, unit = steps[bit.axis]
        return along(dimension, 2, unit << (fields.places(bit.axis).stop - 1 - where))
    return copies(2) if bit == COPY else gap(2, bit.at)


def vector_at(fields: Fields, bits: Bits, axes: Sequence[int], number: Number) -> np.ndarray:
    """One where a ciphertext of a value holds an entry, at the right value of all bits, and else zero.

    Args:
        fields: where axes lie.
        bits: of the value.
        axes: along which entries are told apart.
        number: of the ciphertext.
    """
    slots = np.arange(fields.period)
    held = np.ones(fields.period)
    for place, bit in enumerate(bits):
        if bit.kind in ("junk", "zero"):
            held *= (slots >> (fields.bits - 1 - place) & 1) == bit.at
    for axis, part in zip(axes, number, strict=True):
        held *= fields.index(axis, part) < fields.sizes[axis]
    return held


def positions(fields: Fields, bits: Bits, axes: Sequence[int]) -> np.ndarray:
    """Where each entry lies, int64 with one dimension for each axis: ciphertext times period, plus slot."""
    found = np.zeros((1,) * len(axes), np.int64)
    for place, bit in enumerate(bits):
        if bit.kind in ("junk", "zero") and bit.at:
            found = found + (1 << (fields.bits - 1 - place))
    stride = fields.period * fields.count(axes)
    for dimension, axis in enumerate(axes):
        index = np.arange(fields.sizes[axis])
        stride >>= fields.across(axis)
        low = index & ((1 << fields.held[axis]) - 1)
        part = (low << (fields.bits - fields.places(axis).stop)) + (index >> fields.held[axis]) * stride
        found = found + part.reshape([-1 if d == dimension else 1 for d in range(len(axes))])
    return found
