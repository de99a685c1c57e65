"""Sums of values of different scales: the common scale, and the integers by which each term reaches it."""

import math
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.lowering.scales import AnyScale, scale_product, scale_quotient
from fhejax.program.circuit.lowering.state import Lowering, Register
from fhejax.program.circuit.nodes import Combine, Concatenate

TermWeights = np.ndarray | None


def lower_combination(lowering: Lowering, number: int, node: Combine) -> Register:
    """The steps of a sum of terms times plain numbers.

    Args:
        lowering: the state that steps are added to.
        number: the node's.
        node: what is lowered.
    """
    largest = (1.0 if w is None else float(np.abs(w).max()) or 1.0 for w in node.weights)
    norms = lowering.given.get(number, tuple(largest))
    lowering.factors[number] = norms
    weights = [None if w is None else w / n for w, n in zip(node.weights, norms, strict=True)]
    registers = _together(lowering, [lowering.registers[s] for s in node.sources])
    virtual = [scale_quotient(r.scale, n) for r, n in zip(registers, norms, strict=True)]
    scale, factors = aligned(virtual, [_varies(lowering, w) for w in weights], lowering.settings.weight_bits)
    lowering.rounding[number] = tuple(float(f) / n for f, n in zip(factors, norms, strict=True))
    return _emit(lowering, number, node, registers, weights, scale, factors)


def lower_concatenation(lowering: Lowering, number: int, node: Concatenate) -> Register:
    """The steps of a concatenation.

    Args:
        lowering: the state that steps are added to.
        number: the node's.
        node: what is lowered.
    """
    registers = _together(lowering, [lowering.registers[s] for s in node.sources])
    weights = [None] * len(registers)
    bits = lowering.settings.weight_bits
    scale, factors = aligned([r.scale for r in registers], [False] * len(registers), bits)
    return _emit(lowering, number, node, registers, weights, scale, factors)


def _varies(lowering: Lowering, weights: TermWeights) -> bool:
    """Whether weights are more than a common factor, which a scale absorbs."""
    if weights is None:
        return False
    return lowering.weights_may_change or bool((np.abs(weights) != 1.0).any())


def _together(lowering: Lowering, registers: Sequence[Register]) -> list[Register]:
    drops = max(r.drops for r in registers)
    return [lowering.drop(r, drops) for r in registers]


def _emit(
    lowering: Lowering,
    number: int,
    node: Combine | Concatenate,
    registers: Sequence[Register],
    weights: Sequence[TermWeights],
    scale: AnyScale,
    factors: Sequence[AnyScale],
) -> Register:
    drops = registers[0].drops
    constants: tuple[int, ...] = ()
    for register, weight, factor in zip(registers, weights, factors, strict=True):
        values = np.ones(register.size) if weight is None else weight
        constants += lowering.encoded(lambda v=values: v, factor, drops)
    return lowering.emit(
        "combine" if isinstance(node, Combine) else "concatenate",
        (drops, scale, max(r.components for r in registers), node.size),
        sources=tuple(r.step for r in registers),
        constants=constants,
        weight_scales=tuple(factors),
        node=number,
        label=node.label,
    )


def aligned(
    scales: Sequence[AnyScale], varying: Sequence[bool], bits: int
) -> tuple[AnyScale, list[AnyScale]]:
    """The common scale of several terms, and the factor (as a scale) by which each reaches it.

    A factor is rounded to an integer, to `bits` bits or better. A term whose weights vary is multiplied by
    weights of that many bits.

    Args:
        scales: those of the terms.
        varying: whether a term's weights vary.
        bits: to which factors and weights are rounded.
    """
    candidates = [scale_product(s, 2.0**bits) if v else s for s, v in zip(scales, varying, strict=True)]
    largest = max(candidates, key=lambda s: s.bits)
    factors = [scale_quotient(largest, s).bits for s, v in zip(scales, varying, strict=True) if not v]
    missing = math.ceil(max((bits - size for size in factors if _is_rough(size, bits)), default=0.0))
    if missing > 0:
        largest = scale_product(largest, 2.0**missing)
    return largest, [scale_quotient(largest, s) for s in scales]


def _is_rough(factor_bits: float, bits: int) -> bool:
    """Whether the integer next to a factor differs from it in the first `bits` bits."""
    if factor_bits >= bits:
        return False
    factor = 2.0**factor_bits
    return abs(round(factor) - factor) > factor * 2.0 ** (-bits - 1)
