"""Names of axes that turn out to be one, or to be several."""

import math
from collections.abc import Sequence

Names = tuple[tuple[int, ...], ...]  # of each dimension of an array


class NameTable:
    """The names of a function's axes, while its graph is walked; it lives no longer than that.

    Attributes:
        sizes: of each name.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._same: list[int] = []
        self._parts: dict[int, tuple[int, int]] = {}

    def new(self, shape: Sequence[int]) -> Names:
        """A new name for each dimension of more than one entry."""
        return tuple(() if size == 1 else (self._name(size),) for size in shape)

    def _name(self, size: int) -> int:
        self.sizes.append(size)
        self._same.append(len(self._same))
        return len(self._same) - 1

    def parts(self, names: Sequence[int]) -> tuple[int, ...]:
        """The names that stand for those given, each of one axis, the most significant first."""
        found: list[int] = []
        for name in names:
            while self._same[name] != name:
                name = self._same[name]
            found.extend(self.parts(self._parts[name]) if name in self._parts else (name,))
        return tuple(found)

    def same(self, one: Sequence[int], other: Sequence[int]) -> None:
        """Note that two rows of axes run along together; where sizes differ an axis is split.

        Args:
            one: names, the most significant first; none of one entry, with which nothing runs along.
            other: likewise.

        Raises:
            ValueError: sizes of which neither divides the other.
        """
        if not one or not other:
            return
        first, second = list(self.parts(one)), list(self.parts(other))
        while first and second:
            x, y = self._last(first), self._last(second)
            if x == y:
                continue
            small, large = sorted((x, y), key=self.sizes.__getitem__)
            if self.sizes[small] == self.sizes[large]:
                self._same[y] = x
                continue
            if self.sizes[large] % self.sizes[small]:
                sizes = math.prod(self.sizes[n] for n in self.parts(one))
                raise ValueError(
                    f"a reshape that joins or splits axes at places that do not fit, {self.sizes[small]} "
                    f"and {self.sizes[large]} of {sizes}, which packing='tiles' has no rule for; keep the "
                    f"axes of arrays, and contract over several by jnp.einsum"
                )
            rest = self._name(self.sizes[large] // self.sizes[small])
            self._parts[large] = rest, small
            (first if large == x else second).append(rest)

    def _last(self, names: list[int]) -> int:
        """The last name, taken off, of which the parts that it has by now are put back."""
        *rest, last = self.parts((names.pop(),))
        names.extend(rest)
        return last
