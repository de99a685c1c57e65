"""Plain linear maps between slots, of several values, added up: convolutions, dense layers, repackings."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.ckks.counts.linear_transform import linear_transform
from fhejax.ckks.linear_transform import LinearTransform, apply_linear_transform
from fhejax.ckks.parameters.deviations import ROUNDING_VARIANCE, rescale_deviation, slot_deviation
from fhejax.program.circuit.constants import RawDiagonals, are_streamed
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import at_one_level
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Real,
    exact_scale,
    largest_scale,
    scale_product,
    scale_quotient,
    value_of,
)
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.in_slots.slot_matrix import Diagonals, SlotMatrix
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.shift import add_plain
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import add_terms
from fhejax.program.circuit.values import Values
from fhejax.ring import Ring
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

# A rotation's noise is up to 20 times that of a rescale; at 2**6 times the scale it does not matter.
_ROTATION_BITS = 6
ENCODING = 2.0  # times what a transform takes


@dataclasses.dataclass(frozen=True)
class SlotTransformStep(Step):
    """The sum of several registers' plain linear maps.

    Constants: for each register its diagonals, as `ckks.LinearTransform` holds them; the bias's residues
    [1, limb, N], if any.

    Attributes:
        weight_scales: of each register's diagonals.
        transforms: of each register, (giant, baby) of each diagonal, modulo the slots, in order.
        folds: of each register, the rotations by which the products are added to themselves.
        periods: of each register's diagonals, after which they repeat themselves.
    """

    operation: ClassVar[str] = "slot_transform"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    weight_scales: tuple[AnyScale, ...] = ()
    transforms: tuple[tuple[tuple[int, int], ...], ...] = ()
    folds: tuple[tuple[int, ...], ...] = ()
    periods: tuple[int, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum, term by term."""
        terms = [
            folded(call.evaluation, self._product(number, source, call), self.folds[number])
            for number, source in enumerate(call.sources)
        ]
        total = terms[0].data if len(terms) == 1 else add_terms([t.data for t in terms], terms[0].moduli)
        result = terms[0].replace(data=total, scale=exact_scale(self.scale))
        return add_plain(result, call.leaves[-1]) if len(call.leaves) > len(terms) else result

    def _product(self, number: int, source: Ciphertext, call: StepCall) -> Ciphertext:
        """The products of one register with its diagonals, added up."""
        steps, scale = self.transforms[number], exact_scale(self.weight_scales[number])
        diagonals = call.leaves[number]
        transform = LinearTransform(diagonals, source.params, source.level, scale, steps)
        return apply_linear_transform(call.evaluation, source, transform, rescale=False)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of the key switches, and of the products."""
        degree, special = settings.ring.degree, settings.special_limbs
        total, launches = 0.0 * before, 0
        digits, extended = settings.digit_count(before), before + special
        hoisted = 2 * extended * degree * (digits * device.costs.multiplied + device.costs.moved)
        whole, kernels = key_switches(1, before, settings, device)
        for steps, folds, period in zip(self.transforms, self.folds, self.periods, strict=True):
            giants, babies = ({step[part] for step in steps} - {0} for part in (0, 1))
            total = total + whole * (1 + len(giants) + len(folds))
            total = total + hoisted * (len(babies) + len(giants) + len(folds))
            total = total + extended * degree * 2 * device.costs.multiplied * len(steps)
            is_streamed = are_streamed(len(steps), extended, degree)
            encoded = extended * degree * min(1.0, period / settings.ring.slots)
            total = total + is_streamed * encoded * ENCODING * device.costs.transform * len(steps)
            launches += kernels * (1 + len(babies) + len(giants) + len(folds)) + len(giants) + 1
        return total, launches

    def switch_calls(self, together: int) -> int:
        """One for each rotation, and one for the sum of each giant step, which may encode what it adds up."""
        found = sum(map(len, self.folds))
        for steps in self.transforms:
            babies, giants = ({step[part] for step in steps} for part in (1, 0))
            found += len(babies) + 2 * len(giants)
        return found

    def counts(self, place: StepPlace) -> OperationCounts:
        """The maps by double hoisting, each with its division by P, and the folds."""
        at, counted = place.switched, NOTHING
        for steps, folds, period in zip(self.transforms, self.folds, self.periods, strict=True):
            counted += linear_transform(at, steps, min(1.0, period / place.slots))
            counted += len(folds) * (rotation(at) + key_reads(at))
        return counted

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances of babies, giants and folds, modulo the slots."""
        found = {part for steps in self.transforms for step in steps for part in step}
        return tuple(sorted((found | {fold for folds in self.folds for fold in folds}) - {0}))

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"{sum(map(len, self.transforms))} diagonals"

    @property
    def plaintext_products(self) -> int:
        """The number of products with plaintexts."""
        return sum(map(len, self.transforms))


def folded(keys: EvaluationKeys, ciphertext: Ciphertext, folds: tuple[int, ...]) -> Ciphertext:
    """The ciphertext added to itself, rotated by each distance in turn."""
    for distance in folds:
        ciphertext = ckks.add(ciphertext, ckks.rotate(keys, ciphertext, distance))
    return ciphertext


@dataclasses.dataclass(frozen=True, eq=False)
class SlotTransform(SeveralSources):
    """The sum of plain linear maps of the slots of several nodes.

    out[r] = sum over terms i of matrices[i][r, c] source_i[c] + bias[r], for all slots r of one period.

    Attributes:
        matrices: of each source.
        bias: float64 [slot], or None.
    """

    sources: tuple[int, ...]
    matrices: tuple[SlotMatrix, ...]
    bias: np.ndarray | None
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext."""
        return 1

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The coefficients and the bias."""
        return (*(matrix.matrix.data for matrix in self.matrices), self.bias)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval: positive coefficients take the same ends of the source's, negative the opposite."""
        bias = 0.0 if self.bias is None else self.bias
        bottom, top = bias, bias
        for source, matrix in zip(self.sources, self.matrices, strict=True):
            (low, high), (positive, negative) = known[source], matrix.signs
            bottom = bottom + positive @ low + negative @ high
            top = top + positive @ high + negative @ low
        return np.asarray(bottom), np.asarray(top)

    def evaluate(self, given: Evaluation) -> Values:
        """The sums, with coefficients as they are, or by diagonals as they are encoded."""
        total = 0.0 if self.bias is None else self.bias[:, None]
        for term, (source, matrix) in enumerate(zip(self.sources, self.matrices, strict=True)):
            values = given.values[source]
            held = matrix.rounded(float(given.factors[term])) if given.factors else matrix.matrix
            total = total + held @ values
        return np.asarray(total)

    def rounding_deviation(self, factors: Sequence[Real], values: Sequence[Values]) -> Real:
        """The deviation by that of a plaintext's slots, whose coefficients are rounded, empty slots too."""
        variance = 0.0
        for source, matrix, factor in zip(self.sources, self.matrices, factors, strict=True):
            period, of_source = matrix.periods
            length = max(period, of_source)
            deviation = slot_deviation(Ring(length, conjugate_invariant=True), ROUNDING_VARIANCE)
            products = len(matrix.distances) * (length // period) * float(np.mean(values[source] ** 2))
            variance = variance + products * (deviation / factor) ** 2
        return np.sqrt(variance)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The transposed matrix of each source times the gradient."""
        for source, matrix in zip(self.sources, self.matrices, strict=True):
            yield source, matrix.matrix.T @ adjoint

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the maps at one level and, by the scales of their diagonals, one scale; one step.

        Three components are relinearised before; what is left of scales is fit for rotations.
        """
        fit_for_rotations(lowering, self.sources)
        registers = at_one_level(lowering, self.sources)
        sizes = [(max(matrix.periods), matrix.largest) for matrix in self.matrices]
        scale, factors = transform_scales(lowering, number, registers, sizes)
        found = [matrix.diagonals for matrix in self.matrices]
        slots = lowering.settings.ring.slots
        transforms = tuple(_modulo(diagonals, slots) for diagonals in found)
        constants: tuple[int, ...] = ()
        for diagonals, factor, register in zip(found, factors, registers, strict=True):
            raw = functools.partial(_raw, diagonals, slots, factor, register.drops)
            constants += lowering.constant(raw)
        if (bias := self.bias) is not None:
            constants += lowering.encoded_slots(bias, scale, registers[0].drops)
        step = SlotTransformStep(
            tuple(register.step for register in registers),
            1,
            2,
            -registers[0].drops,
            scale,
            tuple(factors),
            transforms,
            tuple(diagonals.folds for diagonals in found),
            tuple(diagonals.vectors.shape[1] for diagonals in found),
            constants=constants,
            node=number,
            label=self.label,
        )
        register = lowering.emit(step)
        self._add_noise(lowering, number, registers, register)
        lowering.need(number, register)
        return register

    def _add_noise(
        self, lowering: "Lowering", number: int, before: Sequence[Register], after: Register
    ) -> None:
        """The noise of hoisted rotations, of whole ones at the result's scale, and of divisions by P."""
        rounding = rescale_deviation(lowering.settings.ring) / value_of(after.scale)
        for matrix, register in zip(self.matrices, before, strict=True):
            hoisted, whole = matrix.diagonals.deviations
            lowering.add_switch(number, register, hoisted)
            lowering.add_switch(number, after, whole)
            times = matrix.diagonals.vectors.shape[1] // matrix.diagonals.period
            lowering.add_noise(number, math.sqrt(times) * rounding)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero, and no bias is added."""
        return self.bias is None and all(zero(source, None) for source in self.sources)


def fit_for_rotations(lowering: "Lowering", sources: Sequence[int]) -> None:
    """Relinearise and divide sources, whose scales are left well above the noise of rotations."""
    for source in sources:
        floor = lowering.settings.working_bits + _ROTATION_BITS
        lowering.registers[source] = lowering.reduce(source, lowering.registers[source], floor)


def transform_scales(
    lowering: "Lowering", number: int, registers: Sequence[Register], maps: Sequence[tuple[int, float]]
) -> tuple[AnyScale, list[AnyScale]]:
    """The scale of a sum of maps, and that of the diagonals of each.

    The largest coefficient has the planned bits, and those that the rounding of a whole polynomial takes
    in a slot.

    Args:
        lowering: which is told what coefficients are multiplied by.
        number: of the node.
        registers: of the sources, at one level.
        maps: the length of each map's diagonals, and its largest coefficient.
    """
    own = []
    for length, largest in maps:
        spread = max(0, round(0.5 * math.log2(length / 12)))
        own.append(2.0 ** (lowering.settings.weight_bits + spread) / (largest or 1.0))
    given = lowering.given.get(number, tuple(own))
    pairs = zip(registers, given, strict=True)
    scale = largest_scale([scale_product(r.scale, lowering.scale(factor)) for r, factor in pairs])
    factors = [scale_quotient(scale, register.scale) for register in registers]
    lowering.factors[number] = given
    lowering.rounding[number] = tuple(map(value_of, factors))
    return scale, factors


def _modulo(diagonals: Diagonals, slots: int) -> tuple[tuple[int, int], ...]:
    """The steps modulo the slots, in the order in which they are held."""
    return tuple(sorted((giant % slots, baby % slots) for giant, baby in diagonals.steps))


def _raw(diagonals: Diagonals, slots: int, factor: AnyScale, drops: int) -> RawDiagonals:
    """The diagonals to be encoded, each rotated back by its giant step, in the order of `_modulo`."""
    return RawDiagonals(diagonals.moved(slots), exact_scale(factor), drops)
