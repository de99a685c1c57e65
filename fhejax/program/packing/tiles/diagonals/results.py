"""Results where samples are on top: those with samples as they came out, others packed at their places."""

from collections.abc import Mapping, Sequence

import numpy as np

from fhejax.program.circuit.nodes import Concatenate
from fhejax.program.packing.layout.packing import first_positions
from fhejax.program.packing.tiles.diagonals.choice import packed_places
from fhejax.program.packing.tiles.diagonals.sharing import added_together, places_together
from fhejax.program.packing.tiles.diagonals.uses import by_state, late_sums
from fhejax.program.packing.tiles.diagonals.values import Values
from fhejax.program.packing.tiles.forms import Form
from fhejax.program.packing.tiles.places import Place
from fhejax.program.packing.tiles.results import Laid, in_ciphertexts


def sampled_result(values: Values, form: Form) -> Laid:
    """A result that has a value for each sample, in as many ciphertexts as it came out."""
    lead = form.lead
    held = values.of_form(form.times(1 / lead))
    node = held.nodes[0]
    if len(held.nodes) > 1:
        node = values.emit(Concatenate(held.nodes, len(held.nodes), values.label(held)))
    return Laid(node, form.axes, _positions(values, form.axes, None), lead, form.constant)


def packed_results(
    values: Values, results: Mapping[int, Form], carried: Mapping[int, int], units: Mapping[int, float]
) -> dict[int, Laid]:
    """Results without samples, each at its place; those that are carried share ciphertexts.

    Args:
        values: of the function.
        results: by their numbers.
        carried: the atom of the argument that a result replaces.
        units: what the numbers of those are divided by.
    """
    sums: dict[int, dict[int, np.ndarray]] = {}
    added: dict[int, np.ndarray] = {}
    laid: dict[int, Laid] = {}
    packed = packed_places(results, carried, values.places, values.slots.roles.samples)
    together = _added_together(values, list(packed.values()))
    for number, (form, place) in packed.items():
        atom = carried.get(number)
        unit, offset = (form.lead, form.constant) if atom is None else (units[number], None)
        mask = values.at_place(form.axes, place.base)
        constant = None if atom is None else values.constant(form, 0)
        if constant is not None:
            added[place.state] = added.get(place.state, 0.0) + constant * mask / unit
        terms = sums.setdefault(place.state, {})
        for source, coefficient in _terms(values, form.times(1 / unit), place, together):
            terms[source] = terms.get(source, 0.0) + coefficient * mask
        where = _positions(values, form.axes, place.base)
        offset = np.zeros_like(form.constant) if offset is None else offset
        laid[number] = Laid(place.state, form.axes, where, unit, offset)
    return in_ciphertexts(values, laid, sums, added)


def _positions(values: Values, axes: Sequence[int], place: int | None) -> np.ndarray:
    """Where each entry lies first, int64 of the axes' sizes: ciphertext times period, plus slot."""
    layout = values.slots.layout(axes, place=place)
    return first_positions(layout).reshape(layout.shape)


def _added_together(values: Values, packed: Sequence[tuple[Form, Place]]) -> dict[int, int]:
    """The nodes in which sums over samples are added up at their places, several together.

    Those alone that have a level to spare before the last.
    """
    slots = values.slots
    late = late_sums(values.forms, values.products, packed, slots.roles.samples)
    found: dict[int, int] = {}
    if not late:
        return found
    sums = {a for form, _ in packed for a in form.terms if a in values.products}
    last = max(values.of_atom(atom).level for atom in sums - set(late))
    for group in by_state(late):
        held = {atom: (values.of_places(atom), base) for atom, base in group.items()}
        room = places_together(slots, list(group.values()))
        if room is not None and all(one.level < last for one, _ in held.values()):
            node = added_together(values, held, room)
            found |= dict.fromkeys(group, node)
    return found


def _terms(values: Values, form: Form, place: Place, together: Mapping[int, int]) -> list[tuple[int, float]]:
    """The nodes that a packed result is a sum of, and the number that each is multiplied by."""
    found = []
    for atom, coefficient in form.terms.items():
        single = values.forms.single(atom)
        at = values.places.get(atom)
        if atom in together and single.axes == form.axes:
            found.append((together[atom], coefficient))
        elif at is not None and at.base == place.base and single.axes == form.axes:
            found.append((values.inputs[atom], coefficient))
        else:
            partly = form.axes == (values.slots.roles.outputs,)
            held = values.of_form(single) if partly else values.whole(single)
            found.append((held.nodes[0], coefficient))
    return found
