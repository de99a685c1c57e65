"""The terms of a sum over the batch, zero where there is no sample."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import plaintext_product
from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.intervals import ValueInterval, shifted_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import AnyScale, exact_scale, scale_product
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values, shifted

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

# A rotation's noise is up to 20 times that of a rescale; at 2**6 times the scale it does not matter.
_ROTATION_BITS = 6
# A mask is encoded with an error of 2**6 to 2**7 over its scale, which must stay below that of a rescale.
_MASK_BITS = 26


@dataclasses.dataclass(frozen=True)
class MaskStep(Step):
    """The source in slots with a sample, zero in the others.

    Attributes:
        weight_scale: of the ones and zeros.
    """

    operation: ClassVar[str] = "mask"
    masks: ClassVar[bool] = True
    weight_scale: AnyScale = Scale.of(1)

    def run(self, call: StepCall) -> Ciphertext:
        """The product with ones and zeros."""
        source = call.sources[0]
        if call.live is None:
            raise ValueError(
                "a step masks slots without a sample, and was not told which slots hold one; pass live."
            )
        plain = ckks.encode(source.params, call.live, level=self.level, scale=exact_scale(self.weight_scale))
        return ckks.multiply_plain(source, plain)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The products of all entries with one encoded mask."""
        products = self.size * self.components * place.limbs
        mask = plaintext_product(place.limbs)
        return dataclasses.replace(mask, plaintext_products=self.size, products=products)


@dataclasses.dataclass(frozen=True, eq=False)
class Summand(SingleSource):
    """The terms of a sum over the batch: source + shift in slots with a sample, zero in the others.

    Attributes:
        masked: the other slots are made zero by a product.
        whole: nothing is done about them, although they are not zero, so that every slot must hold a sample.
    """

    source: int
    shift: np.ndarray | None
    masked: bool
    whole: bool
    size: int
    label: str

    @property
    def needs_every_sample(self) -> bool:
        """Whether slots without a sample would be added up."""
        return self.whole

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The shift of the source."""
        return (self.shift,)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of the source, widened to hold zero."""
        low, high = shifted_interval(known[self.source], self.shift)
        return np.minimum(low, 0.0), np.maximum(high, 0.0)

    def evaluate(self, given: Evaluation) -> Values:
        """The terms; masked where columns are slots."""
        return self._masked(shifted(given.values[self.source], self.shift), given.slots)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient, masked as the terms are."""
        yield self.source, self._masked(adjoint, slots)

    def _masked(self, values: Values, slots: Slots | None) -> Values:
        return values * slots.live if self.masked and slots else values

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit two components, zero where no sample is, at a scale fit for rotations."""
        register = lowering.shift(lowering.registers[self.source], self.shift, self.label)
        if self.masked:
            mask = lowering.scale(2.0**_MASK_BITS)
            step = MaskStep(
                (register.step,),
                register.size,
                register.components,
                -register.drops,
                scale_product(register.scale, mask),
                mask,
                node=number,
                label=self.label,
            )
            register = lowering.emit(step)
            lowering.need(number, register)
        floor = lowering.settings.working_bits + _ROTATION_BITS
        return lowering.raise_scale(lowering.reduce(number, register, floor), floor)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the terms are zero there: never asked, since no sum of slots is summed again."""
        return False
