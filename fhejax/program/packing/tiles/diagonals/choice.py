"""The slots in which a function takes the fewest key switches, by a formula for each kind of product."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from fhejax.program.packing.tiles.diagonals.roles import Product, roles_of
from fhejax.program.packing.tiles.diagonals.slots import Slots
from fhejax.program.packing.tiles.fields import live_atoms, width_of
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, Key


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """A way to lay out a function.

    Attributes:
        slots: where entries lie.
        products: of each live atom that is no argument.
        key_switches: that it takes beside bootstraps.
    """

    slots: Slots
    products: Mapping[int, Product]
    key_switches: int


def choice_of(forms: Forms, results: Sequence[Form], batch: int, most_slots: int) -> Choice | None:
    """The way of the fewest key switches, or None where there is none.

    Args:
        forms: whose axes are to lie somewhere.
        results: the function's.
        batch: the name of the axis of samples.
        most_slots: that a ciphertext has, a power of two.
    """
    live = live_atoms(forms, results)
    found = [
        Choice(slots, products, key_switches(forms, live, slots, products))
        for roles, products in roles_of(forms, live, results, batch)
        for slots in _slots_of(forms, Slots(forms.sizes, roles, 0, 1, 1, 1), most_slots)
        if slots.outputs == 1 or slots.field >= 2 * slots.outputs or not _sums_outputs(slots, products)
    ]
    return min(found, key=lambda choice: choice.key_switches, default=None)


def _sums_outputs(slots: Slots, products: Mapping[int, Product]) -> bool:
    """Whether outputs are summed over samples, for which a field needs room for them twice."""
    return any(
        product.kind == "over samples" and slots.roles.outputs in _axes(product)
        for product in products.values()
    )


def _slots_of(forms: Forms, narrow: Slots, most_slots: int) -> Iterator[Slots]:
    """As many samples in slots as have room, and all lengths of steps that are powers of two."""
    batch = forms.sizes[narrow.roles.samples]
    sample_bits = min(width_of(most_slots // narrow.field), width_of(batch))
    if 1 << sample_bits < max(narrow.inputs, narrow.outputs) or narrow.field < narrow.outputs:
        return
    if most_slots < narrow.field or narrow.field << sample_bits < 8:
        return
    blocks = -(-batch >> sample_bits)
    for babies in range(width_of(narrow.inputs) + 1):
        for strides in range(width_of(narrow.outputs) + 1):
            changes = {"babies": 1 << babies, "strides": 1 << strides}
            yield dataclasses.replace(narrow, sample_bits=sample_bits, blocks=blocks, **changes)


def key_switches(forms: Forms, live: Sequence[int], slots: Slots, products: Mapping[int, Product]) -> int:
    """The key switches of a function: relinearisations, and rotations, which equal ones share."""
    rotated: dict[tuple[str, Key], int] = {}
    turned = turned_forms(products)
    total = sum(_once(slots, product, rotated, turned) for product in products.values())
    return total + sum(rotated.values()) + _spread(forms, live, slots, products)


def _axes(product: Product) -> set[int]:
    return {axis for form in product.factors for axis in form.axes}


def _once(slots: Slots, product: Product, rotated: dict[tuple[str, Key], int], turned: set[Key]) -> int:
    """The key switches of one product alone; those of its factors' rotations are noted, each once."""
    blocks = slots.blocks if slots.roles.samples in _axes(product) else 1
    keys = [form.key for form in product.factors]
    giants, strides, outputs = slots.inputs // slots.babies, slots.strides, slots.outputs
    steps = len({d // strides for d in distances_of(outputs)})
    match product.kind:
        case "elementwise":
            return 0 if any(form.is_plain for form in product.factors) else blocks
        case "over samples":
            multiplied = len(product.factors) > 1 and not any(form.is_plain for form in product.factors)
            if len(keys) == 1 and terms_of(product.factors[0]) in turned:
                return slots.sample_bits - width_of(giants)
            return (blocks if multiplied else 0) + slots.sample_bits
        case "over inputs":
            rotated["babies", keys[1]] = slots.babies - 1
            return blocks * (2 * giants - 1)
        case "inputs over samples":
            rotated["giants", keys[1]] = blocks * (giants - 1)
            return 2 * slots.babies - 1 + slots.sample_bits - width_of(slots.inputs)
        case "over hidden":
            rotated["diagonals", keys[1]] = outputs - 1
            rotated["near", keys[0]] = blocks * (strides - 1)
            windows = 2 * (width_of(slots.field) - width_of(outputs))
            return blocks * (2 * steps - 1 + windows)
        case "over outputs":
            rotated["diagonals", keys[1]] = outputs - 1
            rotated["far", keys[0]] = blocks * (steps - 1)
            return blocks * (2 * strides - 1)
        case "outputs over samples":
            rotated["near", keys[0]] = blocks * (strides - 1)
            rotated["far", keys[1]] = blocks * (steps - 1)
            return 2 * outputs - 1 + slots.sample_bits - width_of(outputs)


def _spread(forms: Forms, live: Sequence[int], slots: Slots, products: Mapping[int, Product]) -> int:
    """The key switches that copy arrays without samples from their places to all samples."""
    used = {atom for product in products.values() for form in product.factors for atom in form.terms}
    arguments = [n for n in live if isinstance(forms.atoms[n], ArgumentAtom)]
    spread = [n for n in arguments if n in used and slots.roles.samples not in forms.atoms[n].axes]
    return len(spread) * width_of(slots.places)


def terms_of(form: Form) -> Key:
    """What forms have in common that differ by plain numbers at most."""
    return form.axes, tuple(sorted(form.terms.items()))


def turned_forms(products: Mapping[int, Product]) -> set[Key]:
    """The values of which rotations along the samples are multiplied with data."""
    return {terms_of(p.factors[1]) for p in products.values() if p.kind == "inputs over samples"}


def distances_of(outputs: int) -> tuple[int, ...]:
    """The distances, along a field, of the outputs' diagonals: t, and what leads there from below, t - m."""
    return tuple(d for t in range(outputs) for d in ((t, t - outputs) if t else (0,)))
