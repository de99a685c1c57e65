"""What each bit of a slot's number means for a value, and what products and sums over slots make of it.

A rotation moves all slots at once. So a sum over some bits is right in every slot where all bits above are
copies; where some bits just above are copies (guards), wherever the first of them is 0, for what is carried
over ends there; and elsewhere at one value of the bits alone, any that is chosen. The other slots then hold
junk, as large as partial sums.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal

Kind = Literal["index", "copy", "junk", "zero"]


@dataclasses.dataclass(frozen=True)
class Bit:
    """One bit of a slot's number.

    Attributes:
        kind: "index", along an axis; "copy", where the value is the same at both; "junk" or "zero", where it
            is right at one value of the bit, and anything or zero at the other.
        axis: the name, of an index.
        at: the value at which it is right, of junk and zero.
    """

    kind: Kind
    axis: int = -1
    at: int = 0


COPY = Bit("copy")
Bits = tuple[Bit, ...]  # most significant first


class ConflictError(ValueError):
    """An error that says that two values do not meet in their slots."""


def met(first: Bits, second: Bits, multiplied: bool) -> Bits:
    """The bits of a product, or of a sum, of two values.

    Raises:
        ConflictError: where an index of one meets anything but copies, or the same index, of the other.
    """
    return tuple(_met(x, y, multiplied) for x, y in zip(first, second, strict=True))


def _met(x: Bit, y: Bit, multiplied: bool) -> Bit:
    if x == y:
        return x
    if "index" in (x.kind, y.kind):
        if COPY in (x, y):
            return x if y == COPY else y
        raise ConflictError("an index meets another one, or slots that hold it at one place alone")
    bounded = [bit for bit in (x, y) if bit != COPY]
    if len({bit.at for bit in bounded}) > 1:
        raise ConflictError("two values are right at different places")
    zeros = [bit for bit in bounded if bit.kind == "zero"]
    is_zero = bool(zeros) if multiplied else len(zeros) == 2
    return Bit("zero" if is_zero else "junk", at=bounded[0].at)


@dataclasses.dataclass(frozen=True)
class BitSum:
    """The sum over an axis's bits.

    Attributes:
        bits: of the result.
        distances: of the rotations, in order.
    """

    bits: Bits
    distances: tuple[int, ...]


def runs(bits: Bits, axes: Collection[int]) -> list[range]:
    """The places of some axes' indices, in rows that lie side by side, the most significant first."""
    places = [place for place, bit in enumerate(bits) if bit.kind == "index" and bit.axis in axes]
    starts = [place for place in places if place - 1 not in places]
    ends = [place + 1 for place in places if place + 1 not in places]
    return [range(*pair) for pair in zip(starts, ends, strict=True)]


def summed(bits: Bits, run: range, at: int | None = None) -> BitSum:
    """The sum over a row of indices; and, at the top, over zeros just below.

    Args:
        bits: of what is summed, of which empty places hold zero along the axes of the row.
        run: the places of the row.
        at: the place at which the sum is to be right, where it is so at one alone; None leaves it so at a
            guard's zero, or at the first.
    """
    first, last = run.start, run.stop
    above, result = bits[:first], list(bits)
    if all(bit == COPY for bit in above):
        while last < len(bits) and bits[last].kind == "zero" and not bits[last].at:
            last += 1
        result[first:last] = [COPY] * (last - first)
        return BitSum(tuple(result), _distances(bits, first, last, 0))
    if above[-1] == COPY and at is None:
        guard = max((p for p in range(first) if bits[p] != COPY), default=-1) + 1
        result[guard] = Bit("junk")
        result[first:last] = [COPY] * (last - first)
        return BitSum(tuple(result), _distances(bits, first, last, 0))
    at = at or 0
    result[first:last] = [Bit("junk", at=at >> (last - 1 - p) & 1) for p in range(first, last)]
    return BitSum(tuple(result), _distances(bits, first, last, at))


def _distances(bits: Bits, first: int, last: int, at: int) -> tuple[int, ...]:
    """Rotations that bring all values of some bits together at one of them, the lowest bit first."""
    found = []
    for place in reversed(range(first, last)):
        stride = 1 << (len(bits) - 1 - place)
        found.append(-stride if at >> (last - 1 - place) & 1 else stride)
    return tuple(found)


def copied(bits: Bits, wanted: Sequence[int]) -> BitSum:
    """What copies a value to both values of some bits, at the other of which it is zero.

    Args:
        bits: of the value.
        wanted: the places of the bits.
    """
    distances = []
    for place in sorted(wanted, reverse=True):
        stride = 1 << (len(bits) - 1 - place)
        distances.append(stride if bits[place].at else -stride)
    return BitSum(tuple(COPY if p in wanted else b for p, b in enumerate(bits)), tuple(distances))
