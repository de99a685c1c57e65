"""Where axes lie: two fields of slot bits between which they alternate, the samples, and what is left over.

Slots, most significant bit first: [ top ][ middle ][ samples ]. The two axes of every weight lie in the two
fields. A product of weights and values is so summed over one field, and its result lies in the other one:
forward, backward and in gradients, and nothing is ever repacked. What has no room in slots numbers
ciphertexts.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, ProductAtom, TotalAtom

_FEWEST_BITS = 3  # of slots


@dataclasses.dataclass(frozen=True)
class Fields:
    """The bits of the slots, and of the ciphertexts' numbers.

    Attributes:
        sizes: of each named axis.
        batch: the name of the axis of samples.
        widths: bits of the top field, of the middle one, and of samples.
        top: the axes that lie in the top field, at its most significant bits.
        middle: those of the middle one, at its least significant bits.
        held: the slot bits of each axis; further bits number ciphertexts.
    """

    sizes: Mapping[int, int]
    batch: int
    widths: tuple[int, int, int]
    top: frozenset[int]
    middle: frozenset[int]
    held: Mapping[int, int]

    @property
    def bits(self) -> int:
        """The bits of a slot's number."""
        return sum(self.widths)

    @property
    def period(self) -> int:
        """The slots of one period."""
        return 1 << self.bits

    def across(self, axis: int) -> int:
        """The bits of an axis that number ciphertexts."""
        return width_of(self.sizes[axis]) - self.held[axis]

    def count(self, axes: Sequence[int]) -> int:
        """The number of ciphertexts of a value with these axes."""
        return 1 << sum(self.across(axis) for axis in axes)

    def places(self, axis: int) -> range:
        """The slot bits of an axis, counted from the most significant one."""
        top, middle, samples = self.widths
        end = {True: top + middle + samples, False: top + middle}[axis == self.batch]
        end = self.held[axis] if axis in self.top else end
        return range(end - self.held[axis], end)

    def guards(self, axis: int) -> range:
        """The bits of the top field below an axis that lies there."""
        return range(self.held[axis], self.widths[0]) if axis in self.top else range(0)

    @property
    def samples(self) -> range:
        """The bits of samples, counted from the most significant one of all."""
        return range(self.bits - self.widths[2], self.bits)

    def index(self, axis: int, across: int) -> np.ndarray:
        """The index along an axis at each slot of a ciphertext, int64 [slot].

        Args:
            axis: its name.
            across: the part of the index that numbers ciphertexts.
        """
        places = self.places(axis)
        slots = np.arange(self.period)
        low = slots >> (self.bits - places.stop) & ((1 << self.held[axis]) - 1)
        return (across << self.held[axis]) + low


def width_of(size: int) -> int:
    """The bits that tell so many indices apart."""
    return max(0, (size - 1).bit_length())


def fields_of(forms: Forms, results: Sequence[Form], batch: int, slots: int) -> Fields:
    """The fields in which a function takes the fewest key switches.

    Args:
        forms: whose axes are to lie somewhere.
        results: the function's.
        batch: the name of the axis of samples.
        slots: that a ciphertext has at most, a power of two.

    Raises:
        ValueError: axes that two fields cannot hold, or too few slots for anything.
    """
    live = live_atoms(forms, results)
    colours = _colours(forms, live, batch)
    found = [
        fields
        for flipped in (False, True)
        for fields in _candidates(forms, live, _sides(colours, flipped), batch, width_of(slots))
    ]
    if not found:
        raise ValueError(
            f"no place was found for arrays in {slots} slots, with packing='tiles', in which every weight "
            f"has to find room in one ciphertext; take a larger ring, or smaller arrays."
        )
    return min(found, key=lambda fields: (key_switches(forms, live, fields), fields.period))


def live_atoms(forms: Forms, results: Sequence[Form]) -> list[int]:
    """The atoms on which results depend, in order."""
    live = {atom for form in results for atom in form.terms}
    for number in reversed(range(len(forms.atoms))):
        if number in live:
            for form in _forms_within(forms, number):
                live.update(form.terms)
    return sorted(live)


def _forms_within(forms: Forms, number: int) -> tuple[Form, ...]:
    atom = forms.atoms[number]
    if isinstance(atom, ArgumentAtom):
        return ()
    return atom.factors if isinstance(atom, ProductAtom) else (atom.form,)


def boxes(forms: Forms, live: Sequence[int]) -> Iterator[tuple[tuple[int, ...], int | None]]:
    """The axes of every value and product before it is summed, and the axis of the sum."""
    for number in live:
        atom = forms.atoms[number]
        summed = None if isinstance(atom, ArgumentAtom) else atom.summed
        yield (atom.axes if summed is None else (*atom.axes, summed)), summed


def _colours(forms: Forms, live: Sequence[int], batch: int) -> list[dict[int, bool]]:
    """The side of each axis, in every group of axes that meet: two that meet lie on different sides.

    Raises:
        ValueError: three that meet, or a circle of an odd number of axes.
    """
    met: dict[int, set[int]] = {}
    for axes, _ in boxes(forms, live):
        others = [axis for axis in axes if axis != batch]
        if len(set(others)) > 2:
            raise ValueError(
                "values of more than two axes beside that of samples meet, and packing='tiles' has two "
                "fields for them; join axes, or use packing='sample-per-slot'."
            )
        for axis in others:
            met.setdefault(axis, set()).update(others)
    groups: list[dict[int, bool]] = []
    for start in met:
        if any(start in group for group in groups):
            continue
        group, waiting = {start: True}, [start]
        while waiting:
            axis = waiting.pop()
            for other in met[axis] - {axis}:
                if other not in group:
                    group[other] = not group[axis]
                    waiting.append(other)
                elif group[other] == group[axis]:
                    raise ValueError(
                        "axes meet in a circle of an odd number of weights, which the two fields of "
                        "packing='tiles' cannot hold; use packing='sample-per-slot'."
                    )
        groups.append(group)
    return groups


def _sides(colours: Sequence[Mapping[int, bool]], flipped: bool) -> dict[int, bool]:
    return {axis: side != flipped for group in colours for axis, side in group.items()}


def _candidates(
    forms: Forms, live: Sequence[int], sides: Mapping[int, bool], batch: int, bits: int
) -> Iterator[Fields]:
    """All widths of the two fields, with as many samples as have room beside them."""
    guarded = _guarded(forms, live, sides)
    widest = [
        max((width_of(forms.sizes[a]) for a, side in sides.items() if side == top), default=0)
        for top in (True, False)
    ]
    for top, middle in itertools.product(range(widest[0] + 2), range(widest[1] + 1)):
        samples = min(bits - top - middle, width_of(forms.sizes[batch]))
        if samples < 0 or top + middle + samples < _FEWEST_BITS:
            continue
        held = {batch: samples}
        for axis, side in sides.items():
            room = (top - (axis in guarded)) if side else middle
            held[axis] = min(max(room, 0), width_of(forms.sizes[axis]))
        if any(axis in guarded and top - held[axis] < 1 for axis in guarded):
            continue
        top_axes = frozenset(axis for axis, side in sides.items() if side)
        middle_axes = frozenset(sides) - top_axes
        fields = Fields(forms.sizes, batch, (top, middle, samples), top_axes, middle_axes, held)
        if _state_places(forms, live, fields) <= 1 << samples:
            yield fields


def _guarded(forms: Forms, live: Sequence[int], sides: Mapping[int, bool]) -> frozenset[int]:
    """The axes of the top field that are there while a sum runs over the middle one."""
    found: set[int] = set()
    for axes, summed in boxes(forms, live):
        if summed is not None and sides.get(summed) is False:
            found.update(axis for axis in axes if sides.get(axis))
    return frozenset(found)


def _state_places(forms: Forms, live: Sequence[int], fields: Fields) -> int:
    """The places, at different samples, that the ciphertexts of one weight take at most."""
    arguments = [forms.atoms[n] for n in live if isinstance(forms.atoms[n], ArgumentAtom)]
    counts = [fields.count(a.axes) for a in arguments if fields.batch not in a.axes]
    return max(counts, default=1)


def key_switches(forms: Forms, live: Sequence[int], fields: Fields) -> int:
    """About how many key switches a function takes: relinearisations, sums over slots, weights spread."""
    total = 0
    within = {atom for number in live for form in _forms_within(forms, number) for atom in form.terms}
    for number in live:
        atom = forms.atoms[number]
        count = fields.count(atom.axes)
        if isinstance(atom, ArgumentAtom):
            guards = max((len(fields.guards(axis)) for axis in atom.axes), default=0)
            is_spread = number in within and fields.batch not in atom.axes
            total += count * (fields.widths[2] + guards) if is_spread else 0
            continue
        axis = atom.summed
        rotations = 0 if axis is None else fields.held[axis] + len(fields.guards(axis))
        is_plain = isinstance(atom, TotalAtom) or atom.factors[0].is_plain
        total += count * (rotations + (0 if is_plain else 1))
    return total


def padded(fields: Fields, axis: int) -> bool:
    """Whether an axis has fewer entries than its bits tell apart."""
    return fields.sizes[axis] != 1 << width_of(fields.sizes[axis])
