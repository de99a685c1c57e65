"""A linear layer with plain weights: matrix products, convolutions, sums and average pooling."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.combinations import combinations_of_tiles
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts.key_switching import tensor
from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.intervals import ValueInterval, taken_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import AnyScale, Real, exact_scale, scale_product
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step, equal_runs
from fhejax.program.circuit.values import (
    Values,
    named_entries,
    renamed_entries,
    room_above,
    rounded_weights,
    scattered,
    taken,
    weight_factor,
)
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class LinearStep(Step):
    """The integer combinations of ciphertexts, tile by tile, without a key.

    Constants: weights int32 [g, o, k]; entries int32 [g, k, p] where gathered; the bias's residues, if any.

    Attributes:
        bound: largest |weight|.
        weight_scale: of the weights.
        squared: the source is squared first.
        gathered: entries are named by a constant, instead of all in order.
        products: multiply-adds for each residue of all results.
    """

    operation: ClassVar[str] = "linear"
    bound: int = 0
    weight_scale: AnyScale = Scale.of(1)
    squared: bool = False
    gathered: bool = False
    products: int = 0

    def run(self, call: StepCall) -> Ciphertext:
        """The combinations by one modular matrix product; the source may lie in several tiles."""
        weights, *rest = call.leaves
        entries = rest.pop(0) if self.gathered else None
        if len(call.sources) > 1:
            scale, bias = exact_scale(self.weight_scale), rest[0] if rest else None
            given = {"entries": entries, "bias": bias, "square": self.squared}
            return combinations_of_tiles(weights, call.sources, scale, self.bound, **given)
        return ckks.linear_combinations(
            weights,
            call.sources[0],
            exact_scale(self.weight_scale),
            self.bound,
            entries=entries,
            bias=rest[0] if rest else None,
            square=self.squared,
        )

    def cut(self, leaves: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """Runs of positions with all their outputs, or of groups where a group has one position."""
        groups, _, positions = numbered = self._shape(leaves)
        order = np.arange(self.size).reshape(numbered)
        if positions == 1:
            return tuple(order.reshape(math.gcd(groups, count), -1))
        runs = equal_runs(positions, count)
        return tuple(order[:, :, run].reshape(-1) for run in runs)

    def entries_read(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray
    ) -> tuple[np.ndarray | None, ...]:
        """The entries that the tile's positions name."""
        if not self.gathered:
            return (None,)
        return (named_entries(leaves[1][self._chosen(leaves, entries)]),)

    def part(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray, places: np.ndarray
    ) -> tuple[Step, tuple[np.ndarray, ...]]:
        """The matrix product for some positions or groups, which always names its entries."""
        weights, *rest = leaves
        named = rest.pop(0) if self.gathered else np.arange(len(places)).reshape(1, -1, 1)
        chosen = self._chosen(leaves, entries)
        groups = chosen[0].reshape(-1)
        kept = weights if len(groups) == len(weights) else weights[groups]
        bias = [residues[entries] for residues in rest]
        step = dataclasses.replace(self, size=len(entries), gathered=True)
        return step, (kept, renamed_entries(named[chosen], places), *bias)

    def _shape(self, leaves: Sequence[np.ndarray]) -> tuple[int, int, int]:
        """The groups, outputs and positions, in the order of the results."""
        groups, outputs, _ = leaves[0].shape
        return groups, outputs, self.size // (groups * outputs)

    def _chosen(self, leaves: Sequence[np.ndarray], entries: np.ndarray) -> tuple[np.ndarray, ...]:
        """The index that takes a tile's groups and positions of an array [group, k, position]."""
        _, outputs, positions = self._shape(leaves)
        groups, columns = np.unique(entries // (outputs * positions)), np.unique(entries % positions)
        return np.ix_(groups, np.arange(leaves[0].shape[2]), columns)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The multiply-adds, and a few kernels for each tile, of one limb or of all."""
        tiles: Real = max(1, settings.ring.degree // device.blocks.matrix_tile)
        tiles = tiles * (limbs if device.matrix_limbs == "one" else 1)
        nanoseconds = limbs * settings.ring.degree * self.components * self.products * device.multiply_add()
        return nanoseconds, tiles * device.costs.tile_launches

    def counts(self, place: StepPlace) -> OperationCounts:
        """The multiply-adds, and the squares of what is squared first."""
        squares = place.read * tensor(place.limbs, square=True) if self.squared else NOTHING
        return squares + OperationCounts(combinations=self.products * self.components * place.limbs)

    @property
    def weight_bits(self) -> Real:
        """The bits of the weights' scale."""
        return self.weight_scale.bits

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return "linear of squares" if self.squared else "linear"


@dataclasses.dataclass(frozen=True, eq=False)
class Linear(SingleSource):
    """A linear layer with plain weights.

    out[g, o, p] = sum over k of weights[g, o, k] source[entries[g, k, p]] + bias[g, o, p].

    Attributes:
        exact: the weights are integers already (sums), and cost no scale.
    """

    mixes_entries: ClassVar[bool] = True

    source: int
    entries: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None
    exact: bool
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of results, g * o * p."""
        return self.weights.shape[0] * self.weights.shape[1] * self.entries.shape[2]

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The weights and the bias."""
        return self.weights, self.bias

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval: positive weights take the same ends of the source's, negative the opposite."""
        low, high = taken_interval(known[self.source], self.entries)
        positive, negative = np.maximum(self.weights, 0), np.minimum(self.weights, 0)
        bottom = np.einsum("gok,gkp->gop", positive, low) + np.einsum("gok,gkp->gop", negative, high)
        top = np.einsum("gok,gkp->gop", positive, high) + np.einsum("gok,gkp->gop", negative, low)
        bias = 0.0 if self.bias is None else self.bias
        return bottom.reshape(-1) + bias, top.reshape(-1) + bias

    def evaluate(self, given: Evaluation) -> Values:
        """The combinations, with weights as they are or rounded."""
        patches = taken(given.values[self.source], self.entries)
        weights = rounded_weights(self.weights, given.factors[0]) if given.factors else self.weights
        total = np.einsum("gok,gkps->gops", weights, patches, optimize=True)
        total = total.reshape(self.size, -1)
        return total if self.bias is None else total + self.bias[:, None]

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The transposed matrix times the gradient."""
        groups, outputs, _ = self.weights.shape
        grouped = adjoint.reshape(groups, outputs, self.entries.shape[2], -1)
        weighted = np.einsum("gok,gops->gkps", self.weights, grouped, optimize=True)
        entries = self.entries.reshape(-1)
        yield self.source, scattered(weighted.reshape(len(entries), -1), entries, len(values[self.source]))

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit one matrix product, of squares where those are read by nothing else."""
        source, squared = self._read(lowering)
        factor = self._factor(lowering, number)
        weight_scale = lowering.scale(factor)
        read = scale_product(source.scale, source.scale) if squared else source.scale
        scale = scale_product(read, weight_scale)
        components = 3 if squared else source.components
        constants = lowering.constant(lambda: np.rint(self.weights * factor).astype(np.int32))
        gathered = not self._reads_in_order(source.size)
        if gathered:
            constants += lowering.constant(lambda: self.entries)
        bias = self.bias
        if bias is not None:
            constants += lowering.encoded(lambda: bias, scale, source.drops)
        step = LinearStep(
            (source.step,),
            self.size,
            components,
            -source.drops,
            scale,
            self._bound(lowering, factor) if lowering.exact else 0,
            weight_scale,
            squared,
            gathered,
            self.weights.size * self.entries.shape[2],
            constants=constants,
            node=number,
            label=self.label,
        )
        register = lowering.emit(step)
        lowering.need(number, register)
        return register

    def _read(self, lowering: "Lowering") -> tuple[Register, bool]:
        """The register that the layer reads, and whether it squares that first.

        The square is then no step of its own, and its node has no register.
        """
        if self.source not in lowering.registers:
            return lowering.registers[lowering.graph.nodes[self.source].sources[0]], True
        return lowering.registers[self.source], False

    def magnified(self, factors: tuple[float, ...], weight_bits: int) -> tuple[float, ...]:
        """The factor times the power of two by which the largest weight is smaller than was planned."""
        return (factors[0] * room_above(self.weights, (2.0**weight_bits - 1) / factors[0]),)

    def _factor(self, lowering: "Lowering", number: int) -> Real:
        if self.exact:
            return 1.0
        own = weight_factor(self.weights, lowering.settings.weight_bits)
        (factor,) = lowering.given.get(number, (own,))
        lowering.factors[number] = lowering.rounding[number] = (factor,)
        return factor

    def _bound(self, lowering: "Lowering", factor: float) -> int:
        """The bound of the integers, 2**b - 1, as planned or more where plain arguments make it so."""
        planned = 1 if self.exact else 2**lowering.settings.weight_bits - 1
        if not lowering.given:
            return planned
        largest = round(float(np.abs(self.weights).max(initial=0.0)) * factor)
        return max(planned, 2 ** largest.bit_length() - 1)

    def _reads_in_order(self, size: int) -> bool:
        """Whether the layer is one matrix over all entries of its source, in order."""
        flat = self.entries.reshape(-1)
        return self.entries.shape == (1, size, 1) and bool((flat == np.arange(size)).all())

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is, and no bias is added."""
        return self.bias is None and zero(self.source, None)
