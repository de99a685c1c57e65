"""Sums of products of two values, which are summed before anything is relinearised."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import tensor
from fhejax.program.circuit.intervals import ValueInterval, product_interval, shifted_interval, taken_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import Real, scale_product
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.product import Shifts, lowered_operands, shifted_operands
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values, scattered, taken
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.platform import Device
from fhejax.ring.wide import kernel, wide

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

_SUMMED_TOGETHER = 8  # products of an inner product: 16 products of residues fit an unsigned 64-bit sum


@dataclasses.dataclass(frozen=True)
class InnerProductStep(Step):
    """The sums of products of two registers, with three components.

    Constants: int32 [2, o, k], which entries meet; -1 is zero.

    Attributes:
        products: of all results.
    """

    operation: ClassVar[str] = "inner_product"
    products: int = 0

    def run(self, call: StepCall) -> Ciphertext:
        """The sums of tensors."""
        first, second = call.sources
        data = inner_products(first, second, call.leaves[0])
        return first.replace(data=data, scale=self.scale)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of the products."""
        return limbs * settings.ring.degree * self.components * self.products * device.costs.product, 0

    def counts(self, place: StepPlace) -> OperationCounts:
        """One product of ciphertexts for each pair of entries that meet, zeros among them."""
        return self.products * tensor(place.limbs)


@dataclasses.dataclass(frozen=True, eq=False)
class InnerProduct(SeveralSources):
    """The sums of products of two nodes, which are summed before anything is relinearised.

    out[o] = sum over k of (first + shift)[f[o, k]] * (second + shift)[s[o, k]], with (f, s) = entries.
    An entry of -1 stands for zero.
    """

    multiplies: ClassVar[bool] = True

    sources: tuple[int, int]
    shifts: Shifts
    entries: tuple[np.ndarray, np.ndarray]
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The number of sums."""
        return self.entries[0].shape[0]

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The shifts of both sides."""
        return self.shifts

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of the sums, term by term, so that memory stays that of the result."""
        pairs = zip(self.sources, self.shifts, strict=True)
        first, second = (shifted_interval(known[s], shift) for s, shift in pairs)
        low, high = np.zeros(self.size), np.zeros(self.size)
        for left, right in zip(*(e.T for e in self.entries), strict=True):
            bottom, top = product_interval(taken_interval(first, left), taken_interval(second, right))
            low, high = low + bottom, high + top
        return low, high

    def evaluate(self, given: Evaluation) -> Values:
        """The sums of products, term by term."""
        first, second = shifted_operands(self.sources, self.shifts, given.values)
        total = np.zeros((self.size, first.shape[1]))
        for left, right in zip(*(e.T for e in self.entries), strict=True):
            total += taken(first, left) * taken(second, right)
        return total

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each factor: the other factor times that of the sum, term by term."""
        operands = shifted_operands(self.sources, self.shifts, values)
        for left, right in zip(*(e.T for e in self.entries), strict=True):
            for side, (own, other) in enumerate(((left, right), (right, left))):
                part = adjoint * taken(operands[1 - side], other)
                yield self.sources[side], scattered(part, own, len(operands[side]))

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the sums of tensors, once both sides are at one level."""
        first, second = lowered_operands(lowering, self.sources, self.shifts, self.label)
        step = InnerProductStep(
            (first.step, second.step),
            self.size,
            3,
            -first.drops,
            scale_product(first.scale, second.scale),
            self.entries[0].size,
            constants=lowering.constant(lambda: np.stack(self.entries)),
            node=number,
            label=self.label,
        )
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether one of the sides is zero there."""
        return any(map(zero, self.sources, self.shifts))


@kernel
@wide
def inner_products(x: Ciphertext, y: Ciphertext, pairs: jax.Array) -> jax.Array:
    """The sum over k of x[pairs[0, o, k]] y[pairs[1, o, k]] for every o, with three components.

    Args:
        x: ciphertexts, data [entry, 2, limb, N], in the evaluation domain.
        y: the same.
        pairs: int32 [2, o, k], which entries meet; -1 is zero.

    Returns:
        uint32 [o, 3, limb, N].
    """
    limbs = constants(x.moduli)
    missing = -pairs.shape[2] % _SUMMED_TOGETHER if pairs.shape[2] > _SUMMED_TOGETHER else 0
    pairs = jnp.pad(pairs, [(0, 0), (0, 0), (0, missing)], constant_values=-1)
    width = min(pairs.shape[2], _SUMMED_TOGETHER)
    chunks = jnp.moveaxis(pairs.reshape(2, pairs.shape[1], -1, width), 0, 2)

    def add_chunk(total: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
        return modular.add(total, _sum_of_tensors(x.data, y.data, chunk, limbs), limbs.value), None

    def one(rows: jax.Array) -> jax.Array:
        first = _sum_of_tensors(x.data, y.data, rows[0], limbs)
        return jax.lax.scan(add_chunk, first, rows[1:])[0] if len(rows) > 1 else first

    return jax.lax.map(one, chunks)


def _sum_of_tensors(x: jax.Array, y: jax.Array, chunk: jax.Array, limbs: modular.Moduli) -> jax.Array:
    """The sum over k of x[chunk[0, k]] y[chunk[1, k]], for at most 8 k: [3, limb, N]."""
    alive = (chunk >= 0).all(0)[:, None, None, None]
    first = jnp.where(alive, jnp.take(x, jnp.maximum(chunk[0], 0), axis=0), jnp.uint32(0))
    first, second = first.astype(jnp.uint64), jnp.take(y, jnp.maximum(chunk[1], 0), axis=0).astype(jnp.uint64)
    x0, x1, y0, y1 = first[:, 0], first[:, 1], second[:, 0], second[:, 1]
    parts = jnp.stack([(x0 * y0).sum(0), (x0 * y1 + x1 * y0).sum(0), (x1 * y1).sum(0)])
    return modular.reduce_wide(parts, limbs)
