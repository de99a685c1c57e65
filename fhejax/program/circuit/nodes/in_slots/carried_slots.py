"""Results that replace arguments where a row is a slot: at the arguments' scale, with their levels back."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.ckks.parameters.deviations import rescale_deviation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scale_alignment import term_constants
from fhejax.program.circuit.lowering.scales import AnyScale, scale_product, scale_quotient, value_of
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.bootstrap import BootstrapStep
from fhejax.program.circuit.nodes.concatenation import ConcatenationStep
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.real_part import RealPartStep
from fhejax.program.circuit.steps.rescale import RescaleStep
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
        parameters = lowering.settings.bootstrapping
        if parameters is None:
            raise ValueError(
                f"{self.label} carries values to the next call, and the settings to lower it with have no "
                f"parameters of bootstrapping; pass Settings(..., bootstrapping=parameters)."
            )
        wanted = self.wanted_scale(lowering)
        register = self._aligned(lowering, number, wanted)
        lowering.check_levels(self.label, register, parameters.levels_left)
        register = lowering.drop(register, parameters.levels_left)
        if self._share:
            wanted = scale_product(wanted, 2)
            lowering.add_switch(number, register)
            register = lowering.emit(RealPartStep(*after(register, scale=wanted), label=self.label))
        gain = value_of(scale_quotient(parameters.params.scales[parameters.input_level], wanted))
        lowering.add_noise(number, lowering.settings.bootstrap_error * gain)
        fields = (register.step,), self.size, 2, 0, lowering.scale(2.0**lowering.settings.input_bits)
        return lowering.emit(BootstrapStep(*fields, node=number, label=self.label))

    @property
    def _share(self) -> bool:
        """Whether two ciphertexts go in one bootstrap."""
        return self.size > 1

    def wanted_scale(self, lowering: "Lowering") -> AnyScale:
        """The scale of the sources: that before the bootstrap, after which it is that of arguments.

        Where real parts are taken first, it is half of that.
        """
        parameters = lowering.settings.bootstrapping
        assert parameters is not None
        scales = parameters.params.scales
        entry, exit_ = scales[parameters.input_level], scales[parameters.output_level]
        argument = lowering.scale(2.0**lowering.settings.input_bits)
        wanted = scale_quotient(scale_product(argument, entry), exit_)
        return scale_quotient(wanted, 2) if self._share else wanted

    def _aligned(self, lowering: "Lowering", number: int, wanted: AnyScale) -> Register:
        """The ciphertexts of all sources, whose masks led to a scale that one division leads to this one."""
        drops = max(lowering.registers[source].drops for source in self.sources)
        registers = [self._at(lowering, source, drops) for source in self.sources]
        pending = scale_product(wanted, lowering.divisor(drops))
        factors = [scale_quotient(pending, register.scale) for register in registers]
        weights = [None] * len(registers)
        step = ConcatenationStep(
            tuple(register.step for register in registers),
            self.size,
            2,
            -drops,
            pending,
            tuple(factors),
            constants=term_constants(lowering, registers, weights, factors),
            label=self.label,
        )
        register = lowering.emit(step)
        lowering.need(number, register)
        lowering.add_noise(number, rescale_deviation(lowering.settings.ring) / value_of(wanted))
        return lowering.emit(RescaleStep(*after(register, drops + 1, wanted), label=self.label))

    def _at(self, lowering: "Lowering", source: int, drops: int) -> Register:
        """The register of a source at a level; from above it comes without what is pending on it."""
        register = lowering.registers[source]
        if register.drops < drops:
            register = lowering.registers[source] = lowering.reduce(source, register)
        return lowering.drop(register, drops)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero there."""
        return all(zero(source, None) for source in self.sources)
