"""The diagonals of a plain linear map between two layouts: convolutions, strides, dense layers, repackings.

Zero padding lies in the coefficients, and so do the gaps of the target: what comes out needs no mask.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from fhejax.program.packing.layout.alignment import NotAlignedError
from fhejax.program.packing.layout.digit import product
from fhejax.program.packing.layout.layout import Layout
from fhejax.program.packing.layout.packing import positions
from fhejax.program.packing.layout.relations import Relation

_AT_ONCE = 2**22  # pairs of positions that are compared


@dataclasses.dataclass(frozen=True, eq=False)
class Diagonals:
    """The diagonals of a linear map.

    Attributes:
        vectors: (target ciphertext, source ciphertext) -> distance -> float64 [slots]: entry j is what slot j
            of the target takes of slot j + distance of the source, as of `ckks.linear_transform`. Distances
            are signed, at most half of the slots.
        block: of slots, in whole ones of which distances were kept short.
        target: the layout of the result.
        source: the layout of the argument.
    """

    vectors: Mapping[tuple[int, int], Mapping[int, np.ndarray]]
    block: int
    target: Layout
    source: Layout

    @property
    def count(self) -> int:
        """How many products with plaintexts the map takes."""
        return sum(map(len, self.vectors.values()))

    def split(self, pair: tuple[int, int]) -> dict[int, tuple[int, int]]:
        """The (giant, baby) step of each distance, modulo the slots: giants of whole blocks."""
        slots, block = self.target.slot_count, self.block
        giants = {d: (d + block // 2) // block * block for d in self.vectors[pair]}
        return {d % slots: (giant % slots, (d - giant) % slots) for d, giant in giants.items()}

    def apply(self, slots: np.ndarray) -> np.ndarray:
        """The slots of the result, [ciphertext, slot], from plain ones of the source."""
        result = np.zeros((self.target.ciphertext_count, self.target.slot_count), np.asarray(slots).dtype)
        for (target, source), vectors in self.vectors.items():
            for distance, vector in vectors.items():
                result[target] += vector * np.roll(slots[source], -distance)
        return result


def diagonals(
    source: Layout, target: Layout, relation: Relation, *, block: int = 1, shares: bool = False
) -> Diagonals:
    """The diagonals of a map, each entry taken from the nearest of its copies.

    Args:
        source: the layout of the argument.
        target: the layout of the result, whose copies all come out right.
        relation: the map.
        block: the distance between slots is counted in whole blocks first, of say the slots of a plane: all
            entries of a channel then take another channel from the same copy of it. Between equally many
            blocks forwards and backwards, forwards.
        shares: instead, every term is given to one copy of the target only, the nearest to any copy of its
            source, which takes as many times fewer diagonals; the sum over the target's copies is then
            right (`as_shares`, `sum_over`).

    Raises:
        NotAlignedError: real and imaginary parts, or shares in copies that no digit of the slots tells apart.
        ValueError: shapes other than the relation's, or rings of different slots.
    """
    _check_layouts(source, target, relation)
    if shares:
        _check_shares(target)
    slots, parts = target.slot_count, []
    for terms, near, far in _chosen(source, target, relation, block, shares):
        (to, slot), (of, other) = np.divmod(near, slots), np.divmod(far, slots)
        code = (to * source.ciphertext_count + of) * slots + (other - slot) % slots
        parts.append((code, slot, relation.coefficients[terms]))
    code, slot, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    found, number = _distinct(code, target.ciphertext_count * source.ciphertext_count * slots)
    rows = np.bincount(number * slots + slot, values, len(found) * slots).reshape(-1, slots)
    vectors: dict[tuple[int, int], dict[int, np.ndarray]] = {}
    for key, row in zip(found.tolist(), rows, strict=True):
        pair, distance = divmod(key, slots)
        signed = distance if 2 * distance <= slots else distance - slots
        vectors.setdefault(divmod(pair, source.ciphertext_count), {})[signed] = row
    return Diagonals(vectors, block, target, source)


def _distinct(code: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers below `count` that there are, in order, and which of them each one is."""
    if count > 4 * len(code) + _AT_ONCE:
        found, number = np.unique(code, return_inverse=True)
        return found, number
    there = np.zeros(count, bool)
    there[code] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[code]


def _check_layouts(source: Layout, target: Layout, relation: Relation) -> None:
    if product(source.parts) == 2 or product(target.parts) == 2:
        raise NotAlignedError(
            "diagonals between layouts of real and imaginary parts were asked for; take the parts first, "
            "each in a layout of its own."
        )
    shapes = (source.shape, target.shape), (relation.source_shape, relation.target_shape)
    if shapes[0] != shapes[1] or source.slot_count != target.slot_count:
        raise ValueError(
            f"diagonals from a layout of shape {source.shape} and {source.slot_count} slots to one of shape "
            f"{target.shape} and {target.slot_count} slots were asked for, of a map from "
            f"{relation.source_shape} to {relation.target_shape}; shapes and slots must be equal."
        )
    if not len(relation.targets):
        raise ValueError("diagonals of a map without a term were asked for; its result is zero.")


def _check_shares(target: Layout) -> None:
    held = positions(target)
    count = product(tuple(digit for digit in target.slots if digit.is_copy))
    if held.shape[1] != count or held.min() < 0:
        raise NotAlignedError(
            f"shares in the copies of a layout were asked for, of which some entry has {held.shape[1]} and "
            f"the digits tell {count} apart: copies that are shifted, or in other ciphertexts, have no digit "
            f"of their own in the slots. Ask for no shares, or for a layout whose copies are identical."
        )


def _chosen(
    source: Layout, target: Layout, relation: Relation, block: int, shares: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(term, position of the target, position of the source) of the pairs that are taken, in portions."""
    places, origins, costs = positions(target), positions(source), _costs(target.slot_count, block)
    portion = max(1, _AT_ONCE // (places.shape[1] * origins.shape[1]))
    for start in range(0, len(relation.targets), portion):
        terms = np.arange(start, min(start + portion, len(relation.targets)))
        near, far = places[relation.targets[terms]], origins[relation.sources[terms]]
        cost = _compared(near, far, costs)
        if shares:
            best = cost.reshape(len(terms), -1).argmin(1)
            rows = np.arange(len(terms))
            yield terms, near[rows, best // far.shape[1]], far[rows, best % far.shape[1]]
        else:
            best = np.take_along_axis(far, cost.argmin(2), 1)
            held = near >= 0
            yield terms[np.nonzero(held)[0]], near[held], best[held]


def _compared(near: np.ndarray, far: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """The cost of each pair, [term, position of the target, position of the source]."""
    distance = far[:, None, :].astype(np.int32) - near[:, :, None].astype(np.int32)
    cost = costs[distance & (len(costs) - 1)]
    missing = (near < 0)[:, :, None] | (far < 0)[:, None, :]
    return np.where(missing, np.iinfo(cost.dtype).max, cost) if missing.any() else cost


def _costs(slots: int, block: int) -> np.ndarray:
    """The cost of each distance modulo the slots: less the nearer, blocks first, forwards before back."""
    distance = (np.arange(slots) + slots // 2) % slots - slots // 2
    blocks = (distance + block // 2) // block
    inside = np.abs(distance - blocks * block)
    return (2 * np.abs(blocks) - (blocks > 0)) * (2 * slots) + 2 * inside + (distance < 0)
