"""What the axes of a function are to each other where samples are on top, and the sums that follow from it.

Of a network of two layers: the inputs, which data alone has with the samples; the hidden axis; the outputs.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from fhejax.program.packing.tiles.forms import ArgumentAtom, Atom, Form, Forms, ProductAtom, TotalAtom

Kind = Literal[
    "elementwise",
    "over inputs",
    "over hidden",
    "over outputs",
    "inputs over samples",
    "outputs over samples",
    "over samples",
]


@dataclasses.dataclass(frozen=True)
class Roles:
    """The names of the axes by what they are; None where a function has none of a kind.

    Attributes:
        samples: the batch.
        inputs: of the first layer, along which data is read at all distances from the sample's number.
        hidden: of the first layer's outputs.
        outputs: of the second layer.
    """

    samples: int
    inputs: int | None
    hidden: int | None
    outputs: int | None

    def hold(self, axes: Collection[int]) -> bool:
        """Whether an array of these axes has a place in the slots: two of its axes decide a slot's entry."""
        together = (
            {self.samples, self.hidden},
            {self.samples, self.outputs},
            {self.inputs, self.hidden},
            {self.hidden, self.outputs},
        )
        return any(set(axes) <= pair for pair in together)

    def is_data(self, axes: Collection[int]) -> bool:
        """Whether these are the axes of data: samples and inputs."""
        return self.inputs is not None and set(axes) == {self.samples, self.inputs}


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """An atom as one of the products and sums that there is a way to compute.

    Attributes:
        kind: which sum.
        factors: in the order of the kind: data before values, values before weights, and those with hidden
            axes before those with outputs; one alone where nothing is multiplied.
        label: of the operation.
    """

    kind: Kind
    factors: tuple[Form, ...]
    label: str

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of what is summed."""
        return tuple(sorted({axis for form in self.factors for axis in form.axes}))

    @property
    def multiplies(self) -> bool:
        """Whether encrypted values are multiplied with each other."""
        return len(self.factors) > 1 and not any(form.is_plain for form in self.factors)


def product_of(forms: Forms, roles: Roles, atom: Atom) -> Product | None:
    """The product that an atom is, or None where there is no way to compute it."""
    if isinstance(atom, ArgumentAtom):
        return None
    if isinstance(atom, TotalAtom):
        held = atom.summed == (roles.samples,) and roles.hold(atom.form.axes)
        return Product("over samples", (atom.form,), atom.label) if held else None
    if len(atom.summed) > 1:
        return None
    summed = next(iter(atom.summed), None)
    for factors in (atom.factors, atom.factors[::-1]):
        kind = _kind(forms, roles, summed, factors)
        if kind is not None:
            plain = any(form.is_plain for form in factors)
            return Product(kind, atom.factors if plain else factors, atom.label)
    return None


def _kind(forms: Forms, roles: Roles, summed: int | None, factors: Sequence[Form]) -> Kind | None:
    """The kind of a sum, if its factors come in the order of that kind."""
    first, second = (set(form.axes) for form in factors)
    if roles.is_data(first):
        if not _is_argument(forms, factors[0]) or factors[1].is_plain:
            return None
        if summed == roles.inputs and roles.inputs in second and second <= {roles.inputs, roles.hidden}:
            return "over inputs"
        values = second <= {roles.samples, roles.hidden}
        return "inputs over samples" if summed == roles.samples and values else None
    if summed in (None, roles.samples) and roles.hold(first | second):
        plain = factors[0] if factors[0].is_plain else factors[1]
        other = factors[1] if factors[0].is_plain else factors[0]
        if plain.is_plain and other.constant.any():
            return None
        return "elementwise" if summed is None else "over samples"
    return None if any(form.is_plain for form in factors) else _second_kind(roles, summed, first, second)


def _second_kind(roles: Roles, summed: int | None, first: set[int], second: set[int]) -> Kind | None:
    """The kind of a sum of the second layer, by the axes of its factors in the order of that kind."""

    def is_value(axes: set[int], own: int | None) -> bool:
        """Whether a value has an axis, and beside it samples at most."""
        return own is not None and own in axes and axes <= {roles.samples, own}

    weights = {axis for axis in (roles.hidden, roles.outputs) if axis is not None}
    if summed == roles.hidden and is_value(first, roles.hidden) and second == weights:
        return "over hidden"
    if summed == roles.outputs and is_value(first, roles.outputs) and second == weights and len(weights) == 2:
        return "over outputs"
    if summed == roles.samples and is_value(first, roles.hidden) and is_value(second, roles.outputs):
        return "outputs over samples"
    return None


def _is_argument(forms: Forms, form: Form) -> bool:
    """Whether a form is one argument, and plain numbers at most."""
    terms = list(form.terms.items())
    return len(terms) == 1 and isinstance(forms.atoms[terms[0][0]], ArgumentAtom) and terms[0][1] == 1.0


def roles_of(
    forms: Forms, live: Sequence[int], results: Sequence[Form], batch: int
) -> Iterator[tuple[Roles, dict[int, Product]]]:
    """All ways to give axes their roles in which everything can be computed, with each atom's product.

    Args:
        forms: of the function.
        live: the atoms on which results depend.
        results: the function's.
        batch: the name of the axis of samples.
    """
    given = [n for n, atom in enumerate(forms.atoms) if isinstance(atom, ArgumentAtom)]
    live = sorted({*live, *given})
    axes = {axis for number in live for axis in forms.atoms[number].axes}
    axes = sorted((axes | _summed_axes(forms, live)) - {batch})
    for chosen in itertools.product((None, *axes), repeat=3):
        if sorted(axis for axis in chosen if axis is not None) != axes:
            continue
        roles = Roles(batch, *chosen)
        products = _products(forms, live, results, roles)
        if products is not None:
            yield roles, products


def _summed_axes(forms: Forms, live: Sequence[int]) -> set[int]:
    atoms = (forms.atoms[number] for number in live)
    return {axis for a in atoms if not isinstance(a, ArgumentAtom) for axis in a.summed}


def _products(
    forms: Forms, live: Sequence[int], results: Sequence[Form], roles: Roles
) -> dict[int, Product] | None:
    """The product of each live atom; None where one, or a result, has no place."""
    if any(form.is_plain or not roles.hold(form.axes) for form in results):
        return None
    found: dict[int, Product] = {}
    for number in live:
        atom = forms.atoms[number]
        if isinstance(atom, ArgumentAtom):
            if not roles.hold(atom.axes) and not roles.is_data(atom.axes):
                return None
            continue
        product = product_of(forms, roles, atom)
        if product is None or (isinstance(atom, ProductAtom) and not roles.hold(atom.axes)):
            return None
        found[number] = product
    return found
