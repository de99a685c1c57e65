"""Plain linear maps between planes, of several values, added up: convolutions of a channel a ciphertext."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts.linear_transform import rotated_combinations as counted_combinations
from fhejax.ckks.encoding.vector_encoding import encoded_residues, significand_and_exponent
from fhejax.ckks.linear_transform.rotated_combinations import (
    PlainTaps,
    held_bytes,
    rotated_combinations,
)
from fhejax.ckks.parameters.deviations import ROUNDING_VARIANCE, rescale_deviation, slot_deviation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import at_one_level
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Real,
    exact_scale,
    floor,
    largest_scale,
    maximum,
    scale_product,
    scale_quotient,
    value_of,
)
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.in_slots.plane_map import PlaneMap
from fhejax.program.circuit.nodes.in_slots.slot_transform import fit_for_rotations
from fhejax.program.circuit.nodes.linear import LinearStep
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.shift import add_plain
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import add_terms
from fhejax.program.circuit.values import Values
from fhejax.ring import Ring, Twiddles
from fhejax.ring.platform import Device
from fhejax.ring.wide import kernel, wide

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

# Bits of a mask's scale above those of weights and of its rounding: a mask's error is that of every weight.
_MASK_BITS = 1


@dataclasses.dataclass(frozen=True)
class PlaneTransformStep(Step):
    """The sum of several registers' plain linear maps between planes.

    Constants: for each register its weights, int32 [tap, result, source], and, if it is masked, its masks,
    float32 [tap, slot of one period]; the bias's numbers, if any, each the sum of two, float32 [2,
    ciphertext, slot of one period].

    Attributes:
        distances: of each register's taps, modulo the slots.
        weight_scales: of each register's weights.
        mask_scales: of each register's masks; 1 where there are none.
        bounds: of each register's weights.
        masked: of each register, whether it is.
        counts_read: the ciphertexts of each register.
        period: of the masks.
    """

    operation: ClassVar[str] = "plane_transform"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    compiled_bytes: ClassVar[int] = 100_000_000
    distances: tuple[tuple[int, ...], ...] = ()
    weight_scales: tuple[AnyScale, ...] = ()
    mask_scales: tuple[AnyScale, ...] = ()
    bounds: tuple[int, ...] = ()
    masked: tuple[bool, ...] = ()
    counts_read: tuple[int, ...] = ()
    period: int = 1

    def run(self, call: StepCall) -> Ciphertext:
        """The sum, register by register, and the bias, which is encoded as it is added."""
        leaves, total = list(call.leaves), None
        for number, source in enumerate(call.sources):
            weights = leaves.pop(0)
            masks = leaves.pop(0) if self.masked[number] else None
            scales = exact_scale(self.weight_scales[number]), exact_scale(self.mask_scales[number])
            bound = self.bounds[number]
            taps = PlainTaps(self.distances[number], weights, scales[0], bound, masks, scales[1])
            term = rotated_combinations(call.evaluation, source, taps)
            data = term.data if total is None else add_terms([total.data, term.data], term.moduli)
            total = term.replace(data=data, scale=exact_scale(self.scale))
        assert total is not None  # of at least one register
        return _with_bias(total, leaves[0]) if leaves else total

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of decompositions, rotations, masks, combinations and divisions."""
        degree, extended = settings.ring.degree, before + settings.special_limbs
        digits, costs = settings.digit_count(before), device.costs
        whole, kernels = key_switches(1, before, settings, device)
        moved = 2 * extended * degree * (digits * costs.multiplied + costs.moved)
        passes = 2 * extended * degree * costs.multiplied
        total, launches = 0.0 * before, 0
        for distances, masked, sources in zip(self.distances, self.masked, self.counts_read, strict=True):
            rotated = sum(distance != 0 for distance in distances)
            # Of a whole key switch a decomposition is nearly all but the division at the end of each result.
            total = total + whole * (sources * bool(rotated) + self.size * 0.5)
            total = total + sources * (rotated * moved + masked * len(distances) * passes)
            products = self.size * sources * len(distances)
            total = total + 2 * products * extended * degree * device.multiply_add()
            groups = -(-sources // device.blocks.switched)
            launches = launches + groups * (kernels + len(distances) * (1 + masked)) + kernels
        return total, launches

    def switch_calls(self, together: int) -> int:
        """One for each tap and as many ciphertexts as go together."""
        pairs = zip(self.distances, self.counts_read, strict=True)
        return sum(-(-sources // together) * len(distances) for distances, sources in pairs)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The combinations by one decomposition of each ciphertext and one division of each result."""
        at, found, share = place.switched, NOTHING, min(1.0, self.period / place.slots)
        for distances, masked, sources in zip(self.distances, self.masked, self.counts_read, strict=True):
            masks = len(distances) if masked else 0
            found += counted_combinations(at, sources, self.size, distances, masks, share)
        return found

    def working_bytes(self, limbs: int, special: int, degree: int) -> int:
        """The rotated ciphertexts that are held at once, and the sums in Q P."""
        taps = max(map(len, self.distances))
        return held_bytes(self.counts_read, self.size, taps, limbs + special, degree)

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances of all taps."""
        return tuple(sorted({d for distances in self.distances for d in distances} - {0}))

    @property
    def rotations_done(self) -> int:
        """One rotation for each tap at a distance, of each ciphertext that is read."""
        pairs = zip(self.distances, self.counts_read, strict=True)
        return sum(sources * sum(d != 0 for d in distances) for distances, sources in pairs)

    @property
    def plaintext_products(self) -> int:
        """One product with a mask for each tap of each ciphertext that is masked."""
        pairs = zip(self.distances, self.masked, self.counts_read, strict=True)
        return sum(len(distances) * masked * sources for distances, masked, sources in pairs)

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"{sum(map(len, self.distances))} taps of planes"


def _with_bias(x: Ciphertext, words: jax.Array) -> Ciphertext:
    """The ciphertexts plus numbers in their slots, float32 [2, ciphertext, slot of one period]."""
    scale, twiddles = significand_and_exponent(x.scale), twiddles_of(x.params)
    rows = (words[:, row] for row in range(len(x.data)))
    return add_plain(x, jnp.stack([_encoded_bias(row, *scale, twiddles, x.params, x.level) for row in rows]))


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _encoded_bias(
    words: jax.Array,
    significand: jax.Array,
    exponent: np.int32,
    twiddles: Twiddles,
    params: Parameters,
    level: int,
) -> jax.Array:
    """The residues uint32 [limb, N] of numbers that are sums of words, [2, slot of one period]."""
    values = jnp.tile(words.astype(jnp.float64).sum(0), params.slots // words.shape[1])
    return encoded_residues(values, significand, exponent, twiddles, params.ring, params.level_moduli(level))


@dataclasses.dataclass(frozen=True, eq=False)
class PlaneTransform(SeveralSources):
    """The sum of plain linear maps of the planes of several nodes.

    out[r] = sum over terms i of maps[i] of source_i + bias[r], for all positions r.

    Attributes:
        maps: of each source.
        bias: float64 [position], or None.
        period: of all ciphertexts.
        size: ciphertexts of the result.
    """

    sources: tuple[int, ...]
    maps: tuple[PlaneMap, ...]
    bias: np.ndarray | None
    period: int
    size: int
    label: str

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The weights and the bias."""
        return (*(one.weights for one in self.maps), self.bias)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sum of the maps' intervals."""
        bottom = top = np.zeros(self.size * self.period) if self.bias is None else self.bias
        for source, one in zip(self.sources, self.maps, strict=True):
            low, high = one.interval(known[source])
            bottom, top = bottom + low, top + high
        return bottom, top

    def evaluate(self, given: Evaluation) -> Values:
        """The sums, with weights as they are, or as integers and masks as they are encoded."""
        total = 0.0 if self.bias is None else self.bias[:, None]
        for term, (source, one) in enumerate(zip(self.sources, self.maps, strict=True)):
            values = given.values[source]
            if given.factors:
                scales = given.factors[2 * term : 2 * term + 2]
                total = total + one.rounded_times(values, *map(float, scales))
            else:
                total = total + one.times(values)
        return np.asarray(total)

    def rounding_deviation(self, factors: Sequence[Real], values: Sequence[Values]) -> Real | None:
        """The deviation by those of weights and of masks where many settings are looked at, else None.

        A weight's error is the same in all slots, so that sums over pixels see more of it.
        """
        if not isinstance(factors[0], np.ndarray) and not isinstance(factors[1], np.ndarray):
            return None
        deviation = slot_deviation(Ring(self.period, conjugate_invariant=True), ROUNDING_VARIANCE)
        variance = 0.0
        for term, (source, one) in enumerate(zip(self.sources, self.maps, strict=True)):
            of_weights, of_masks = one.rounding_variances(values[source])
            mask_scale, weight_scale = factors[2 * term : 2 * term + 2]
            variance = variance + of_weights * ROUNDING_VARIANCE / weight_scale**2
            if one.masks is not None:
                variance = variance + of_masks * (deviation / mask_scale) ** 2
        return np.sqrt(variance)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The transposed map of each source of the gradient."""
        for source, one in zip(self.sources, self.maps, strict=True):
            yield source, one.transposed_times(adjoint)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the maps at one level and, by the scales of their weights, one scale; one step.

        Where nothing is rotated or masked that is a matrix product, which takes no key. Else three components
        are relinearised before, and what is left of scales is fit for rotations.
        """
        if self._is_of_scalars:
            return self._lower_scalars(lowering, number)
        fit_for_rotations(lowering, self.sources)
        registers = at_one_level(lowering, self.sources)
        registers, mask_scales, weight_scales, scale = self._scales(lowering, registers)
        lowering.rounding[number] = tuple(
            value_of(one) for pair in zip(mask_scales, weight_scales, strict=True) for one in pair
        )
        lowering.factors[number] = lowering.rounding[number]
        drops = registers[0].drops
        slots = lowering.settings.ring.slots
        step = PlaneTransformStep(
            tuple(register.step for register in registers),
            self.size,
            2,
            -drops,
            scale,
            tuple(tuple(d % slots for d in one.distances) for one in self.maps),
            tuple(weight_scales),
            tuple(mask_scales),
            self._bounds(weight_scales) if lowering.exact else (0,) * len(self.maps),
            tuple(one.masks is not None for one in self.maps),
            tuple(one.counts[1] for one in self.maps),
            self.period,
            constants=self._constants(lowering, weight_scales),
            node=number,
            label=self.label,
        )
        register = lowering.emit(step)
        rounding = rescale_deviation(lowering.settings.ring) / value_of(scale)
        for one, before in zip(self.maps, registers, strict=True):
            lowering.add_switch(number, before, one.deviation)
            lowering.add_noise(number, rounding)
        lowering.need(number, register)
        return register

    @property
    def _is_of_scalars(self) -> bool:
        """Whether every result is a sum of ciphertexts of one value times numbers."""
        return len(self.maps) == 1 and self.maps[0].distances == (0,) and self.maps[0].masks is None

    def _lower_scalars(self, lowering: "Lowering", number: int) -> Register:
        """Emit a matrix product; three components are relinearised before where results are more."""
        (one,), (source,) = self.maps, self.sources
        register = lowering.registers[source]
        if self.size > register.size:
            lowering.registers[source] = register = lowering.reduce(source, register)
        weight_scale = lowering.scale(2.0**lowering.settings.weight_bits / (one.largest or 1.0))
        factor = value_of(weight_scale)
        lowering.rounding[number] = lowering.factors[number] = (1.0, factor)
        step = LinearStep(
            (register.step,),
            self.size,
            register.components,
            -register.drops,
            scale_product(register.scale, weight_scale),
            self._bounds([weight_scale])[0] if lowering.exact else 0,
            weight_scale,
            False,
            False,
            one.weights.size,
            constants=lowering.constant(lambda: np.rint(one.weights * factor).astype(np.int32)),
            node=-1 if self.bias is not None else number,
            label=self.label,
        )
        result = lowering.shift(lowering.emit(step), self.bias, self.label, number)
        lowering.need(number, result)
        return result

    def _scales(
        self, lowering: "Lowering", registers: Sequence[Register]
    ) -> tuple[list[Register], list[AnyScale], list[AnyScale], AnyScale]:
        """The registers, raised so that weights of about the planned bits reach one scale, and all scales."""
        bits, masks, own = lowering.settings.weight_bits, [], []
        for one in self.maps:
            spread = max(0, round(0.5 * math.log2(self.period / 12))) + _MASK_BITS
            masks.append(
                lowering.scale(2.0 ** (bits + spread) if one.masks is not None else 1.0 + 0.0 * bits)
            )
            own.append(lowering.scale(2.0**bits / (one.largest or 1.0)))
        pending = [scale_product(r.scale, mask) for r, mask in zip(registers, masks, strict=True)]
        scale = largest_scale([scale_product(p, w) for p, w in zip(pending, own, strict=True)])
        raised, weights = [], []
        for register, before, least in zip(registers, pending, own, strict=True):
            beyond = scale_quotient(scale_quotient(scale, before), least).bits
            power = maximum(0, floor(beyond))
            raised.append(lowering.multiply_scale(register, power))
            weights.append(scale_quotient(scale, scale_product(before, lowering.scale(2.0**power))))
        return raised, masks, weights, scale

    def _bounds(self, weight_scales: Sequence[AnyScale]) -> tuple[int, ...]:
        """The bounds of the integers that weights become, 2**b - 1 each."""
        pairs = zip(self.maps, weight_scales, strict=True)
        return tuple(2 ** round(one.largest * value_of(scale)).bit_length() - 1 for one, scale in pairs)

    def _constants(self, lowering: "Lowering", weight_scales: Sequence[AnyScale]) -> tuple[int, ...]:
        """The leaves, which are made once the primes are known."""
        constants: tuple[int, ...] = ()
        if not lowering.exact:
            return constants
        for one, scale in zip(self.maps, weight_scales, strict=True):
            factor, weights, masks = value_of(scale), one.weights, one.masks
            constants += lowering.constant(lambda w=weights, f=factor: np.rint(w * f).astype(np.int32))
            if masks is not None:
                constants += lowering.constant(lambda m=masks: m.astype(np.float32))
        if (bias := self.bias) is not None:
            constants += lowering.constant(lambda: _words(bias.reshape(self.size, -1)))
        return constants

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero, and no bias is added."""
        return self.bias is None and all(zero(source, None) for source in self.sources)


def _words(numbers: np.ndarray) -> np.ndarray:
    """The numbers as two of single precision each, float32 [2, ..]: their sum is right to 48 bits."""
    first = numbers.astype(np.float32)
    return np.stack([first, (numbers - first).astype(np.float32)])
