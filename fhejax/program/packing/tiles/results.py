"""Results in tiles: those with samples as they came out, others packed at a place of one ciphertext."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from fhejax.program.circuit.nodes import Concatenate, MaskedSum
from fhejax.program.packing.tiles.bits import Bits, copied
from fhejax.program.packing.tiles.fields import Fields
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form
from fhejax.program.packing.tiles.held import Held
from fhejax.program.packing.tiles.made_nodes import MadeNodes
from fhejax.program.packing.tiles.places import (
    Place,
    bits_at,
    is_gradient,
    numbers_of,
    positions,
    sample_of,
    vector_at,
)
from fhejax.program.packing.tiles.values import Values


@dataclasses.dataclass(frozen=True, eq=False)
class Laid:
    """Where a result is read.

    Attributes:
        node: that holds it.
        axes: its names, in order.
        positions: of each entry, int64 with one dimension for each axis: ciphertext times period, plus slot.
        unit: what numbers in slots are multiplied by.
        offset: what is added, of dimensions of the axes' sizes or one.
    """

    node: int
    axes: tuple[int, ...]
    positions: np.ndarray
    unit: float
    offset: np.ndarray


def sampled_result(values: Values, form: Form) -> Laid:
    """A result that has a value for each sample, in as many ciphertexts as it came out."""
    lead = form.lead
    held = values.of_form(form.times(1 / lead))
    nodes = tuple(held.nodes[number] for number in numbers_of(values.fields, held.axes))
    node = nodes[0]
    if len(nodes) > 1:
        node = values.emit(Concatenate(nodes, len(nodes), values.nodes[node].label))
    where = positions(values.fields, held.bits, held.axes)
    return Laid(node, held.axes, where, lead, form.constant)


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
    laid: dict[int, Laid] = {}
    added: dict[int, np.ndarray] = {}
    for number, form in results.items():
        atom = carried.get(number)
        place = Place(_base(values, form), -1 - number) if atom is None else values.places[atom]
        unit = form.lead if atom is None else units[number]
        if atom is not None and form.constant.any():
            added[place.state] = added.get(place.state, 0.0) + _constant(values, form, place) / unit
        terms = sums.setdefault(place.state, {})
        for source, vector in _terms(values, form.times(1 / unit), place):
            terms[source] = terms.get(source, 0.0) + vector
        where = positions(values.fields, bits_at(values.fields, form.axes, place.base), form.axes)
        offset = form.constant if atom is None else np.zeros_like(form.constant)
        laid[number] = Laid(place.state, form.axes, _in_one(values, form, where), unit, offset)
    return in_ciphertexts(values, laid, sums, added)


def in_ciphertexts(
    values: MadeNodes,
    laid: Mapping[int, Laid],
    sums: Mapping[int, Mapping[int, np.ndarray]],
    added: Mapping[int, np.ndarray],
) -> dict[int, Laid]:
    """Results whose node is still the number of a ciphertext, with the nodes of these ciphertexts.

    Args:
        values: of the function.
        laid: by their numbers.
        sums: of each ciphertext the nodes that are added up in it, and what each is multiplied by.
        added: the plain numbers of ciphertexts that have any.
    """
    nodes = {
        state: values.emit(
            MaskedSum(tuple(terms), tuple(terms.values()), f"ciphertext of results {state}", added.get(state))
        )
        for state, terms in sorted(sums.items())
    }
    return {n: dataclasses.replace(one, node=nodes[one.node]) for n, one in laid.items()}


def _constant(values: Values, form: Form, place: Place) -> np.ndarray:
    """The plain numbers of a form in the slots where its entries lie, at its place among the samples."""
    total = np.zeros(values.fields.period)
    for number in numbers_of(values.fields, form.axes):
        bits = bits_at(values.fields, form.axes, sample_of(values.fields, form.axes, number, place.base))
        total += values.plain_numbers(form, bits, number)
    return total


def _in_one(values: Values, form: Form, where: np.ndarray) -> np.ndarray:
    """Positions in several ciphertexts as those at neighbouring samples of one, the lowest slot bits."""
    return where // values.fields.period + where % values.fields.period


def _base(values: Values, form: Form) -> int:
    """The place of what an argument of the form has, or the first."""
    return next((values.places[atom].base for atom in form.terms if atom in values.places), 0)


def _terms(values: Values, form: Form, place: Place) -> list[tuple[int, np.ndarray]]:
    """The nodes that a packed result is a sum of, and the numbers that each is multiplied by."""
    found = []
    fields = values.fields
    for atom, coefficient in form.terms.items():
        same = atom in values.places and values.places[atom].base == place.base
        described = values.forms.atoms[atom]
        whole = isinstance(described, ArgumentAtom) and same and tuple(sorted(described.axes)) == form.axes
        held = None
        if not whole:
            base = place.base if is_gradient(values.forms, fields.batch, atom) else None
            held = _right_everywhere(values, values.of_atom(atom, base=base), base)
        for number in numbers_of(fields, form.axes):
            bits = bits_at(fields, form.axes, sample_of(fields, form.axes, number, place.base))
            vector = coefficient * vector_at(fields, bits, form.axes, number)
            at = dict(zip(form.axes, number, strict=True))
            found.append((values.inputs[atom] if held is None else held.node(at), vector))
    return found


def _right_everywhere(values: Values, held: Held, base: int | None) -> Held:
    """The value with copies beside its own axes; at samples and just below its axes on top it is masked.

    Args:
        values: of the function.
        held: the value.
        base: the first of the places at which a sum over samples is right; None of what is no such sum.
    """
    masked = {*values.fields.samples, *values.fields.guards(held.axes)}
    wrong = [p for p, bit in enumerate(held.bits) if bit.kind in ("junk", "zero") and p not in masked]
    if not wrong:
        return held
    if base is None:
        return values.cleaned(held)
    nodes = {}
    for number, node in held.nodes.items():
        sample = sample_of(values.fields, held.axes, number, base)
        bits = _at_sample(values.fields, held.bits, sample)
        label = values.nodes[node].label
        kept = values.emit(MaskedSum((node,), (vector_at(values.fields, bits, (), ()),), label))
        nodes[number] = values.rotated(kept, copied(bits, wrong).distances, label)
    return dataclasses.replace(held, nodes=nodes, bits=copied(held.bits, wrong).bits, level=held.level + 1)


def _at_sample(fields: Fields, bits: Bits, sample: int) -> Bits:
    """The bits of a sum over samples, which is right at one of them."""
    found = list(bits)
    for place in fields.samples:
        if bits[place].kind in ("junk", "zero"):
            found[place] = dataclasses.replace(bits[place], at=sample >> (fields.bits - 1 - place) & 1)
    return tuple(found)
