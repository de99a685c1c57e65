"""What is used where: values of which rotations are shared, and what has a level to spare."""

from collections.abc import Mapping, Sequence

from fhejax.program.packing.tiles.diagonals.roles import Product
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, Key
from fhejax.program.packing.tiles.places import Place, is_gradient


def terms_of(form: Form) -> Key:
    """What forms have in common that differ by plain numbers at most."""
    return form.axes, tuple(sorted(form.terms.items()))


def turned_forms(products: Mapping[int, Product]) -> set[Key]:
    """The values of which rotations along the samples are multiplied with data."""
    return {terms_of(p.factors[1]) for p in products.values() if p.kind == "inputs over samples"}


def copied_arguments(
    forms: Forms, products: Mapping[int, Product], batch: int
) -> tuple[list[int], list[int]]:
    """The arguments without samples that products read: those that data is multiplied with, and others.

    The others are read when the first product is done, so that they have a level to spare.
    """
    used = {atom for product in products.values() for form in product.factors for atom in form.terms}
    arguments = [
        a
        for a in sorted(used)
        if isinstance(forms.atoms[a], ArgumentAtom) and batch not in forms.atoms[a].axes
    ]
    firsts = {a for p in products.values() if p.kind == "over inputs" for a in p.factors[1].terms}
    early = [a for a in arguments if a in firsts or not firsts]
    return early, [a for a in arguments if a not in early]


def late_sums(
    forms: Forms, products: Mapping[int, Product], results: Sequence[tuple[Form, Place]], batch: int
) -> dict[int, Place]:
    """The sums over samples, in packed results, that have a level to spare, each with its place.

    The gradient of the first weights is the last that a step computes. A sum that no product reads, and that
    results take at one place alone, may be added up there and nowhere else.

    Args:
        forms: of the function.
        products: of its atoms.
        results: those without samples, and where each lies.
        batch: the name of the axis of samples.
    """
    used = {atom for product in products.values() for form in product.factors for atom in form.terms}
    sums: dict[int, list[Place]] = {}
    for form, place in results:
        for atom in form.terms:
            if atom not in used and is_gradient(forms, batch, atom):
                sums.setdefault(atom, []).append(place)
    if not any(products[atom].kind == "inputs over samples" for atom in sums):
        return {}
    return {
        atom: min(found, key=lambda place: place.state)
        for atom, found in sorted(sums.items())
        if products[atom].kind != "inputs over samples" and len({place.base for place in found}) == 1
    }


def by_state(places: Mapping[int, Place]) -> list[dict[int, int]]:
    """Atoms in groups of those that share a ciphertext, each with its place there."""
    groups: dict[int, dict[int, int]] = {}
    for atom, place in places.items():
        groups.setdefault(place.state, {})[atom] = place.base
    return list(groups.values())
