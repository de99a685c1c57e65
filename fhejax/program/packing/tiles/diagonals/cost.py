"""The key switches of a function where samples are on top, by a formula for each kind of product."""

from collections.abc import Mapping, Sequence

from fhejax.program.packing.tiles.diagonals.roles import Product
from fhejax.program.packing.tiles.diagonals.sharing import rotations_alone, rotations_together
from fhejax.program.packing.tiles.diagonals.slots import Slots, distances_of
from fhejax.program.packing.tiles.diagonals.uses import (
    by_state,
    copied_arguments,
    late_sums,
    terms_of,
    turned_forms,
)
from fhejax.program.packing.tiles.fields import width_of
from fhejax.program.packing.tiles.forms import Form, Forms, Key
from fhejax.program.packing.tiles.places import Place

Rotated = dict[tuple[str, Key], int]


def key_switches(
    forms: Forms,
    slots: Slots,
    products: Mapping[int, Product],
    places: Mapping[int, Place],
    packed: Sequence[tuple[Form, Place]],
) -> int:
    """The key switches of a function: relinearisations, and rotations, which equal ones share.

    Args:
        forms: of the function.
        slots: where entries lie.
        products: of its atoms.
        places: of arguments without samples.
        packed: the results without samples, and where each lies.
    """
    rotated: Rotated = {}
    turned, batch = turned_forms(products), slots.roles.samples
    total = sum(_once(slots, product, rotated, turned) for product in products.values())
    early, late = copied_arguments(forms, products, batch)
    total += rotations_alone(slots, len(early))
    for group in by_state({atom: places[atom] for atom in late}):
        total += rotations_together(slots, list(group.values()))
    for group in by_state(late_sums(forms, products, packed, batch)):
        total += rotations_together(slots, list(group.values())) - rotations_alone(slots, len(group))
    return total + sum(rotated.values())


def _once(slots: Slots, product: Product, rotated: Rotated, turned: set[Key]) -> int:
    """The key switches of one product alone; those of its factors' rotations are noted, each once."""
    blocks = slots.blocks if slots.roles.samples in product.axes else 1
    keys = [form.key for form in product.factors]
    giants, strides, outputs = slots.inputs // slots.babies, slots.strides, slots.outputs
    steps = len({d // strides for d in distances_of(outputs)})
    match product.kind:
        case "elementwise":
            return blocks if product.multiplies else 0
        case "over samples":
            shared = len(keys) == 1 and terms_of(product.factors[0]) in turned
            multiplied = blocks if product.multiplies else 0
            return multiplied + slots.sample_bits - (width_of(giants) if shared else 0)
        case "over inputs":
            rotated["babies", keys[1]] = slots.babies - 1
            return blocks * (2 * giants - 1)
        case "inputs over samples":
            rotated["giants", keys[1]] = blocks * (giants - 1)
            return 2 * slots.babies - 1 + slots.sample_bits - width_of(slots.inputs)
        case "over hidden":
            rotated["diagonals", keys[1]] = outputs - 1
            rotated["near", keys[0]] = blocks * (strides - 1)
            parts = width_of(slots.field) - width_of(outputs)
            return blocks * (2 * steps - 1 + 2 * parts)
        case "over outputs":
            rotated["diagonals", keys[1]] = outputs - 1
            rotated["far", keys[0]] = blocks * (steps - 1)
            return blocks * (2 * strides - 1)
        case "outputs over samples":
            rotated["near", keys[0]] = blocks * (strides - 1)
            rotated["far", keys[1]] = blocks * (steps - 1)
            return 2 * outputs - 1 + slots.sample_bits - width_of(outputs)
