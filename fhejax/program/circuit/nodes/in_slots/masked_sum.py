"""The sum of several values, each times plain numbers in its slots: masks, rates, and what they select.

Plain numbers may be added to the sum as well.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, Plaintext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import plaintext_product
from fhejax.ckks.encoding.canonical_embedding import coefficients_to_slots, slots_to_coefficients
from fhejax.ckks.parameters.deviations import ROUNDING_VARIANCE, slot_deviation
from fhejax.program.circuit.intervals import ValueInterval, scaled_interval, shifted_interval
from fhejax.program.circuit.lowering.policies import CanonicalScales
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Real,
    Whole,
    exact_scale,
    largest_scale,
    maximum,
    scale_product,
    scale_quotient,
    value_of,
)
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import add_terms
from fhejax.program.circuit.values import Values, shifted
from fhejax.ring import Ring
from fhejax.ring.platform import Device
from fhejax.ring.wide import kernel, wide

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class MaskedSumStep(Step):
    """The sum of registers, each times a plaintext.

    Constants: for each register the residues [1, limb, N] of its numbers.

    Attributes:
        weight_scales: of each register's numbers.
    """

    operation: ClassVar[str] = "masked_sum"
    weight_scales: tuple[AnyScale, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum of products with plaintexts."""
        terms = []
        for source, leaf, scale in zip(call.sources, call.leaves, self.weight_scales, strict=True):
            plaintext = Plaintext(leaf, source.params, source.level, exact_scale(scale), "evaluation")
            terms.append(ckks.evaluation.multiply_plain(source, plaintext).data)
        data = terms[0] if len(terms) == 1 else add_terms(terms, call.sources[0].moduli)
        return call.sources[0].replace(data=data, scale=self.scale)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of the products."""
        count = len(self.sources)
        return limbs * settings.ring.degree * 2 * count * device.costs.multiplied, count + 1

    def counts(self, place: StepPlace) -> OperationCounts:
        """One product with an encoded vector for each register."""
        return self.size * plaintext_product(place.limbs, count=len(self.sources))

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"{len(self.sources)} masks"

    @property
    def plaintext_products(self) -> int:
        """One product with a plaintext for each register."""
        return len(self.sources)


@dataclasses.dataclass(frozen=True, eq=False)
class MaskedSum(SeveralSources):
    """The sum of vectors_i * source_i, slot by slot, for nodes of one ciphertext each.

    Attributes:
        vectors: of each source, float64 [slot] of one period.
        added: plain numbers that are added to the sum, float64 [slot], or None.
    """

    sources: tuple[int, ...]
    vectors: tuple[np.ndarray, ...]
    label: str
    added: np.ndarray | None = None

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext."""
        return 1

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The vectors, and what is added."""
        return (*self.vectors, self.added)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sum of the terms' intervals."""
        parts = [scaled_interval(known[s], v) for s, v in zip(self.sources, self.vectors, strict=True)]
        lows, highs = zip(*parts, strict=True)
        return shifted_interval((functools.reduce(np.add, lows), functools.reduce(np.add, highs)), self.added)

    def evaluate(self, given: Evaluation) -> Values:
        """The sum, with vectors as they are or as they are encoded."""
        total = 0.0
        for term, (source, vector) in enumerate(zip(self.sources, self.vectors, strict=True)):
            held = rounded_vector(vector, float(given.factors[term])) if given.factors else vector
            total = total + given.values[source] * held[:, None]
        return shifted(np.asarray(total), self.added)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each source: its vector times that of the sum."""
        for source, vector in zip(self.sources, self.vectors, strict=True):
            yield source, adjoint * vector[:, None]

    def rounding_deviation(self, factors: Sequence[Real], values: Sequence[Values]) -> Real:
        """The deviation that rounded coefficients of the plaintexts leave in a slot."""
        variance = 0.0
        for source, vector, factor in zip(self.sources, self.vectors, factors, strict=True):
            deviation = slot_deviation(Ring(len(vector), conjugate_invariant=True), ROUNDING_VARIANCE)
            variance = variance + float(np.mean(values[source] ** 2)) * (deviation / factor) ** 2
        return np.sqrt(variance)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the products at one level and, by the scales of their vectors, one scale; one step."""
        registers = reduced_to_one_level(lowering, self.sources)
        scale = self._wanted_scale(lowering, number, registers[0].drops)
        if scale is None:
            given = lowering.given.get(number, tuple(self._own_factors(lowering.settings)))
            pairs = zip(registers, given, strict=True)
            scale = largest_scale([scale_product(r.scale, lowering.scale(factor)) for r, factor in pairs])
            lowering.factors[number] = given
        register = self._products(lowering, number, registers, scale)
        lowering.need(number, register)
        return lowering.shift(register, self.added, self.label, number)

    def _products(
        self, lowering: "Lowering", number: int, registers: Sequence[Register], scale: AnyScale
    ) -> Register:
        """Emit the step that adds up registers, at one level, times the vectors, at a scale."""
        factors = tuple(scale_quotient(scale, register.scale) for register in registers)
        lowering.rounding[number] = tuple(map(value_of, factors))
        constants: tuple[int, ...] = ()
        for vector, factor, register in zip(self.vectors, factors, registers, strict=True):
            constants += lowering.encoded_slots(vector, factor, register.drops)
        fields = tuple(r.step for r in registers), 1, 2, -registers[0].drops, scale
        node = number if self.added is None else -1
        step = MaskedSumStep(*fields, factors, constants=constants, node=node, label=self.label)
        return lowering.emit(step)

    def _wanted_scale(self, lowering: "Lowering", number: int, drops: Whole) -> AnyScale | None:
        """The scale that a division leads to the next level's own, or to what a node after asks for."""
        if not isinstance(lowering.policy, CanonicalScales):
            return None
        after = lowering.nodes_after(number)
        scale = after[0].wanted_scale(lowering) if len(after) == 1 else None
        return scale_product(scale or lowering.policy.own_scale(drops + 1), lowering.divisor(drops))

    def _own_factors(self, settings: Settings) -> list[Real]:
        """What each vector is multiplied by: the planned bits, and those that rounding takes."""
        found = []
        for vector in self.vectors:
            spread = max(0, round(0.5 * math.log2(len(vector) / 12)))
            largest = float(np.abs(vector).max()) or 1.0
            found.append(2.0 ** (settings.weight_bits + spread) / largest)
        return found

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero there, and nothing is added."""
        return self.added is None and all(zero(source, None) for source in self.sources)


def reduced_to_one_level(lowering: "Lowering", sources: Sequence[int]) -> list[Register]:
    """The registers of several nodes with two components, no more primes than they need, at one level."""
    for source in sources:
        lowering.registers[source] = lowering.reduce(source, lowering.registers[source])
    registers = [lowering.registers[source] for source in sources]
    drops = maximum(*(register.drops for register in registers))
    return [lowering.drop(register, drops) for register in registers]


def rounded_vector(vector: np.ndarray, factor: float) -> np.ndarray:
    """The numbers that a vector stands for as a plaintext, whose coefficients are integers over a factor."""
    with jax.enable_x64(True):
        return np.asarray(_rounded(jnp.asarray(vector, jnp.float64), jnp.asarray(factor, jnp.float64)))


@kernel
@wide
def _rounded(vector: jax.Array, factor: jax.Array) -> jax.Array:
    ring = Ring(vector.shape[-1], conjugate_invariant=True)
    coefficients = jnp.round(slots_to_coefficients(vector, ring) * factor)
    return coefficients_to_slots(coefficients / factor, ring)
