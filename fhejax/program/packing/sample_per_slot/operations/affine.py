"""Affine maps with plain numbers: they change a view, and cost nothing."""

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import plain_operand, spread
from fhejax.program.tensor.operations.affine import Affine


def affine(builder: Builder, operation: Affine, sources: list[View]) -> View:
    """The view factor * x + term.

    Raises:
        ValueError: plain numbers that differ between samples.
    """
    (x,) = sources
    x = spread(x, operation.shape)
    factor, term = plain_operand(operation.factor, x, 1.0), plain_operand(operation.term, x, 0.0)
    varies = operation.factor is not None and operation.factor.varies
    return x.affine(factor, term, varies)
