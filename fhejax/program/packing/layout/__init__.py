"""Layouts: where the entries of an array lie in ciphertexts and slots, and what follows from it.

Five operations: `indices` with `pack` and `unpack` (what a layout means); rearrangements that relabel what
lies there, for free; `spread` of plain arrays; `diagonals` of plain linear maps; and `sum_over` an axis by
rotations.
"""

from fhejax.program.packing.layout.alignment import NotAlignedError
from fhejax.program.packing.layout.broadcast import broadcast
from fhejax.program.packing.layout.diagonals import Diagonals, diagonals
from fhejax.program.packing.layout.digit import Digit, along, copies, gap
from fhejax.program.packing.layout.layout import Layout
from fhejax.program.packing.layout.packing import entries, indices, pack, positions, unpack
from fhejax.program.packing.layout.relabelling import pad, reverse, roll, strided_slice, transpose
from fhejax.program.packing.layout.relations import Relation, convolution, dense, identity
from fhejax.program.packing.layout.reshape import reshape
from fhejax.program.packing.layout.samples import samples_in, with_samples
from fhejax.program.packing.layout.slot_sums import SlotSum, as_shares, copied, sum_over
from fhejax.program.packing.layout.spread import Spread, mask, spread

__all__ = [
    "Diagonals",
    "Digit",
    "Layout",
    "NotAlignedError",
    "Relation",
    "SlotSum",
    "Spread",
    "along",
    "as_shares",
    "broadcast",
    "convolution",
    "copied",
    "copies",
    "dense",
    "diagonals",
    "entries",
    "gap",
    "identity",
    "indices",
    "mask",
    "pack",
    "pad",
    "positions",
    "reshape",
    "reverse",
    "roll",
    "samples_in",
    "spread",
    "strided_slice",
    "sum_over",
    "transpose",
    "unpack",
    "with_samples",
]
