"""Results that replace arguments where a row is a slot: at the arguments' scale, with their levels back."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scales import AnyScale, scale_product, scale_quotient
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.carried_values import (
    bootstrapped,
    concatenated,
    divided,
    lowered_to_entry,
    parameters_of,
    scale_before_bootstrap,
)
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.real_part import RealPartStep
from fhejax.program.circuit.values import Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True, eq=False)
class CarriedSlots(SeveralSources):
    """The ciphertexts that hold carried arguments of the next call, one after the other, bootstrapped.

    Attributes:
        sources: nodes of one ciphertext each, which hold the arguments' normalised numbers.
        low: the least number that the arguments' ranges allow in each slot, one ciphertext after the other.
        high: the largest one.
    """

    bootstraps: ClassVar[bool] = True

    sources: tuple[int, ...]
    low: np.ndarray
    high: np.ndarray
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext for each source."""
        return len(self.sources)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The ranges of the arguments, in which whoever declared them says that values stay."""
        return self.low, self.high

    def evaluate(self, given: Evaluation) -> Values:
        """The values of all sources."""
        return np.concatenate([given.values[s] for s in self.sources])

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each source: its rows of the whole."""
        yield from zip(self.sources, np.split(adjoint, len(self.sources)), strict=True)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit products that lead to one scale exactly, a division, and a bootstrap to the arguments' level.

        As in `CarriedValues`: the scale before the bootstrap is chosen such that the one after it is that of
        arguments.

        Raises:
            TooLowError: where too few levels are left.
        """
        wanted = self.wanted_scale(lowering)
        register = lowered_to_entry(lowering, self._aligned(lowering, number, wanted), self.label)
        if self._share:
            lowering.add_switch(number, register)
            doubled = after(register, scale=scale_product(wanted, 2))
            register = lowering.emit(RealPartStep(*doubled, label=self.label))
        return bootstrapped(lowering, number, register, self.label)

    @property
    def _share(self) -> bool:
        """Whether two ciphertexts go in one bootstrap."""
        return self.size > 1

    def wanted_scale(self, lowering: "Lowering") -> AnyScale:
        """The scale of the sources: that before the bootstrap, after which it is that of arguments.

        Where real parts are taken first, it is half of that.
        """
        wanted = scale_before_bootstrap(lowering, parameters_of(lowering, self.label))
        return scale_quotient(wanted, 2) if self._share else wanted

    def _aligned(self, lowering: "Lowering", number: int, wanted: AnyScale) -> Register:
        """The ciphertexts of all sources, whose masks led to a scale that one division leads to this one."""
        drops = max(lowering.registers[source].drops for source in self.sources)
        registers = [self._at(lowering, source, drops) for source in self.sources]
        pending = scale_product(wanted, lowering.divisor(drops))
        weights = [None] * len(registers)
        register, _ = concatenated(lowering, number, (registers, weights), pending, self.label)
        return divided(lowering, number, register, wanted, self.label)

    def _at(self, lowering: "Lowering", source: int, drops: int) -> Register:
        """The register of a source at a level; from above it comes without what is pending on it."""
        register = lowering.registers[source]
        if register.drops < drops:
            register = lowering.registers[source] = lowering.reduce(source, register)
        return lowering.drop(register, drops)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero there."""
        return all(zero(source, None) for source in self.sources)
