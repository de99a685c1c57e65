"""The values of atoms and forms as ciphertexts, where samples are on top."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.nodes import CiphertextOf, Combine, MaskedSum, RotatedSum, Rotations
from fhejax.program.packing.layout import Layout
from fhejax.program.packing.layout.packing import entries
from fhejax.program.packing.tiles.diagonals.choice import Choice
from fhejax.program.packing.tiles.diagonals.held import Held
from fhejax.program.packing.tiles.diagonals.products import diagonals_of, held_product
from fhejax.program.packing.tiles.diagonals.sharing import copied_together, places_together
from fhejax.program.packing.tiles.diagonals.uses import by_state, copied_arguments, terms_of, turned_forms
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, Key
from fhejax.program.packing.tiles.made_nodes import MadeNodes
from fhejax.program.packing.tiles.places import is_gradient


class Values(MadeNodes):
    """The nodes of a circuit while a function is packed, and what value each holds."""

    def __init__(self, arguments: Sequence[Encrypted | Plain], forms: Forms, choice: Choice) -> None:
        self.slots, self.products, self.places = choice.slots, choice.products, choice.places
        self._held: dict[tuple, Held] = {}
        self._diagonals: dict[Key, tuple[dict[int, int], Held]] = {}
        self._turned = turned_forms(choice.products)
        _, late = copied_arguments(forms, choice.products, choice.slots.roles.samples)
        self._late = {atom: choice.places[atom] for atom in late}
        self._rotated: dict[tuple[int, int], int] = {}
        self._entries: dict[tuple, np.ndarray] = {}
        super().__init__(arguments, forms)

    def layout_of(self, number: int, atom: ArgumentAtom) -> Layout:
        """The layout of an argument, by the number of its atom."""
        place = self.places[number].base if number in self.places else None
        return self.slots.layout(atom.axes, atom.shape, place)

    def of_atom(self, number: int) -> Held:
        """The value of an atom."""
        key = "atom", number
        if key not in self._held:
            atom = self.forms.atoms[number]
            if isinstance(atom, ArgumentAtom):
                self._held[key] = self._argument(number, atom)
            elif is_gradient(self.forms, self.slots.roles.samples, number):
                self._held[key] = self._over_places(self.of_places(number))
            else:
                self._held[key] = held_product(self, atom, self.products[number])
        return self._held[key]

    def of_places(self, number: int) -> Held:
        """The value of a sum over samples, at each place of those samples that lie there alone."""
        key = "places", number
        if key not in self._held:
            self._held[key] = held_product(self, self.forms.atoms[number], self.products[number])
        return self._held[key]

    def _over_places(self, held: Held) -> Held:
        """The sum over all places, or an array at one copied to all others, where these are zero."""
        distances = self.slots.distances(self.slots.place_slots, self.slots.period)
        node = self.summed(held.nodes[0], distances, self.label(held))
        return dataclasses.replace(held, nodes=(node,))

    def of_form(self, form: Form) -> Held:
        """The value of a form without its plain numbers."""
        key = "form", *terms_of(form)
        if key not in self._held:
            self._held[key] = self._combination(form)
        return self._held[key]

    def whole(self, form: Form) -> Held:
        """The value of a form without its plain numbers, right in all slots."""
        key = "whole", *terms_of(form)
        if key not in self._held:
            self._held[key] = self._completed(self.of_form(form))
        return self._held[key]

    def _argument(self, number: int, atom: ArgumentAtom) -> Held:
        """The value of an argument; what has a place is masked there, and copied to all samples."""
        axes = tuple(sorted(atom.axes))
        source = self.inputs[number]
        if number not in self.places:
            nodes = tuple(self.ciphertext(source, block) for block in range(self.nodes[source].size))
            return Held(axes, nodes, False, frozenset(), 0)
        together = self._copied_with(number)
        if number in together:
            return together[number]
        mask = self.at_place(axes, self.places[number].base)
        node = self.emit(MaskedSum((source,), (mask.astype(np.float64),), atom.label))
        return self._over_places(Held(axes, (node,), self.lies_partly(axes), frozenset(), 1))

    def _copied_with(self, number: int) -> dict[int, Held]:
        """An argument and others that are copied to all samples together with it, if there are any."""
        if number not in self._late:
            return {}
        group = next(group for group in by_state(self._late) if number in group)
        room = places_together(self.slots, list(group.values()))
        if room is None:
            return {}
        found = copied_together(self, list(group), room)
        self._held |= {("atom", atom): held for atom, held in found.items()}
        return found

    def lies_partly(self, axes: Sequence[int]) -> bool:
        """Whether an argument lies in the first places of each field alone."""
        return self.slots.is_partial and tuple(axes) == (self.slots.roles.outputs,)

    def ciphertext(self, source: int, place: int) -> int:
        """The node of one of an argument's ciphertexts."""
        count, label = self.nodes[source].size, self.nodes[source].label
        if count == 1:
            return source
        key = source, -1 - place
        if key not in self._rotated:
            self._rotated[key] = self.emit(CiphertextOf(source, place, count, label))
        return self._rotated[key]

    def rotations(self, node: int, distances: Sequence[int]) -> dict[int, int]:
        """The node rotated by each distance, all of them at once; by 0 it is itself."""
        wanted = tuple(d for d in dict.fromkeys(distances) if d and (node, d) not in self._rotated)
        label = self.nodes[node].label
        if wanted:
            together = self.emit(Rotations(node, wanted, label))
            for place, distance in enumerate(wanted):
                one = together
                if len(wanted) > 1:
                    one = self.emit(CiphertextOf(together, place, len(wanted), label))
                self._rotated[node, distance] = one
        return {d: self._rotated[node, d] if d else node for d in distances}

    def is_turned(self, form: Form) -> bool:
        """Whether the gradient of the first weights takes rotations of a value."""
        return terms_of(form) in self._turned

    def data(self, form: Form, place: int) -> int:
        """The node of one of the ciphertexts of data, which a form of it reads."""
        (atom,) = form.terms
        return self.ciphertext(self.inputs[atom], place)

    def diagonals(self, form: Form) -> tuple[dict[int, int], Held]:
        """The diagonals of the second weights, by their distance, and the weights themselves."""
        if form.key not in self._diagonals:
            self._diagonals[form.key] = diagonals_of(self, form)
        return self._diagonals[form.key]

    def summed(self, node: int, distances: Sequence[int], label: str) -> int:
        """The sum by rotations, a node each: the noise of one is added up by those that follow."""
        for distance in distances:
            node = self.emit(RotatedSum(node, (distance,), 1, label))
        return node

    def added(self, nodes: Sequence[int], label: str) -> int:
        """The sum of several ciphertexts."""
        if len(nodes) == 1:
            return nodes[0]
        return self.emit(Combine(tuple(nodes), (None,) * len(nodes), 1, label))

    def label(self, held: Held) -> str:
        """The label of a value's ciphertexts, for messages."""
        return self.nodes[held.nodes[0]].label

    def entries(self, axes: Sequence[int]) -> np.ndarray:
        """The number of the entry of a value in each slot, int64 [ciphertext, slot]; -1 where none lies."""
        key = tuple(axes)
        if key not in self._entries:
            self._entries[key] = entries(self.slots.layout(axes))[:, 0]
        return self._entries[key]

    def at_place(self, axes: Sequence[int], place: int) -> np.ndarray:
        """Whether each slot holds an entry of an array at a place, bool [slot]."""
        return entries(self.slots.layout(axes, place=place))[0, 0] >= 0

    def inside(self, axes: Sequence[int], block: int) -> np.ndarray:
        """Whether each slot of a block holds an entry of a value with these axes, bool [slot]."""
        rows = self.entries(axes)
        return rows[block % len(rows)] >= 0

    def constant(self, form: Form, ciphertext: int, distance: int = 0) -> np.ndarray | None:
        """The plain numbers of a form in the slots that hold an entry, of a rotation by a distance."""
        if not form.constant.any():
            return None
        rows = self.entries(form.axes)
        row = rows[ciphertext % len(rows)]
        wide = np.broadcast_to(form.constant, [self.slots.sizes[axis] for axis in form.axes]).ravel()
        return np.roll(np.where(row >= 0, wide[row], 0.0), -distance)

    def masked(self, held: Held, axes: Sequence[int], partly: bool = False) -> Held:
        """The value with zero beyond the last entries of axes, and beyond the first places of a field."""
        kept = np.arange(self.slots.period) % self.slots.field < self.slots.outputs
        label, nodes = self.label(held), []
        count = self.slots.blocks if self.slots.roles.samples in axes else len(held.nodes)
        for block in range(count):
            mask = self.inside(axes, block) & (kept | (not partly))
            nodes.append(self.emit(MaskedSum((held.node(block),), (mask.astype(np.float64),), label)))
        return dataclasses.replace(
            held, nodes=tuple(nodes), unclean=held.unclean - set(axes), level=held.level + 1
        )

    def without_padding(self, held: Held) -> Held:
        """The value with zero where samples are missing."""
        samples = self.slots.roles.samples
        if samples in held.unclean_beside(self.slots, (samples,)):
            return self.masked(held, tuple(sorted({*held.axes, samples})))
        return held

    def _completed(self, held: Held) -> Held:
        """The value with copies in all of each field, of what was right in the first places alone."""
        if not held.is_partial:
            return held
        masked = self.masked(held, held.axes, partly=True)
        distances = [-d for d in self.slots.distances(self.slots.outputs, self.slots.field)]
        nodes = tuple(self.summed(node, distances, self.label(held)) for node in masked.nodes)
        return dataclasses.replace(masked, nodes=nodes, is_partial=False)

    def _combination(self, form: Form) -> Held:
        """The sum of a form's atoms times numbers."""
        terms = [(self.of_atom(atom), c) for atom, c in form.terms.items()]
        if len(terms) == 1 and terms[0][1] == 1.0 and terms[0][0].axes == form.axes:
            return terms[0][0]
        values = [held for held, _ in terms]
        if any(held.is_partial for held in values) and self.slots.roles.hidden in form.axes:
            values = [self._completed(held) for held in values]
        weights = tuple(None if c == 1.0 else np.array([c]) for _, c in terms)
        label = self.label(values[0])
        nodes = tuple(
            self.emit(Combine(tuple(held.node(block) for held in values), weights, 1, label))
            for block in range(max(len(held.nodes) for held in values))
        )
        unclean = frozenset().union(*(held.unclean_beside(self.slots, form.axes) for held in values))
        partial, level = any(held.is_partial for held in values), max(held.level for held in values)
        return Held(form.axes, nodes, partial, unclean & set(form.axes), level)
