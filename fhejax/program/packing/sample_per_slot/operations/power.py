"""Powers of an encrypted view at the least depth."""

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.operations.product import multiply_views, square_view
from fhejax.program.tensor.operations.power import Power


def power(builder: Builder, operation: Power, sources: list[View]) -> View:
    """The power x^n, at depth ceil(log2 n)."""
    (x,) = sources
    powers = {1: x}

    def need(n: int) -> View:
        if n not in powers:
            half = need((n + 1) // 2)
            powers[n] = multiply_views(builder, half, need(n // 2)) if n % 2 else square_view(builder, half)
        return powers[n]

    return need(operation.exponent)
