"""Where entries lie where samples are on top: by two axes at once, along which they are diagonals.

Slots, most significant bit first: [ samples ][ hidden ]. Sample b of a block and hidden unit j have slot
b * field + j. Inputs i lie at the samples b = i modulo their width n, and outputs k where b + j = k modulo
theirs, m:

    first weights    W1[b mod n, j]
    second weights   W2[j, (b + j) mod m]
    outputs          z[b, (b + j) mod m]

A rotation along the samples so leads from one diagonal of a matrix to the next, and nothing is masked, for
samples are on top. Of several blocks, block c has every so many-th sample from c on.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from fhejax.program.packing.layout import Layout, along, copies, gap
from fhejax.program.packing.layout.digit import Digit
from fhejax.program.packing.tiles.diagonals.roles import Roles
from fhejax.program.packing.tiles.fields import width_of


@dataclasses.dataclass(frozen=True)
class Slots:
    """The bits of the slots, and by how many steps of which length diagonals are reached.

    Attributes:
        sizes: of each named axis.
        roles: of the axes.
        sample_bits: of samples in one ciphertext.
        blocks: ciphertexts of a value that has samples.
        babies: of the diagonals of data, those whose weights are rotated; values are rotated for the others.
        strides: likewise of the second weights, along the hidden axis.
    """

    sizes: Mapping[int, int]
    roles: Roles
    sample_bits: int
    blocks: int
    babies: int
    strides: int

    def width(self, axis: int | None) -> int:
        """The number of indices that an axis has room for, a power of two; 1 of none."""
        return 1 if axis is None else 1 << width_of(self.sizes[axis])

    @property
    def field(self) -> int:
        """The slots of one sample."""
        return self.width(self.roles.hidden)

    @property
    def inputs(self) -> int:
        """The room for inputs."""
        return self.width(self.roles.inputs)

    @property
    def outputs(self) -> int:
        """The room for outputs."""
        return self.width(self.roles.outputs)

    @property
    def period(self) -> int:
        """The slots of one period."""
        return self.field << self.sample_bits

    @property
    def places(self) -> int:
        """The places for arrays without samples in one ciphertext, at its most significant bits."""
        return (1 << self.sample_bits) // max(self.inputs, self.outputs)

    @property
    def place_slots(self) -> int:
        """The slots of one place."""
        return self.period // self.places

    @property
    def is_partial(self) -> bool:
        """Whether a field has room for the outputs several times."""
        return self.outputs > 1 and self.outputs < self.field

    def distances(self, first: int, last: int) -> tuple[int, ...]:
        """The slots first, twice that and so on, up to but without the last: those of a sum over bits."""
        return tuple(first << bit for bit in range((last // first).bit_length() - 1))

    def ciphertexts(self, axes: Sequence[int]) -> int:
        """The ciphertexts of an array with samples."""
        return self.blocks * (self.inputs if self.roles.is_data(axes) else 1)

    def is_padded(self, axis: int) -> bool:
        """Whether an axis has fewer entries than room."""
        room = self.blocks << self.sample_bits if axis == self.roles.samples else self.width(axis)
        return self.sizes[axis] < room

    def layout(
        self, axes: Sequence[int], shape: Sequence[int] | None = None, place: int | None = None
    ) -> Layout:
        """The layout of an array.

        Args:
            axes: its names, in the order of its dimensions of more than one entry.
            shape: by default the sizes of its axes.
            place: of an array without samples that others share a ciphertext with; None where it has copies.
        """
        shape = tuple(self.sizes[axis] for axis in axes) if shape is None else tuple(shape)
        dimensions = [d for d, size in enumerate(shape) if size != 1]
        where = dict(zip(axes, dimensions, strict=True))
        wrap = [0] * len(shape)
        for axis in (self.roles.inputs, self.roles.outputs):
            if axis is not None and axis in where:
                wrap[where[axis]] = self.width(axis)
        if self.roles.is_data(axes):
            wrap[where[self.roles.samples]] = self.blocks << self.sample_bits
        return Layout(
            shape,
            (*self._sample_digits(where, place), *self._field_digits(where, place)),
            ciphertexts=self._ciphertexts(where),
            wrap=tuple(wrap),
        )

    def _sample_digits(self, where: Mapping[int, int], place: int | None) -> list[Digit]:
        """The digits of the sample: of a place and within it, or of the sample alone."""
        roles = self.roles
        steps = [(where[a], 1) for a in (roles.inputs, roles.outputs) if a is not None and a in where]
        if roles.samples in where:
            steps.append((where[roles.samples], self.blocks))
        size = 1 << self.sample_bits
        if place is None:
            return [Digit(size, tuple(steps))]
        return [gap(self.places, place), Digit(size // self.places, tuple(steps))]

    def _field_digits(self, where: Mapping[int, int], place: int | None) -> list[Digit]:
        """The digits within one sample's slots."""
        hidden, outputs = self.roles.hidden, self.roles.outputs
        if hidden is not None and hidden in where:
            steps = [(where[a], 1) for a in (hidden, outputs) if a is not None and a in where]
            return [Digit(self.field, tuple(steps))]
        if outputs is None or outputs not in where:
            return [copies(self.field)]
        times = self.field // self.outputs
        return [copies(times) if place is None else gap(times), along(where[outputs], self.outputs)]

    def _ciphertexts(self, where: Mapping[int, int]) -> tuple[Digit, ...]:
        """The digits of a ciphertext's number: the block, and of data how far inputs and samples are moved.

        Data's number c, g, t: at sample b of block c lies input b - t of sample b + babies * g.
        """
        samples = where.get(self.roles.samples)
        blocks = [] if samples is None else [along(samples, self.blocks)]
        if samples is None or not self.roles.is_data(where):
            return tuple(blocks)
        assert self.roles.inputs is not None
        giants = along(samples, self.inputs // self.babies, self.blocks * self.babies)
        return (*blocks, giants, along(where[self.roles.inputs], self.babies, -1))


def distances_of(outputs: int) -> tuple[int, ...]:
    """The distances, along a field, of the outputs' diagonals: t, and what leads there from below, t - m."""
    return tuple(d for t in range(outputs) for d in ((t, t - outputs) if t else (0,)))
