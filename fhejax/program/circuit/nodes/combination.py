"""The sum of several values times plain numbers, entry by entry."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.program.circuit.intervals import ValueInterval, scaled_interval
from fhejax.program.circuit.lowering.policies import CanonicalScales
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import (
    TermWeights,
    aligned,
    at_one_level,
    normalised,
    term_constants,
)
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    largest_scale,
    scale_product,
    scale_quotient,
    value_of,
)
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import add_terms, scaled_terms
from fhejax.program.circuit.values import Values, room_above, rounded_weights

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

_PENDING = 1.5  # times as many bits as a level's scale has one that a division is pending on


@dataclasses.dataclass(frozen=True)
class CombinationStep(Step):
    """The sum of terms times integers.

    Constants: for each term its integers' residues [entry, limb].

    Attributes:
        weight_scales: of each term's integers.
    """

    operation: ClassVar[str] = "combine"
    elementwise: ClassVar[bool] = True
    weight_scales: tuple[AnyScale, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum at the common scale."""
        terms = scaled_terms(call.sources, call.leaves, self.components)
        data = add_terms(terms, call.sources[0].moduli)
        return call.sources[0].replace(data=data, scale=self.scale)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The products of every term with its integers."""
        return OperationCounts(products=len(self.sources) * self.size * self.components * place.limbs)


@dataclasses.dataclass(frozen=True, eq=False)
class Combine(SeveralSources):
    """The sum of weights_i * source_i, entry by entry; weights of None stand for 1."""

    sources: tuple[int, ...]
    weights: tuple[TermWeights, ...]
    size: int
    label: str

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The weights of all terms."""
        return self.weights

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sum of the terms' intervals."""
        terms = zip(self.sources, self.weights, strict=True)
        lows, highs = zip(*(scaled_interval(known[s], w) for s, w in terms), strict=True)
        return functools.reduce(np.add, lows), functools.reduce(np.add, highs)

    def evaluate(self, given: Evaluation) -> Values:
        """The sum, with weights as they are or rounded."""
        total = np.zeros(1)
        for term, (source, weights) in enumerate(zip(self.sources, self.weights, strict=True)):
            column = np.ones((self.size, 1)) if weights is None else weights[:, None]
            factor = given.factors[term] if given.factors else None
            total = total + given.values[source] * (rounded_weights(column, factor) if factor else column)
        return total

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each term: that of the sum times the term's weights."""
        for source, weights in zip(self.sources, self.weights, strict=True):
            yield source, adjoint if weights is None else adjoint * weights[:, None]

    def magnified(self, factors: tuple[float, ...], weight_bits: int) -> tuple[float, ...]:
        """What weights are divided by, over the power of two by which they are smaller than was planned."""
        pairs = zip(self.weights, factors, strict=True)
        return tuple(n if w is None else n / room_above(w, n) for w, n in pairs)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the sum at a scale that all terms can reach by integers."""
        largest = (1.0 if w is None else float(np.abs(w).max()) or 1.0 for w in self.weights)
        norms = lowering.given.get(number, tuple(largest))
        lowering.factors[number] = norms
        weights = [None if w is None else w / n for w, n in zip(self.weights, norms, strict=True)]
        registers = self._at_one_level(lowering, norms)
        virtual = normalised([r.scale for r in registers], norms)
        varying = [_varies(lowering, w) for w in weights]
        scale, factors = aligned(virtual, varying, lowering.settings.weight_bits)
        lowering.rounding[number] = tuple(value_of(f) / n for f, n in zip(factors, norms, strict=True))
        step = CombinationStep(
            tuple(r.step for r in registers),
            self.size,
            max(r.components for r in registers),
            -registers[0].drops,
            scale,
            tuple(factors),
            constants=term_constants(lowering, registers, weights, factors),
            node=number,
            label=self.label,
        )
        return lowering.emit(step)

    def _at_one_level(self, lowering: "Lowering", norms: Sequence[float]) -> list[Register]:
        """The registers of all terms at the lowest level among them.

        Under canonical scales those that come from above take their factors on the way.
        """
        if not isinstance(lowering.policy, CanonicalScales):
            return at_one_level(lowering, self.sources)
        found = [lowering.registers[source] for source in self.sources]
        drops = max(register.drops for register in found)
        virtual = [scale_quotient(r.scale, n) for r, n in zip(found, norms, strict=True) if r.drops == drops]
        own, target = lowering.policy.own_scale(drops), largest_scale(virtual)
        scales = [own if target.bits > _PENDING * own.bits else scale_product(target, n) for n in norms]
        pairs = zip(self.sources, scales, strict=True)
        return [lowering.brought(source, drops, scale) for source, scale in pairs]

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all terms are zero there."""
        return all(zero(source, None) for source in self.sources)


def _varies(lowering: "Lowering", weights: TermWeights) -> bool:
    """Whether weights are more than a common factor, which a scale absorbs."""
    if weights is None:
        return False
    return lowering.weights_may_change or bool((np.abs(weights) != 1.0).any())
