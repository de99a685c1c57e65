"""Sums of values of different scales: the common scale, and the integers by which each term reaches it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Real,
    Whole,
    ceiling,
    choose,
    largest_scale,
    maximum,
    raised_scale,
    scale_quotient,
)

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

TermWeights = np.ndarray | None


def at_one_level(lowering: "Lowering", sources: Sequence[int]) -> list[Register]:
    """The registers of several nodes at the lowest level among them."""
    drops = maximum(*(lowering.registers[source].drops for source in sources))
    return [lowering.brought(source, drops) for source in sources]


def term_constants(
    lowering: "Lowering",
    registers: Sequence[Register],
    weights: Sequence[TermWeights],
    factors: Sequence[AnyScale],
) -> tuple[int, ...]:
    """The leaves of a sum or a concatenation: for each term its weights at the scale that aligns it."""
    constants: tuple[int, ...] = ()
    for register, weight, factor in zip(registers, weights, factors, strict=True):
        values = np.ones(register.size) if weight is None else weight
        constants += lowering.encoded(lambda v=values: v, factor, register.drops)
    return constants


def aligned(
    scales: Sequence[AnyScale], varying: Sequence[bool], bits: Whole
) -> tuple[AnyScale, list[AnyScale]]:
    """The common scale of several terms, and the factor (as a scale) by which each reaches it.

    A factor is rounded to an integer, to `bits` bits or better. A term whose weights vary is multiplied by
    weights of that many bits.

    Args:
        scales: those of the terms.
        varying: whether a term's weights vary.
        bits: to which factors and weights are rounded.
    """
    largest = largest_scale([raised_scale(s, bits) if v else s for s, v in zip(scales, varying, strict=True)])
    factors = [scale_quotient(largest, s).bits for s, v in zip(scales, varying, strict=True) if not v]
    lacking = [choose(_is_rough(size, bits), bits - size, 0.0) for size in factors]
    missing = maximum(ceiling(maximum(0.0, *lacking)), 0) if lacking else 0
    if np.any(missing > 0):
        largest = raised_scale(largest, missing)
    return largest, [scale_quotient(largest, s) for s in scales]


def aligned_fields(lowering: "Lowering", registers: Sequence[Register], size: int) -> tuple[Any, ...]:
    """The first fields and the leaves of a step that brings registers of a level to one scale by integers.

    Args:
        lowering: the circuit's.
        registers: the terms.
        size: ciphertexts of the result.

    Returns:
        The fields up to the factor of each term, and the numbers of its constants.
    """
    whole = [False] * len(registers)
    scale, factors = aligned([r.scale for r in registers], whole, lowering.settings.weight_bits)
    components = max(r.components for r in registers)
    constants = term_constants(lowering, registers, [None] * len(registers), factors)
    fields = tuple(r.step for r in registers), size, components, -registers[0].drops, scale, tuple(factors)
    return fields, constants


def normalised(scales: Sequence[AnyScale], norms: Sequence[float]) -> list[AnyScale]:
    """The scales of terms whose weights were divided by norms."""
    return [scale_quotient(scale, norm) for scale, norm in zip(scales, norms, strict=True)]


def _is_rough(factor_bits: Real, bits: Whole) -> Real:
    """Whether the integer next to a factor differs from it in the first `bits` bits."""
    factor = 2.0 ** np.minimum(factor_bits, 1000.0)
    differs = abs(np.rint(factor) - factor) > factor * 2.0 ** (-bits - 1)
    return (factor_bits < bits) & differs
