"""Arrays without samples that share a ciphertext, copied from their places, or added up to them, together.

Array c lies at place p_c. Alone, each takes a rotation for every bit of a place's number. Together, of P
places among which all of them lie, with R a rotation by one place:

    copies      sum over r of [h = p_c - r] R^r S,     S the array of all places
    sums        sum over r of R^r of the sum over c of [h = p_c + r] U_c,

with h the number of a place modulo P. That is P - 1 rotations for all of them, and a mask each.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fhejax.program.circuit.nodes import MaskedSum, SteppedSum
from fhejax.program.packing.tiles.diagonals.held import Held
from fhejax.program.packing.tiles.diagonals.slots import Slots
from fhejax.program.packing.tiles.fields import width_of

if TYPE_CHECKING:
    from fhejax.program.packing.tiles.diagonals.values import Values


def rotations_alone(slots: Slots, count: int) -> int:
    """The rotations for arrays, each alone."""
    return count * width_of(slots.places)


def places_together(slots: Slots, bases: Sequence[int]) -> int | None:
    """The places P that arrays at some of them are copied or added up in, or None where each is so alone."""
    if len(set(bases)) < len(bases) or not bases:
        return None
    room = 1 << width_of(max(bases) + 1)
    return room if _rotations(slots, room) < rotations_alone(slots, len(bases)) else None


def rotations_together(slots: Slots, bases: Sequence[int]) -> int:
    """The rotations for arrays at some places, together or alone, whichever are fewer."""
    room = places_together(slots, bases)
    return rotations_alone(slots, len(bases)) if room is None else _rotations(slots, room)


def _rotations(slots: Slots, room: int) -> int:
    return room - 1 + width_of(slots.places // room)


def copied_together(values: "Values", atoms: Sequence[int], room: int) -> dict[int, Held]:
    """Arguments with copies at all samples, of those that share a ciphertext.

    Args:
        values: of the function.
        atoms: the arguments, at different places.
        room: the places that hold all of them.
    """
    slots, label = values.slots, values.nodes[values.inputs[atoms[0]]].label
    axes = {atom: tuple(sorted(values.forms.atoms[atom].axes)) for atom in atoms}
    masks = [values.at_place(axes[a], values.places[a].base).astype(np.float64) for a in atoms]
    node = values.emit(MaskedSum(tuple(values.inputs[a] for a in atoms), tuple(masks), label))
    node = values.summed(node, slots.distances(room * slots.place_slots, slots.period), label)
    turns = [r * slots.place_slots for r in range(room)]
    turned = values.rotations(node, turns)
    found = {}
    for atom in atoms:
        base = values.places[atom].base
        masks = [_places(values, axes[atom], base - r, room) for r in range(room)]
        copied = values.emit(MaskedSum(tuple(turned[turn] for turn in turns), tuple(masks), label))
        found[atom] = Held(axes[atom], (copied,), values.lies_partly(axes[atom]), frozenset(), 2)
    return found


def added_together(values: "Values", sums: Mapping[int, tuple[Held, int]], room: int) -> int:
    """The node of one ciphertext, in which each of several arrays is the sum over all places at its own.

    Args:
        values: of the function.
        sums: of each atom the array, of which all places are to be added up, and its place.
        room: the places that hold all of them.
    """
    slots = values.slots
    label = values.label(next(iter(sums.values()))[0])
    nodes = tuple(held.nodes[0] for held, _ in sums.values())
    parts = []
    for r in range(room):
        masks = tuple(_places(values, held.axes, base + r, room) for held, base in sums.values())
        parts.append(values.emit(MaskedSum(nodes, masks, label)))
    node = values.emit(SteppedSum(tuple(parts), slots.place_slots, label))
    return values.summed(node, slots.distances(room * slots.place_slots, slots.period), label)


def _places(values: "Values", axes: tuple[int, ...], place: int, room: int) -> np.ndarray:
    """One in the slots where an array of some axes lies at a place, modulo so many, float64 [slot]."""
    slots = values.slots
    first = values.at_place(axes, 0).astype(np.float64)
    places = range(place % room, slots.places, room)
    return np.sum([np.roll(first, at * slots.place_slots) for at in places], 0)
