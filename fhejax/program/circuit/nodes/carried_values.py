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
        parameters = parameters_of(lowering, self.label)
        self._check_slots(parameters)
        places = shared_count(ciphertexts_together(self.size)) if self.shared else 1
        wanted = scale_quotient(scale_before_bootstrap(lowering, parameters), places)
        register = lowered_to_entry(lowering, self._aligned(lowering, number, wanted), self.label)
        return bootstrapped(lowering, number, register, self.label, shared=self.shared)

    def _check_slots(self, parameters: "BootstrappingParameters") -> None:
        """Refuse parameters of so few slots that numbers side by side would be lost."""
        together = shared_count(ciphertexts_together(self.size))
        if self.shared and together > 2 * parameters.slots:
            raise ValueError(
                f"{self.label} are bootstrapped {together} numbers at once, by parameters of "
                f"{parameters.slots} slots, and {together // 2} or more are needed; make them with that many."
            )

    def _aligned(self, lowering: "Lowering", number: int, wanted: AnyScale) -> Register:
        """The numbers at a scale, one level below the lowest of the terms."""
        registers = [self._taken(lowering, term) for term in self.terms]
        drops = max(register.drops for register in registers)
        registers = [lowering.drop(register, drops) for register in registers]
        pending = scale_product(wanted, lowering.divisor(drops))
        weights = [term.weights for term in self.terms]
        register, factors = concatenated(lowering, number, (registers, weights), pending, self.label)
        lowering.rounding[number] = tuple(map(value_of, factors))
        register = lowering.shift(register, self.shift if self.shift.any() else None, self.label)
        return divided(lowering, number, register, wanted, self.label)

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


def parameters_of(lowering: "Lowering", label: str) -> "BootstrappingParameters":
    """The parameters by which values are carried.

    Raises:
        ValueError: settings without any.
    """
    parameters = lowering.settings.bootstrapping
    if parameters is None:
        raise ValueError(
            f"{label} carries values to the next call, and the settings to lower it with have no "
            f"parameters of bootstrapping; pass Settings(..., bootstrapping=parameters)."
        )
    return parameters


def argument_scale(lowering: "Lowering") -> AnyScale:
    """The scale that arguments are encrypted at."""
    return lowering.scale(2.0**lowering.settings.input_bits)


def scale_before_bootstrap(lowering: "Lowering", parameters: "BootstrappingParameters") -> AnyScale:
    """The scale before a bootstrap, after which it is that of arguments."""
    scales = parameters.params.scales
    entry, exit_ = scales[parameters.input_level], scales[parameters.output_level]
    return scale_quotient(scale_product(argument_scale(lowering), entry), exit_)


def concatenated(
    lowering: "Lowering",
    number: int,
    terms: tuple[Sequence[Register], Sequence[np.ndarray | None]],
    scale: AnyScale,
    label: str,
) -> tuple[Register, list[AnyScale]]:
    """Emit registers times weights, one after the other at a scale; also the factors that lead there.

    Args:
        lowering: the circuit's.
        number: of the node that is carried.
        terms: registers at one level, and the weights of each.
        scale: of the result.
        label: of the node.
    """
    registers, weights = terms
    factors = [scale_quotient(scale, register.scale) for register in registers]
    fields = (
        tuple(register.step for register in registers),
        sum(register.size for register in registers),
        2,
        -registers[0].drops,
        scale,
        tuple(factors),
    )
    constants = term_constants(lowering, registers, weights, factors)
    register = lowering.emit(ConcatenationStep(*fields, constants=constants, label=label))
    lowering.need(number, register)
    return register, factors


def divided(lowering: "Lowering", number: int, register: Register, scale: AnyScale, label: str) -> Register:
    """Emit the division that leads a register to a scale, one level below."""
    lowering.add_noise(number, rescale_deviation(lowering.settings.ring) / value_of(scale))
    return lowering.emit(RescaleStep(*after(register, register.drops + 1, scale), label=label))


def lowered_to_entry(lowering: "Lowering", register: Register, label: str) -> Register:
    """The register at the level that bootstraps take.

    Raises:
        TooLowError: where it has spent more levels than there are.
    """
    levels = parameters_of(lowering, label).levels_left
    lowering.check_levels(label, register, levels)
    return lowering.drop(register, levels)


def bootstrapped(
    lowering: "Lowering", number: int, register: Register, label: str, *, shared: bool = False
) -> Register:
    """Emit the bootstrap of a register whose scale leads to that of arguments, and add its error."""
    parameters = parameters_of(lowering, label)
    gain = value_of(scale_quotient(parameters.params.scales[parameters.input_level], register.scale))
    lowering.add_noise(number, lowering.settings.bootstrap_error * gain)
    fields = (register.step,), register.size, 2, 0, argument_scale(lowering)
    return lowering.emit(BootstrapStep(*fields, shared=shared, node=number, label=label))
