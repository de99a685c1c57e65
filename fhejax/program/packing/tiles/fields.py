"""Where axes lie: two fields of slot bits between which they alternate, the samples, and what is left over.

Slots, most significant bit first: [ top ][ middle ][ samples ]. The two sides of every weight lie in the two
fields: axes at the most significant bits of the top one, and at the least significant ones of the middle one.
A product of weights and values is so summed over one field, and its result lies in the other one: forward,
backward and in gradients, and nothing is ever repacked. What has no room in slots numbers ciphertexts.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, TotalAtom
from fhejax.program.packing.tiles.sides import boxes, forms_within, live_atoms, neighbours, order_of, sides_of

_FEWEST_BITS = 3  # of slots


@dataclasses.dataclass(frozen=True)
class Fields:
    """The bits of the slots, and of the ciphertexts' numbers.

    Attributes:
        sizes: of each named axis.
        batch: the name of the axis of samples.
        widths: bits of the top field, of the middle one, and of samples.
        held: the slot bits of each axis; further bits number ciphertexts.
        ends: where each axis's slot bits end, counted from the most significant one.
        lasts: of each axis of the top field, where those that lie beside it there end.
    """

    sizes: Mapping[int, int]
    batch: int
    widths: tuple[int, int, int]
    held: Mapping[int, int]
    ends: Mapping[int, int]
    lasts: Mapping[int, int]

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
        return range(self.ends[axis] - self.held[axis], self.ends[axis])

    def guards(self, axes: Sequence[int]) -> range:
        """The bits of the top field below those of a value's axes there; none where it has none of these."""
        lasts = [self.lasts[axis] for axis in axes if axis in self.lasts]
        return range(max(lasts), self.widths[0]) if lasts else range(0)

    def guards_summed(self, axes: Sequence[int], summed: Sequence[int]) -> range:
        """The guards that a sum over some axes runs over as well: where it leaves none on top.

        Args:
            axes: of what is summed, with those that are.
            summed: those.
        """
        top = [axis for axis in axes if axis in self.lasts]
        if not top or not set(top) <= set(summed):
            return range(0)
        guards = self.guards(top)
        return guards if guards.start == max(self.ends[axis] for axis in top) else range(0)

    def runs_over_middle(self, summed: Sequence[int]) -> bool:
        """Whether a sum over some axes runs over the middle field."""
        return any(axis not in self.lasts and axis != self.batch for axis in summed)

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
    sides = sides_of(forms, live, batch)
    found = [
        fields
        for flipped in (False, True)
        for fields in _candidates(
            forms, live, {a: side != flipped for a, side in sides.items()}, batch, width_of(slots)
        )
    ]
    if not found:
        raise ValueError(
            f"no place was found for arrays in {slots} slots, with packing='tiles', in which every weight "
            f"has to find room in one ciphertext; take a larger ring, or smaller arrays."
        )
    return min(found, key=lambda fields: (key_switches(forms, live, fields), fields.period))


def _candidates(
    forms: Forms, live: Sequence[int], sides: Mapping[int, bool], batch: int, bits: int
) -> Iterator[Fields]:
    """All widths of the two fields, with as many samples as have room beside them."""
    guarded, beside = _guarded(forms, live, sides), neighbours(forms, live, sides)
    order = order_of(forms, live, sides)
    everything = {axis: len(sides) * bits for axis in sides}
    widest, below = _stacked(order[::-1], beside, forms.sizes, everything)
    most = [
        max((widest[a] + below[a] for a in order if sides[a] == side), default=0) for side in (True, False)
    ]
    for top, middle in itertools.product(range(most[0] + 2), range(most[1] + 1)):
        samples = min(bits - top - middle, width_of(forms.sizes[batch]))
        if samples < 0 or top + middle + samples < _FEWEST_BITS:
            continue
        room = {axis: (top - (axis in guarded)) if side else middle for axis, side in sides.items()}
        held, below = _stacked(order[::-1], beside, forms.sizes, room)
        ends = {axis: top + middle - below[axis] for axis in order if not sides[axis]}
        for axis in (axis for axis in order if sides[axis]):
            ends[axis] = held[axis] + max((ends[other] for other in beside[axis] if other in ends), default=0)
        lasts = {axis: max(ends[other] for other in (axis, *beside[axis])) for axis in order if sides[axis]}
        if any(axis in guarded and last >= top for axis, last in lasts.items()):
            continue
        widths = top, middle, samples
        held[batch], ends[batch] = samples, sum(widths)
        fields = Fields(forms.sizes, batch, widths, held, ends, lasts)
        if _state_places(forms, live, fields) <= 1 << samples:
            yield fields


def _stacked(
    axes: Sequence[int],
    beside: Mapping[int, Collection[int]],
    sizes: Mapping[int, int],
    room: Mapping[int, int],
) -> tuple[dict[int, int], dict[int, int]]:
    """The bits of each axis that lie in a field, and those of others that lie below it.

    Args:
        axes: the least significant first, which are the last to number ciphertexts.
        beside: those that share a field with each.
        sizes: of them.
        room: the bits that each and those below it have.
    """
    held: dict[int, int] = {}
    below: dict[int, int] = {}
    for axis in axes:
        below[axis] = max((below[other] + held[other] for other in beside[axis] if other in held), default=0)
        held[axis] = min(max(room[axis] - below[axis], 0), width_of(sizes[axis]))
    return held, below


def _guarded(forms: Forms, live: Sequence[int], sides: Mapping[int, bool]) -> frozenset[int]:
    """The axes of the top field that are there while a sum runs over the middle one."""
    found: set[int] = set()
    for axes, summed in boxes(forms, live):
        if any(sides.get(axis) is False for axis in summed):
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
    within = {atom for number in live for form in forms_within(forms, number) for atom in form.terms}
    for number in live:
        atom = forms.atoms[number]
        count = fields.count(atom.axes)
        if isinstance(atom, ArgumentAtom):
            is_spread = number in within and fields.batch not in atom.axes
            total += count * (fields.widths[2] + len(fields.guards(atom.axes))) if is_spread else 0
            continue
        rotations = sum(fields.held[axis] for axis in atom.summed)
        rotations += len(fields.guards_summed((*atom.axes, *atom.summed), atom.summed))
        is_plain = isinstance(atom, TotalAtom) or atom.factors[0].is_plain
        total += count * (rotations + (0 if is_plain else 1))
    return total


def padded(fields: Fields, axis: int) -> bool:
    """Whether an axis has fewer entries than its bits tell apart."""
    return fields.sizes[axis] != 1 << width_of(fields.sizes[axis])
