"""The field in which each axis lies, and the order of axes that share one.

A sum over some axes runs over one field, and its result lies in the other one. So what a product is summed
over, and what remains, lie on different sides; several axes of one side lie side by side in its field. Of a
convolution these are its positions and channels, and on the other side the taps that are summed.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, ProductAtom

Box = tuple[tuple[int, ...], tuple[int, ...]]  # the axes of a product before it is summed; those summed


def live_atoms(forms: Forms, results: Sequence[Form]) -> list[int]:
    """The atoms on which results depend, in order."""
    live = {atom for form in results for atom in form.terms}
    for number in reversed(range(len(forms.atoms))):
        if number in live:
            for form in forms_within(forms, number):
                live.update(form.terms)
    return sorted(live)


def forms_within(forms: Forms, number: int) -> tuple[Form, ...]:
    """The forms that an atom is made of."""
    atom = forms.atoms[number]
    if isinstance(atom, ArgumentAtom):
        return ()
    return atom.factors if isinstance(atom, ProductAtom) else (atom.form,)


def boxes(forms: Forms, live: Sequence[int]) -> Iterator[Box]:
    """The axes of every value and product before it is summed, and the axes of the sum."""
    for number in live:
        atom = forms.atoms[number]
        summed = () if isinstance(atom, ArgumentAtom) else atom.summed
        yield (*atom.axes, *summed), summed


def sides_of(forms: Forms, live: Sequence[int], batch: int) -> dict[int, bool]:
    """The side of each axis but that of samples.

    What products are summed over, and what remains of them, lie on different sides. Other axes that meet do
    so where that is left open. Where axes meet in circles that do not allow it, such as the channels of a
    second convolution with its positions, some that meet lie on one side: beside each other, with more masks.

    Args:
        forms: whose axes they are.
        live: the atoms that are computed.
        batch: the name of the axis of samples.
    """
    sides = _Sides()
    products = [n for n in live if isinstance(forms.atoms[n], ProductAtom)]
    for axes, summed in boxes(forms, products):
        if batch not in summed:
            kept = [axis for axis in axes if axis != batch and axis not in summed]
            for pair in itertools.product(summed, kept):
                sides.differ(*pair)
    for axes, _ in boxes(forms, live):
        others = [axis for axis in axes if axis != batch]
        for axis in others:
            sides.add(axis)
        for pair in itertools.combinations(others, 2):
            if not sides.are_known(*pair):
                sides.differ(*pair)
    return sides.of


class _Sides:
    """Sides while they are found: groups of axes of which the sides relative to each other are known."""

    def __init__(self) -> None:
        self.of: dict[int, bool] = {}
        self._groups: dict[int, list[int]] = {}

    def add(self, axis: int) -> None:
        """Note an axis, in a group of its own."""
        if axis not in self.of:
            self.of[axis], self._groups[axis] = True, [axis]

    def are_known(self, one: int, other: int) -> bool:
        """Whether it is known if two axes lie on the same side."""
        return self._groups[one] is self._groups[other]

    def differ(self, one: int, other: int) -> None:
        """Note that two axes lie on different sides, unless the sides of both are known."""
        self.add(one)
        self.add(other)
        if self.are_known(one, other):
            return
        moved = self._groups[other]
        if self.of[one] == self.of[other]:
            for axis in moved:
                self.of[axis] = not self.of[axis]
        self._groups[one].extend(moved)
        for axis in moved:
            self._groups[axis] = self._groups[one]


def neighbours(forms: Forms, live: Sequence[int], sides: Mapping[int, bool]) -> dict[int, set[int]]:
    """The axes that each meets on its own side, beside which it lies."""
    found: dict[int, set[int]] = {axis: set() for axis in sides}
    for axes, _ in boxes(forms, live):
        for one, other in itertools.permutations((axis for axis in axes if axis in sides), 2):
            if sides[one] == sides[other]:
                found[one].add(other)
    return found


def order_of(forms: Forms, live: Sequence[int], sides: Mapping[int, bool]) -> list[int]:
    """The axes in the order in which those of one field lie, the most significant first.

    What is summed while others beside it remain comes first: with copies above it, the sum is right
    everywhere. The gradient by a convolution's kernel is summed over positions, and channels remain.
    """
    alone = dict.fromkeys(sides, 0)
    for axes, summed in boxes(forms, live):
        for axis in (axis for axis in summed if axis in sides):
            beside = [other for other in axes if other in sides and sides[other] == sides[axis]]
            alone[axis] += any(other not in summed for other in beside)
    return sorted(sides, key=lambda axis: (-alone[axis], axis))
