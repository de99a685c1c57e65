"""A bootstrap: the same values with their levels back."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.bootstrapping import (
    MOST_SHARED,
    BootstrappingKeys,
    bootstrap_pair,
    bootstrap_real,
    bootstrap_shared,
    shared_rotations,
    shared_switches,
)
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts import bootstrapping as counted
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.ckks.keys.manifest import Use
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scales import ceiling, floor, scale_product, scale_quotient, value_of
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.real_part import RealPartStep
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class BootstrapStep(Step):
    """The values of a register at the output level of bootstraps.

    Attributes:
        shared: whether each ciphertext holds one number in all slots, so that many go in one bootstrap.
    """

    operation: ClassVar[str] = "bootstrap"
    shared: bool = False

    def run(self, call: StepCall) -> Ciphertext:
        """The bootstrapped ciphertexts, two by two: real numbers leave room for others as imaginary parts."""
        source, keys = call.sources[0], call.keys
        if not isinstance(keys, BootstrappingKeys):
            raise TypeError(
                f"a step bootstraps, and the program was given {type(keys).__name__}; it needs the "
                f"BootstrappingKeys from its keygen()."
            )
        params = source.params
        level = keys.circuit.parameters.input_level
        entered = source.replace(scale=params.scales[level])
        parts = [entered.replace(data=entered.data[i]) for i in range(len(source.data))]
        if self.shared:
            count = ciphertexts_together(self.size)
            groups = [bootstrap_shared(keys, parts[i : i + count]) for i in range(0, len(parts), count)]
            data = jnp.stack([part.data for group in groups for part in group])
            return source.replace(data=data, level=self.level, scale=self.scale)
        found = [bootstrap_pair(keys, *parts[i : i + 2]) for i in range(0, len(parts) - 1, 2)]
        results = [part.data for pair in found for part in pair]
        if len(parts) % 2:
            results.append(bootstrap_real(keys, parts[-1]).data)
        return source.replace(data=jnp.stack(results), level=self.level, scale=self.scale)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The bootstraps, each with matrices and keys read anew; shared numbers come apart by rotations."""
        parameters = place.bootstrapping
        if parameters is None:
            return NOTHING
        if not self.shared:
            pairs, alone = divmod(self.size, 2)
            found = pairs * counted.bootstrap(parameters, place.table, results=2)
            return found + alone * counted.bootstrap(parameters, place.table)
        at, count = place.table.switched(int(self.level)), ciphertexts_together(self.size)
        groups = [min(count, self.size - start) for start in range(0, self.size, count)]
        apart = sum(map(shared_switches, groups)) * (rotation(at) + key_reads(at))
        return self.bootstraps * counted.bootstrap(parameters, place.table) + apart

    @property
    def bootstraps(self) -> int:
        """The number of bootstraps: one for every two ciphertexts, or for as many as go together."""
        return -(-self.size // (ciphertexts_together(self.size) if self.shared else 2))

    @property
    def own_keys(self) -> dict[Use, int]:
        """The rotations and the conjugation by which shared numbers come apart."""
        if not self.shared or self.size == 1:
            return {}
        distances = shared_rotations(ciphertexts_together(self.size))
        return dict.fromkeys((*distances, "conjugate"), self.level)


def ciphertexts_together(size: int) -> int:
    """The number of ciphertexts, each with one number in all slots, that go in one bootstrap."""
    return -(-size // -(-size // MOST_SHARED))


@dataclasses.dataclass(frozen=True, eq=False)
class Bootstrap(SingleSource):
    """The values of `source` with their levels back; the planner puts it in."""

    bootstraps: ClassVar[bool] = True

    source: int
    size: int
    label: str

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The source's interval."""
        return known[self.source]

    def evaluate(self, given: Evaluation) -> Values:
        """The source's values."""
        return given.values[self.source]

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient as it is, since the value is the source's."""
        yield self.source, adjoint

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit a bootstrap, whose numbers enter divided by a bound of theirs.

        Numbers v of magnitude below B > 1 go in as v / B' with B' up to 2 B: a matter of the scale alone.

        Two ciphertexts that go in one bootstrap are made real first, or the imaginary part of each one's
        noise would be in the other.

        A bootstrap takes scales of its input level alone, and a product with a power of two, which is exact
        and costs no level, brings any smaller scale within a factor of two of that; a larger one is divided
        first.

        Raises:
            TooLowError: where too few levels are left for that.
        """
        parameters = lowering.settings.bootstrapping
        if parameters is None:
            raise ValueError(
                f"{self.label} has a bootstrap, and the settings to lower it with have no parameters of "
                f"bootstrapping; pass Settings(..., bootstrapping=parameters)."
            )
        scales, lowest = parameters.params.scales, parameters.levels_left
        entry, exit_ = scales[parameters.input_level], scales[parameters.output_level]
        register, bound = lowering.registers[self.source], max(lowering.bounds[number], 1.0)
        wanted = (entry / bound).bits - self._share
        register = self._brought_to(lowering, number, register, wanted)
        lowering.check_levels(self.label, register, lowest)
        lowering.need(number, register)
        register = lowering.drop(register, lowest)
        if self._share:
            lowering.add_switch(number, register)
            doubled = after(register, scale=scale_product(register.scale, 2))
            register = lowering.emit(RealPartStep(*doubled, label=self.label))
            lowering.need(number, register)
        scale = scale_quotient(scale_product(register.scale, exit_), entry)
        gain = value_of(scale_quotient(entry, register.scale))
        lowering.add_noise(number, lowering.settings.bootstrap_error * gain)
        fields = (register.step,), self.size, 2, 0, scale
        return lowering.emit(BootstrapStep(*fields, node=number, label=self.label))

    @property
    def _share(self) -> bool:
        """Whether two ciphertexts go in one bootstrap, whose noise is made real first."""
        return self.size > 1

    def _brought_to(self, lowering: "Lowering", number: int, register: Register, wanted: float) -> Register:
        """The register with two components, at a scale within a factor of two below 2^wanted."""
        divisions = ceiling((register.scale.bits - wanted) / lowering.settings.prime_bits)
        if divisions > 0:
            above = wanted + divisions * lowering.settings.prime_bits
            register = lowering.multiply_scale(register, floor(above - register.scale.bits))
            register = lowering.reduce(number, register, wanted - 1)
        elif register.components == 3:
            register = lowering.reduce(number, register, register.scale.bits)
        return lowering.multiply_scale(register, floor(wanted - register.scale.bits))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero there."""
        return zero(self.source, None)
