"""Values where samples are on top: the nodes of their ciphertexts, and what is known of their slots."""

import dataclasses
from collections.abc import Sequence

from fhejax.program.packing.tiles.diagonals.slots import Slots


@dataclasses.dataclass(frozen=True, eq=False)
class Held:
    """A value of which each node is a ciphertext.

    Attributes:
        axes: its names, in order.
        nodes: of each block of samples; one alone where all blocks share it.
        is_partial: whether it is right in the first places of each field alone, as many as outputs have room.
        unclean: the axes along which places beyond the last entry may hold more than zero.
        level: about how many levels the value has taken.
    """

    axes: tuple[int, ...]
    nodes: tuple[int, ...]
    is_partial: bool
    unclean: frozenset[int]
    level: int

    def node(self, block: int) -> int:
        """The ciphertext of a block."""
        return self.nodes[block % len(self.nodes)]

    def unclean_beside(self, slots: Slots, axes: Sequence[int]) -> frozenset[int]:
        """The axes of a value that this is part of, along which it leaves more than zero beyond the last."""
        lacking = (axis for axis in axes if axis not in self.axes and slots.is_padded(axis))
        return self.unclean | frozenset(lacking)
