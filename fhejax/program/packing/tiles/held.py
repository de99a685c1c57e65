"""Values in tiles: the nodes of their ciphertexts, and what is known of their slots."""

import dataclasses
from collections.abc import Mapping, Sequence

from fhejax.program.packing.tiles.bits import Bits
from fhejax.program.packing.tiles.fields import Fields, padded
from fhejax.program.packing.tiles.places import Number


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """A value of which each node is a ciphertext.

    Attributes:
        axes: its names, in order.
        nodes: by the ciphertext's number.
        bits: what each bit of a slot's number means.
        unclean: the axes along which places beyond the last entry may hold more than zero.
        level: about how many levels the value has taken.
    """

    axes: tuple[int, ...]
    nodes: Mapping[Number, int]
    bits: Bits
    unclean: frozenset[int]
    level: int

    def node(self, at: Mapping[int, int]) -> int:
        """The ciphertext at these numbers of axes, among which are the value's."""
        return self.nodes[tuple(at[axis] for axis in self.axes)]

    def unclean_beside(self, fields: Fields, axes: Sequence[int]) -> frozenset[int]:
        """The axes of a value that this one is part of, along which it leaves more than zero beyond the last."""
        lacking = (axis for axis in axes if axis not in self.axes and padded(fields, axis))
        return self.unclean | frozenset(lacking)
