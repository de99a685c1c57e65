"""Results that replace arguments: at the scale and with the levels that arguments come with."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.ckks.bootstrapping import shared_count
from fhejax.ckks.parameters.deviations import rescale_deviation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scale_alignment import term_constants
from fhejax.program.circuit.lowering.scales import AnyScale, scale_product, scale_quotient, value_of
from fhejax.program.circuit.node import Adjoints, Evaluation, Node
from fhejax.program.circuit.nodes.bootstrap import BootstrapStep, ciphertexts_together
from fhejax.program.circuit.nodes.concatenation import ConcatenationStep
from fhejax.program.circuit.nodes.gather import GatherStep
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.rescale import RescaleStep
from fhejax.program.circuit.values import Values, rounded_weights, scattered, taken

if TYPE_CHECKING:
    from fhejax.ckks import BootstrappingParameters
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True, eq=False)
class CarriedTerm:
    """The entries of one node that are carried: weights * node[entries].

    Attributes:
        source: the node's number.
        entries: int64, one for each number; -1 stands for zero.
        weights: float64, likewise.
    """

    source: int
    entries: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class CarriedValues(Node):
    """The numbers of some arguments of the next call: terms one after the other, shifted, and bootstrapped.

    They are what an argument's ciphertexts hold: normalised, in its order, at its level and scale.

    Attributes:
        terms: what is carried.
        shift: added to all of them.
        low: the least number that the arguments' ranges allow, one for each.
        high: the largest one.
        shared: whether all samples share each number, so that many go in one bootstrap.
    """

    bootstraps: ClassVar[bool] = True

    terms: tuple[CarriedTerm, ...]
    shift: np.ndarray
    low: np.ndarray
    high: np.ndarray
    shared: bool
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The count of numbers."""
        return len(self.shift)

    @property
    def sources(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The nodes of the terms."""
        return tuple(term.source for term in self.terms)

    def reading(self, names: Mapping[int, int]) -> "CarriedValues":
        """The same node, whose terms read others."""
        terms = (dataclasses.replace(term, source=names[term.source]) for term in self.terms)
        return dataclasses.replace(self, terms=tuple(terms))

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The weights and the shift."""
        return *(term.weights for term in self.terms), self.shift

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The ranges of the arguments, in which whoever declared them says that values stay."""
        return self.low, self.high

    def evaluate(self, given: Evaluation) -> Values:
        """The numbers, with weights as they are or rounded."""
        parts = []
        for number, term in enumerate(self.terms):
            weights = term.weights
            if given.factors:
                weights = rounded_weights(weights, given.factors[number])
            parts.append(weights[:, None] * taken(given.values[term.source], term.entries))
        return np.concatenate(parts) + self.shift[:, None]

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each term's entries: that of its numbers times the weights."""
        start = 0
        for term in self.terms:
            rows = adjoint[start : start + len(term.entries)] * term.weights[:, None]
            yield term.source, scattered(rows, term.entries, len(values[term.source]))
            start += len(term.entries)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit products that lead to one scale exactly, a division, and a bootstrap to the arguments' level.

        A bootstrap multiplies scales by a number that is known. So the scale before it is chosen such that
        the one after it is that of arguments, s: with T = s * (scale it takes) / (scale it leaves), and
        integers nearest to weights * T * q / scale, which the division by q leads to T.

        Raises:
            TooLowError: where too few levels are left.
        """
        parameters = lowering.settings.bootstrapping
        if parameters is None:
            raise ValueError(
                f"{self.label} carries values to the next call, and the settings to lower it with have no "
                f"parameters of bootstrapping; pass Settings(..., bootstrapping=parameters)."
            )
        self._check_slots(parameters)
        argument_scale = lowering.scale(2.0**lowering.settings.input_bits)
        wanted, gain = self._scale_before(parameters, argument_scale)
        register = self._aligned(lowering, number, wanted)
        lowering.check_levels(self.label, register, parameters.levels_left)
        register = lowering.drop(register, parameters.levels_left)
        lowering.add_noise(number, lowering.settings.bootstrap_error * gain)
        fields = (register.step,), self.size, 2, 0, argument_scale
        step = BootstrapStep(*fields, shared=self.shared, node=number, label=self.label)
        return lowering.emit(step)

    def _check_slots(self, parameters: "BootstrappingParameters") -> None:
        """Refuse parameters of so few slots that numbers side by side would be lost."""
        together = shared_count(ciphertexts_together(self.size))
        if self.shared and together > 2 * parameters.slots:
            raise ValueError(
                f"{self.label} are bootstrapped {together} numbers at once, by parameters of "
                f"{parameters.slots} slots, and {together // 2} or more are needed; make them with that many."
            )

    def _scale_before(
        self, parameters: "BootstrappingParameters", argument_scale: AnyScale
    ) -> tuple[AnyScale, float]:
        """The scale before a bootstrap, and by how much numbers are smaller there than it takes."""
        scales = parameters.params.scales
        entry, exit_ = scales[parameters.input_level], scales[parameters.output_level]
        places = shared_count(ciphertexts_together(self.size)) if self.shared else 1
        wanted = scale_quotient(scale_quotient(scale_product(argument_scale, entry), exit_), places)
        return wanted, value_of(scale_quotient(entry, wanted))

    def _aligned(self, lowering: "Lowering", number: int, wanted: AnyScale) -> Register:
        """The numbers at a scale, one level below the lowest of the terms."""
        registers = [self._taken(lowering, term) for term in self.terms]
        drops = max(register.drops for register in registers)
        registers = [lowering.drop(register, drops) for register in registers]
        pending = scale_product(wanted, lowering.divisor(drops))
        factors = [scale_quotient(pending, register.scale) for register in registers]
        lowering.rounding[number] = tuple(map(value_of, factors))
        weights = [term.weights for term in self.terms]
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
        register = lowering.shift(register, self.shift if self.shift.any() else None, self.label)
        lowering.add_noise(number, rescale_deviation(lowering.settings.ring) / value_of(wanted))
        return lowering.emit(RescaleStep(*after(register, drops + 1, wanted), label=self.label))

    def _taken(self, lowering: "Lowering", term: CarriedTerm) -> Register:
        """The register of a term's entries, with two components and no more primes than it needs."""
        register = lowering.reduce(term.source, lowering.registers[term.source])
        if np.array_equal(term.entries, np.arange(register.size)):
            return register
        constants = lowering.constant(lambda: term.entries.astype(np.int32))
        fields = after(register, size=len(term.entries))
        return lowering.emit(GatherStep(*fields, constants=constants, label=self.label))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all terms are zero there, and nothing is added."""
        return not self.shift.any() and all(zero(term.source, None) for term in self.terms)
