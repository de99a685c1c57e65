"""The values of atoms and forms as ciphertexts: arguments, products, sums over axes, and masks."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.nodes import (
    CiphertextOf,
    Combine,
    ElementwiseSquare,
    MaskedSum,
    RotatedSum,
    SumOfProducts,
)
from fhejax.program.packing.layout import Layout
from fhejax.program.packing.tiles.bits import Bit, Bits, BitSum, ConflictError, copied, met, runs, summed
from fhejax.program.packing.tiles.fields import Fields, padded
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, ProductAtom, TotalAtom
from fhejax.program.packing.tiles.held import Held
from fhejax.program.packing.tiles.made_nodes import MadeNodes
from fhejax.program.packing.tiles.places import (
    Number,
    Place,
    axes_bits,
    bits_at,
    layout_of,
    numbers_of,
    sample_of,
    vector_at,
)


class Values(MadeNodes):
    """The nodes of a circuit while a function is packed, and what value each holds."""

    def __init__(
        self,
        arguments: Sequence[Encrypted | Plain],
        forms: Forms,
        fields: Fields,
        places: Mapping[int, Place],
    ) -> None:
        self.fields, self.places = fields, places
        self._held: dict[tuple, Held] = {}
        super().__init__(arguments, forms)

    def layout_of(self, number: int, atom: ArgumentAtom) -> Layout:
        """The layout of an argument, by the number of its atom."""
        return layout_of(self.fields, atom, self.places.get(number))

    def of_atom(self, number: int, guarded: bool = False, base: int | None = None) -> Held:
        """The value of an atom.

        Args:
            number: of the atom.
            guarded: whether a weight is to have copies below its axis on top, where it otherwise has zeros.
            base: the place at whose samples a sum over all of them is to be right.
        """
        key = "atom", number, guarded, base
        if key not in self._held:
            atom = self.forms.atoms[number]
            if isinstance(atom, ArgumentAtom):
                found = self._argument(number, atom, guarded)
            elif isinstance(atom, ProductAtom):
                found = self._product(atom, base)
            else:
                found = self._total(atom, base)
            self._held[key] = found
        return self._held[key]

    def of_form(self, form: Form, guarded: bool = False) -> Held:
        """The value of a form without its plain numbers."""
        key = "form", form.axes, tuple(sorted(form.terms.items())), guarded
        if key not in self._held:
            self._held[key] = self._combination(form, guarded)
        return self._held[key]

    def shift_of(self, form: Form, held: Held, at: Mapping[int, int]) -> np.ndarray | None:
        """The plain numbers of a form, in the slots of one of its ciphertexts that hold an entry."""
        if not form.constant.any():
            return None
        return self.plain_numbers(form, held.bits, tuple(at[axis] for axis in form.axes))

    def plain_numbers(self, form: Form, bits: Bits, number: Number) -> np.ndarray:
        """The plain numbers of a form in those slots of a ciphertext that hold an entry; elsewhere zero."""
        return vector_at(self.fields, bits, form.axes, number) * self._laid(form, number)

    def _laid(self, form: Form, number: Number) -> np.ndarray:
        """The plain numbers of a form at each slot of a ciphertext; anything beyond the last entry."""
        index = []
        for axis, part, size in zip(form.axes, number, form.constant.shape, strict=True):
            found = np.minimum(self.fields.index(axis, part), size - 1)
            index.append(found)
        return form.constant[tuple(index)] if index else np.full(self.fields.period, float(form.constant))

    def _argument(self, number: int, atom: ArgumentAtom, guarded: bool) -> Held:
        axes = tuple(sorted(atom.axes))
        numbers = numbers_of(self.fields, axes)
        source = self.inputs[number]
        if number not in self.places:
            nodes = {n: self._ciphertext(source, place, len(numbers)) for place, n in enumerate(numbers)}
            unclean = frozenset(axis for axis in atom.windowed if padded(self.fields, axis))
            return Held(axes, nodes, axes_bits(self.fields, axes), unclean, 0)
        if guarded:
            return self.spread(self.of_atom(number), self.fields.guards(axes))
        nodes, samples = {}, self.fields.samples
        for n in numbers:
            sample = sample_of(self.fields, axes, n, self.places[number].base)
            bits = bits_at(self.fields, axes, sample)
            masked = self.emit(MaskedSum((source,), (vector_at(self.fields, bits, axes, n),), atom.label))
            nodes[n] = self.rotated(masked, copied(bits, samples).distances, atom.label)
        return Held(axes, nodes, copied(bits_at(self.fields, axes, 0), samples).bits, frozenset(), 1)

    def _ciphertext(self, source: int, place: int, count: int) -> int:
        return (
            source if count == 1 else self.emit(CiphertextOf(source, place, count, self.nodes[source].label))
        )

    def rotated(self, node: int, distances: tuple[int, ...], label: str) -> int:
        """The sum by rotations, a node each: the noise of one is added up by those that follow."""
        for distance in distances:
            node = self.emit(RotatedSum(node, (distance,), 1, label))
        return node

    def _label(self, held: Held) -> str:
        """The label of a value's ciphertexts, for messages."""
        return self.nodes[next(iter(held.nodes.values()))].label

    def spread(self, held: Held, places: Sequence[int]) -> Held:
        """The value copied to both values of some bits, at the other of which it holds zero."""
        found = copied(held.bits, places)
        label = self._label(held)
        nodes = {n: self.rotated(node, found.distances, label) for n, node in held.nodes.items()}
        return dataclasses.replace(held, nodes=nodes, bits=found.bits)

    def masked(self, held: Held, bits: Bits, axes: Sequence[int]) -> Held:
        """The value with zero where its bits say that nothing is right, and beyond the last entry.

        Args:
            held: the value.
            bits: of the result: zero where junk was, or copies.
            axes: of the value, along which places beyond the last entry become zero.
        """
        label = self._label(held)
        nodes = {}
        for number, node in held.nodes.items():
            at = dict(zip(held.axes, number, strict=True))
            vector = vector_at(self.fields, bits, axes, tuple(at[axis] for axis in axes))
            nodes[number] = self.emit(MaskedSum((node,), (vector,), label))
        return Held(held.axes, nodes, bits, held.unclean - set(axes), held.level + 1)

    def cleaned(self, held: Held) -> Held:
        """The value with copies wherever it was right at one value of a bit alone."""
        places = [place for place, bit in enumerate(held.bits) if bit.kind in ("junk", "zero")]
        if not places:
            return held
        if any(bit.kind == "junk" for bit in held.bits):
            zeros = tuple(Bit("zero", at=b.at) if b.kind == "junk" else b for b in held.bits)
            held = self.masked(held, zeros, ())
        return self.spread(held, places)

    def _combination(self, form: Form, guarded: bool) -> Held:
        """The sum of a form's atoms times numbers."""
        terms = [(self.of_atom(atom, guarded), c) for atom, c in form.terms.items()]
        if len(terms) == 1 and terms[0][1] == 1.0 and terms[0][0].axes == form.axes:
            return terms[0][0]
        label = self._label(terms[0][0])
        values = self._meeting([held for held, _ in terms], multiplied=False)
        bits = _met_bits(values, multiplied=False)
        nodes = {}
        for number in numbers_of(self.fields, form.axes):
            at = dict(zip(form.axes, number, strict=True))
            weights = tuple(None if c == 1.0 else np.array([c]) for _, c in terms)
            nodes[number] = self.emit(Combine(tuple(held.node(at) for held in values), weights, 1, label))
        unclean = frozenset().union(*(held.unclean_beside(self.fields, form.axes) for held in values))
        return Held(form.axes, nodes, bits, unclean & set(form.axes), max(held.level for held in values))

    def _meeting(self, values: Sequence[Held], multiplied: bool) -> list[Held]:
        """The values, where they do not meet with copies at all bits that were right at one value alone."""
        try:
            _met_bits(values, multiplied)
        except ConflictError:
            return [self.cleaned(held) for held in values]
        return list(values)

    def _product(self, atom: ProductAtom, base: int | None) -> Held:
        first, second = atom.factors
        if first.is_plain:
            held = self._times_plain(first, second, atom.label)
            return self._sum_in_slots(held, atom.summed, base, atom.label)
        fields = self.fields
        box = tuple(sorted({*first.axes, *second.axes}))
        guarded = fields.runs_over_middle(atom.summed)
        pair = [self.of_form(form, guarded) for form in atom.factors]
        pair = self._meeting(pair, multiplied=True)
        pair = self._ready_to_sum(pair, box, atom.summed)
        nodes = {n: self._products(atom, pair, at) for n, at in _numbered(fields, atom.axes)}
        unclean = pair[0].unclean_beside(fields, box) & pair[1].unclean_beside(fields, box)
        held = Held(
            atom.axes,
            nodes,
            _met_bits(pair, multiplied=True),
            unclean & set(atom.axes),
            1 + max(pair[0].level, pair[1].level),
        )
        return self._sum_in_slots(held, atom.summed, base, atom.label)

    def _products(self, atom: ProductAtom, pair: Sequence[Held], at: dict[int, int]) -> int:
        """The sum of products at one number of ciphertexts, over all of the axes that are summed."""
        pairs, shifts = [], []
        for _, parts in _numbered(self.fields, atom.summed):
            where = at | parts
            pairs.append((pair[0].node(where), pair[1].node(where)))
            shifts.append(tuple(self.shift_of(f, h, where) for f, h in zip(atom.factors, pair, strict=True)))
        if len(pairs) == 1 and pairs[0][0] == pairs[0][1] and atom.factors[0].key == atom.factors[1].key:
            return self.emit(ElementwiseSquare(pairs[0][0], shifts[0][0], 1, atom.label))
        return self.emit(SumOfProducts(tuple(pairs), tuple(shifts), atom.label))

    def _ready_to_sum(self, factors: Sequence[Held], box: Sequence[int], summed: Sequence[int]) -> list[Held]:
        """The factors, one or two, whose product has zero beyond the last entry of all axes to be summed.

        Where these end the top field, also at the bits below, which are then summed too. The mask is put on
        the factor that has taken fewer levels; where an axis is to be masked, of those that have it: what
        lacks it is the same in ciphertexts of which only the last one ends early.
        """
        ready = list(factors)
        clean = [axis for axis in summed if not any(self._is_clean(held, axis) for held in ready)]
        bits = _met_bits(ready, multiplied=True)
        guards = [p for p in self.fields.guards_summed(box, summed) if bits[p].kind == "junk"]
        if not clean and not guards:
            return ready
        able = [n for n, held in enumerate(ready) if set(clean) <= set(held.axes)]
        if not able:  # each has some of the axes: one after the other
            first = self._ready_to_sum(ready, box, clean[:1])
            return self._ready_to_sum(first, box, summed)
        place = min(able, key=lambda n: ready[n].level)
        held = ready[place]
        zeros = tuple(Bit("zero", at=bits[p].at) if p in guards else b for p, b in enumerate(held.bits))
        ready[place] = self.masked(held, zeros, clean)
        return ready

    def _is_clean(self, held: Held, axis: int) -> bool:
        return axis not in held.unclean_beside(self.fields, (axis,))

    def _times_plain(self, plain: Form, form: Form, label: str) -> Held:
        """The product with plain numbers that differ along an axis."""
        held = self.of_form(form)
        axes = tuple(sorted({*plain.axes, *form.axes}))
        nodes = {}
        for number, at in _numbered(self.fields, axes):
            own = tuple(at[axis] for axis in plain.axes)
            inside = vector_at(self.fields, axes_bits(self.fields, ()), plain.axes, own)
            shift = self.shift_of(form, held, at)
            if shift is not None:
                raise ValueError(
                    f"{label} multiplies a sum with a constant by plain numbers, which packing='tiles' has "
                    f"no rule for; multiply first and add then."
                )
            nodes[number] = self.emit(MaskedSum((held.node(at),), (inside * self._laid(plain, own),), label))
        bits = met(held.bits, axes_bits(self.fields, plain.axes), multiplied=True)
        unclean = held.unclean_beside(self.fields, axes) - set(plain.axes)
        return Held(axes, nodes, bits, unclean, held.level + 1)

    def _total(self, atom: TotalAtom, base: int | None) -> Held:
        held = self.of_form(atom.form, guarded=self.fields.runs_over_middle(atom.summed))
        (held,) = self._ready_to_sum([held], held.axes, atom.summed)
        nodes = {}
        for number, at in _numbered(self.fields, atom.axes):
            parts = [held.node(at | of_sum) for _, of_sum in _numbered(self.fields, atom.summed)]
            nodes[number] = parts[0]
            if len(parts) > 1:
                nodes[number] = self.emit(Combine(tuple(parts), (None,) * len(parts), 1, atom.label))
        unclean = held.unclean & set(atom.axes)
        return self._sum_in_slots(
            dataclasses.replace(held, axes=atom.axes, nodes=nodes, unclean=unclean),
            atom.summed,
            base,
            atom.label,
        )

    def _sum_in_slots(self, held: Held, over: Sequence[int], base: int | None, label: str) -> Held:
        """The sum over the bits of axes in slots, at the place of each ciphertext where one is wanted.

        Args:
            held: the sum over ciphertexts.
            over: the axes, which it lacks.
            base: the place of the first ciphertext, among the samples over which the sum is.
            label: of the operation.
        """
        if not over:
            return held
        nodes, bits = {}, held.bits
        for number, node in held.nodes.items():
            at = 0 if base is None else sample_of(self.fields, held.axes, number, base)
            found = self._found_sum(held, over, at)
            bits = found.bits
            nodes[number] = self.rotated(node, found.distances, label)
        return dataclasses.replace(held, nodes=nodes, bits=bits)

    def _found_sum(self, held: Held, over: Sequence[int], at: int) -> BitSum:
        """The sum over axes, right at one sample where it is over all of them.

        Zeros below the axes of the top field are filled with it, where these lie in ciphertexts alone.
        """
        fields, found, distances = self.fields, BitSum(held.bits, ()), ()
        guards = fields.guards_summed((*held.axes, *over), over)
        zeros = [place for place in guards if held.bits[place].kind == "zero"]
        if zeros and guards.start == 0:
            found = copied(held.bits, zeros)
            distances = found.distances
        batch = {fields.batch} & {*over}
        for axes in ({*over} - batch, batch):
            for run in runs(found.bits, axes):
                found = summed(found.bits, run, at if axes == batch else None)
                distances += found.distances
        return BitSum(found.bits, distances)


def _numbered(fields: Fields, axes: Sequence[int]) -> Iterator[tuple[Number, dict[int, int]]]:
    """The numbers of a value's ciphertexts, and the same by axis."""
    for number in numbers_of(fields, axes):
        yield number, dict(zip(axes, number, strict=True))


def _met_bits(values: Sequence[Held], multiplied: bool) -> Bits:
    """The bits of a product or sum of several values."""
    bits = values[0].bits
    for held in values[1:]:
        bits = met(bits, held.bits, multiplied)
    return bits
