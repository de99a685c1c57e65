"""Plain linear maps between values of several ciphertexts, of several values, added up."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.ckks.counts.linear_transform import linear_transforms
from fhejax.ckks.linear_transform import LinearTransform, apply_linear_transforms
from fhejax.ckks.parameters.deviations import ROUNDING_VARIANCE, rescale_deviation, slot_deviation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import at_one_level
from fhejax.program.circuit.lowering.scales import AnyScale, Real, exact_scale, value_of
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.in_slots.block_matrix import BlockMatrix, BlockSteps
from fhejax.program.circuit.nodes.in_slots.slot_transform import (
    ENCODING,
    fit_for_rotations,
    folded,
    transform_scales,
)
from fhejax.program.circuit.nodes.in_slots.window_vectors import window_vectors
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import Constants, StepCall
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

_OF_WINDOWS = 4  # constants of a map that is made of windows; another has one


@dataclasses.dataclass(frozen=True)
class BlockTransformStep(Step):
    """The sum of several registers' plain linear maps between their ciphertexts and those of the result.

    Constants: for each register its diagonals, float32 [diagonal, slot], or the four arrays that
    `window_vectors` makes them of; the bias's residues [ciphertext, limb, N], if any.

    Attributes:
        weight_scales: of each register's diagonals.
        blocks: of each register, for each pair of ciphertexts, of the result and of the register: their
            numbers, and (giant, baby) of each diagonal, modulo the slots, in order.
        folds: of each register, the rotations by which the products are added to themselves.
        periods: of each register's diagonals, after which they repeat themselves.
        windows: of each register, whether its diagonals are made of windows.
    """

    operation: ClassVar[str] = "block_transform"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    weight_scales: tuple[AnyScale, ...] = ()
    blocks: tuple[BlockSteps, ...] = ()
    folds: tuple[tuple[int, ...], ...] = ()
    periods: tuple[int, ...] = ()
    windows: tuple[bool, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum, register by register; a ciphertext that takes nothing of any is zero."""
        terms: list[list[Ciphertext]] = [[] for _ in range(self.size)]
        leaves = list(call.leaves)
        for number, source in enumerate(call.sources):
            count = _OF_WINDOWS if self.windows[number] else 1
            held, leaves = leaves[:count], leaves[count:]
            for place, product in self._products(number, source, held, call):
                terms[place].append(product)
        first = next(found[0] for found in terms if found)
        rows = [_total(found, first) for found in terms]
        result = first.replace(data=jnp.stack(rows), scale=exact_scale(self.scale))
        return add_plain(result, leaves[0]) if leaves else result

    def _products(
        self, number: int, source: Ciphertext, leaves: Constants, call: StepCall
    ) -> list[tuple[int, Ciphertext]]:
        """The ciphertexts of the result that take anything of a register, by number, and what they take."""
        scale, start = exact_scale(self.weight_scales[number]), 0
        found: dict[int, dict[int, LinearTransform]] = {}
        for result, place, steps in self.blocks[number]:
            if self.windows[number]:
                vectors = window_vectors(leaves, start, steps, result)
            else:
                vectors = leaves[0][start : start + len(steps)]
            start += len(steps)
            words = vectors[:, None, None, :]
            transform = LinearTransform(words, source.params, source.level, scale, steps)
            found.setdefault(result, {})[place] = transform
        places = sorted({place for row in found.values() for place in row})
        parts = [source.replace(data=source.data[place]) for place in places]
        rows = [[found[result].get(place) for place in places] for result in sorted(found)]
        products = apply_linear_transforms(call.evaluation, parts, rows, rescale=False)
        return [
            (result, folded(call.evaluation, product, self.folds[number]))
            for result, product in zip(sorted(found), products, strict=True)
        ]

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of the key switches, of encoding, and of the products."""
        degree, extended = settings.ring.degree, before + settings.special_limbs
        digits = settings.digit_count(before)
        hoisted = 2 * extended * degree * (digits * device.costs.multiplied + device.costs.moved)
        whole, kernels = key_switches(1, before, settings, device)
        total, launches = 0.0 * before, 0
        for blocks, folds, period in zip(self.blocks, self.folds, self.periods, strict=True):
            babies = len({(a, baby) for _, a, steps in blocks for _, baby in steps if baby})
            giants = len({(b, giant) for b, _, steps in blocks for giant, _ in steps if giant})
            giants += len(folds) * len({b for b, _, _ in blocks})
            sources, products = len({a for _, a, _ in blocks}), sum(len(steps) for _, _, steps in blocks)
            total = total + whole * (sources + giants) + hoisted * (babies + giants)
            total = total + extended * degree * 2 * device.costs.multiplied * products
            encoded = extended * degree * min(1.0, period / settings.ring.slots)
            total = total + encoded * ENCODING * device.costs.transform * products
            launches = launches + kernels * (sources + giants) + babies + 2 * giants
        return total, launches

    def switch_calls(self, together: int) -> int:
        """One for each rotation, and one for each sum of products, which are encoded there."""
        found = 0
        for blocks, folds in zip(self.blocks, self.folds, strict=True):
            babies = {(a, baby) for _, a, steps in blocks for _, baby in steps}
            giants = {(b, giant) for b, _, steps in blocks for giant, _ in steps}
            sums = {(b, a, giant) for b, a, steps in blocks for giant, _ in steps}
            found += len(babies) + len(giants) + len(sums) + len(folds) * len({b for b, _, _ in blocks})
        return found

    def counts(self, place: StepPlace) -> OperationCounts:
        """The maps by double hoisting, with the divisions of their results by P, and the folds."""
        at, found = place.switched, NOTHING
        for blocks, folds, period in zip(self.blocks, self.folds, self.periods, strict=True):
            found += linear_transforms(at, blocks, min(1.0, period / place.slots))
            results = len({result for result, _, _ in blocks})
            found += len(folds) * (results * rotation(at) + key_reads(at))
        return found

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances of all baby and giant steps, and of the folds."""
        steps = {step for blocks in self.blocks for _, _, found in blocks for step in found}
        found = {part for step in steps for part in step}
        return tuple(sorted((found | {fold for folds in self.folds for fold in folds}) - {0}))

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"{self.plaintext_products} diagonals"

    @property
    def plaintext_products(self) -> int:
        """The number of products with plaintexts."""
        return sum(len(steps) for blocks in self.blocks for _, _, steps in blocks)


def _total(terms: Sequence[Ciphertext], like: Ciphertext) -> jax.Array:
    """The residues of a sum of ciphertexts, zeros where there are none."""
    if not terms:
        return jnp.zeros_like(like.data)
    return terms[0].data if len(terms) == 1 else add_terms([t.data for t in terms], terms[0].moduli)


@dataclasses.dataclass(frozen=True, eq=False)
class BlockTransform(SeveralSources):
    """The sum of plain linear maps of the slots of several nodes, of any number of ciphertexts each.

    out[r] = sum over terms i of matrices[i][r, c] source_i[c] + bias[r], for all positions r.

    Attributes:
        matrices: of each source.
        bias: float64 [position], or None.
        period: of the result's ciphertexts.
        size: their number.
    """

    sources: tuple[int, ...]
    matrices: tuple[BlockMatrix, ...]
    bias: np.ndarray | None
    period: int
    size: int
    label: str

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The coefficients and the bias."""
        return (*(matrix.coefficients for matrix in self.matrices), self.bias)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sum of the maps' intervals."""
        bottom = top = np.zeros(self.size * self.period) if self.bias is None else self.bias
        for source, matrix in zip(self.sources, self.matrices, strict=True):
            low, high = matrix.interval(known[source])
            bottom, top = bottom + low, top + high
        return bottom, top

    def evaluate(self, given: Evaluation) -> Values:
        """The sums, with coefficients as they are, or by diagonals as they are encoded."""
        total = 0.0 if self.bias is None else self.bias[:, None]
        for term, (source, matrix) in enumerate(zip(self.sources, self.matrices, strict=True)):
            values = given.values[source]
            if given.factors:
                total = total + matrix.rounded_times(values, float(given.factors[term]))
            else:
                total = total + matrix.times(values)
        return np.asarray(total)

    def rounding_deviation(self, factors: Sequence[Real], values: Sequence[Values]) -> Real:
        """The deviation by that of a plaintext's slots, whose coefficients are rounded, empty slots too."""
        variance = 0.0
        for source, matrix, factor in zip(self.sources, self.matrices, factors, strict=True):
            deviation = slot_deviation(Ring(matrix.length, conjugate_invariant=True), ROUNDING_VARIANCE)
            squares = np.mean(values[source].reshape(matrix.counts[1], -1) ** 2, 1)
            products = sum(len(found) * squares[a] for (_, a), found in matrix.distances.items())
            products = products * (matrix.length // matrix.periods[0]) / self.size
            variance = variance + products * (deviation / factor) ** 2
        return np.sqrt(variance)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The transposed map of each source of the gradient."""
        for source, matrix in zip(self.sources, self.matrices, strict=True):
            yield source, matrix.transposed_times(adjoint)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the maps at one level and, by the scales of their diagonals, one scale; one step.

        Three components are relinearised before; what is left of scales is fit for rotations.
        """
        fit_for_rotations(lowering, self.sources)
        registers = at_one_level(lowering, self.sources)
        scale, factors = transform_scales(lowering, number, registers, self._bits_and_sizes())
        slots = lowering.settings.ring.slots
        constants: tuple[int, ...] = ()
        if lowering.exact:
            for matrix in self.matrices:
                for array in matrix.held_constants(slots):
                    constants += lowering.constant(lambda held=array: held)
        if (bias := self.bias) is not None:
            constants += lowering.encoded_slots(bias.reshape(self.size, -1), scale, registers[0].drops)
        step = BlockTransformStep(
            tuple(register.step for register in registers),
            self.size,
            2,
            -registers[0].drops,
            scale,
            tuple(factors),
            tuple(matrix.block_steps(slots) for matrix in self.matrices),
            tuple(matrix.folds for matrix in self.matrices),
            tuple(matrix.length for matrix in self.matrices),
            tuple(matrix.is_made_of_windows for matrix in self.matrices),
            constants=constants,
            node=number,
            label=self.label,
        )
        register = lowering.emit(step)
        self._add_noise(lowering, number, registers, register)
        lowering.need(number, register)
        return register

    def _bits_and_sizes(self) -> list[tuple[int, float]]:
        return [(matrix.length, matrix.largest) for matrix in self.matrices]

    def _add_noise(
        self, lowering: "Lowering", number: int, before: Sequence[Register], after: Register
    ) -> None:
        """The noise of hoisted rotations, of whole ones at the result's scale, and of divisions by P."""
        rounding = rescale_deviation(lowering.settings.ring) / value_of(after.scale)
        for matrix, register in zip(self.matrices, before, strict=True):
            hoisted, whole = matrix.deviations
            lowering.add_switch(number, register, hoisted)
            lowering.add_switch(number, after, whole)
            lowering.add_noise(number, math.sqrt(matrix.length // matrix.periods[0]) * rounding)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero, and no bias is added."""
        return self.bias is None and all(zero(source, None) for source in self.sources)
