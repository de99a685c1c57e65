"""What every node of a circuit can say of itself; each kind is one file in `nodes`."""

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Factors, Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.register import Register
    from fhejax.program.circuit.lowering.scales import AnyScale, Real
    from fhejax.program.circuit.lowering.state import Lowering

Adjoints = Iterator[tuple[int, Values]]


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The numbers from which the values of one node are computed.

    Attributes:
        values: of all nodes before it, float64 [size, column] each.
        arguments: the entries of every encrypted argument, [size, column].
        factors: of each of the node's weights: they become the integers nearest to weights times this, over
            it, as the steps have them. None leaves weights as they are.
        slots: where columns are slots; None where each is a sample, and all are summed.
    """

    values: Sequence[Values]
    arguments: Sequence[Values]
    factors: Factors | None = None
    slots: Slots | None = None


class Node(abc.ABC):
    """One operation on vectors of ciphertexts: a frozen dataclass that derives from this.

    Attributes:
        multiplies: whether encrypted values are multiplied with each other.
        sums_slots: whether slots of one ciphertext meet.
        bootstraps: whether levels come back, with noise that repeats itself as the samples in slots do.
        mixes_entries: whether the value has more or fewer ciphertexts than are read, by plain weights.
        needs_every_sample: whether the node is right only where every slot of the batch holds a sample.
        sources: the numbers of the nodes that it reads.
        size: ciphertexts in its value.
        label: the primitive and source line that it comes from; for people alone.
    """

    multiplies: ClassVar[bool] = False
    sums_slots: ClassVar[bool] = False
    bootstraps: ClassVar[bool] = False
    mixes_entries: ClassVar[bool] = False
    sources: tuple[int, ...]
    size: int
    label: str

    @property
    def needs_every_sample(self) -> bool:
        """Whether the value is wrong where a sample is missing."""
        return False

    @abc.abstractmethod
    def reading(self, names: Mapping[int, int]) -> Self:
        """The same node, reading others in place of its sources."""

    @abc.abstractmethod
    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The least and the largest value of every entry, from those of the nodes before it."""

    @abc.abstractmethod
    def evaluate(self, given: Evaluation) -> Values:
        """The values in the clear, float64 [size, column]."""

    @abc.abstractmethod
    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient over each source's values, from that over the node's own.

        Args:
            values: of all nodes.
            adjoint: the gradient over this node's values, [size, column].
            slots: those of the evaluation.
        """

    @abc.abstractmethod
    def lower(self, lowering: "Lowering", number: int) -> "Register | None":
        """Emit the steps of the node; None where the node that reads it computes it too."""

    @abc.abstractmethod
    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the value is zero in slots without a sample.

        Args:
            zero: whether a source, with a shift added or none, is.
        """

    def magnified(self, factors: tuple[float, ...], weight_bits: int) -> tuple[float, ...]:
        """The factors that were planned for larger weights, changed by powers of two for the node's own.

        Args:
            factors: as planned: what weights are multiplied by, or what they are divided by.
            weight_bits: of the largest weight that was planned for.
        """
        return factors

    def wanted_scale(self, lowering: "Lowering") -> "AnyScale | None":
        """The scale, after a division, that the node asks of the one source that it reads; None for any."""
        return None

    def rounding_deviation(self, factors: "Sequence[Real]", values: Sequence[Values]) -> "Real | None":
        """The deviation that rounded weights leave in each value, where it is known without rounding them.

        Args:
            factors: of each of the node's weights, arrays where many settings are looked at.
            values: of all nodes.

        Returns:
            None where the effect of rounding is to be computed.
        """
        return None

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The weights and shifts of the node, which must be finite."""
        return ()


class SingleSource(Node):
    """A node that reads one other, called `source`."""

    source: int

    @property
    def sources(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The one node that it reads."""
        return (self.source,)

    def reading(self, names: Mapping[int, int]) -> Self:
        """The same node, reading another in place of its source."""
        return dataclasses.replace(self, source=names[self.source])  # pyright: ignore[reportArgumentType]


class SeveralSources(Node):
    """A node that reads several others, its field `sources`."""

    def reading(self, names: Mapping[int, int]) -> Self:
        """The same node, reading others in place of its sources."""
        return dataclasses.replace(self, sources=tuple(names[s] for s in self.sources))  # pyright: ignore[reportArgumentType]
