"""The slots in which a function takes the fewest key switches."""

import dataclasses
from collections.abc import Iterator, Mapping

from fhejax.program.packing.tiles.diagonals.cost import key_switches
from fhejax.program.packing.tiles.diagonals.roles import Product, roles_of
from fhejax.program.packing.tiles.diagonals.slots import Slots
from fhejax.program.packing.tiles.diagonals.uses import copied_arguments
from fhejax.program.packing.tiles.fields import width_of
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms
from fhejax.program.packing.tiles.places import Place, places_of
from fhejax.program.packing.tiles.sides import live_atoms

_FEWEST_SLOTS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """A way to lay out a function.

    Attributes:
        slots: where entries lie.
        products: of each live atom that is no argument.
        places: of each argument without samples, by its atom.
        key_switches: that it takes beside bootstraps.
    """

    slots: Slots
    products: Mapping[int, Product]
    places: Mapping[int, Place]
    key_switches: int


def choice_of(
    forms: Forms, results: Mapping[int, Form], carried: Mapping[int, int], batch: int, most_slots: int
) -> Choice | None:
    """The way of the fewest key switches, or None where there is none.

    Args:
        forms: whose axes are to lie somewhere.
        results: the function's, by their numbers.
        carried: the atom of the argument that a result replaces.
        batch: the name of the axis of samples.
        most_slots: that a ciphertext has, a power of two.
    """
    live = live_atoms(forms, list(results.values()))
    if any(isinstance(atom, ArgumentAtom) and atom.windowed for atom in forms.atoms):
        return None
    found = []
    for roles, products in roles_of(forms, live, list(results.values()), batch):
        _, late = copied_arguments(forms, products, batch)
        ordered = sorted(carried.items(), key=lambda pair: pair[1] not in late)
        replaced = [(results[result], atom) for result, atom in ordered]
        for slots in _slots_of(forms, Slots(forms.sizes, roles, 0, 1, 1, 1), most_slots):
            if _has_room(slots, products):
                places = places_of(forms, batch, replaced, slots.places)
                packed = packed_places(results, carried, places, batch)
                count = key_switches(forms, slots, products, places, list(packed.values()))
                found.append(Choice(slots, products, places, count))
    return min(found, key=lambda choice: choice.key_switches, default=None)


def packed_places(
    results: Mapping[int, Form], carried: Mapping[int, int], places: Mapping[int, Place], batch: int
) -> dict[int, tuple[Form, Place]]:
    """The results without samples, by their numbers, each with its place; what replaces none lies alone."""
    return {
        number: (form, places[carried[number]] if number in carried else Place(0, -1 - number))
        for number, form in results.items()
        if batch not in form.axes
    }


def _has_room(slots: Slots, products: Mapping[int, Product]) -> bool:
    """Whether a field has room for the outputs; twice, where they are summed over samples."""
    twice = slots.outputs > 1 and any(
        product.kind == "over samples" and slots.roles.outputs in product.axes
        for product in products.values()
    )
    return slots.field >= (2 if twice else 1) * slots.outputs


def _slots_of(forms: Forms, narrow: Slots, most_slots: int) -> Iterator[Slots]:
    """The slots with as many samples as have room, for all lengths of steps that are powers of two."""
    batch = forms.sizes[narrow.roles.samples]
    if most_slots < narrow.field:
        return
    sample_bits = min(width_of(most_slots // narrow.field), width_of(batch))
    if 1 << sample_bits < max(narrow.inputs, narrow.outputs) or narrow.field << sample_bits < _FEWEST_SLOTS:
        return
    for babies in range(width_of(narrow.inputs) + 1):
        for strides in range(width_of(narrow.outputs) + 1):
            yield dataclasses.replace(
                narrow,
                sample_bits=sample_bits,
                blocks=-(-batch >> sample_bits),
                babies=1 << babies,
                strides=1 << strides,
            )
