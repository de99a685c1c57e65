"""Polynomials in the Chebyshev basis, as `fhejax.approx` writes them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Polynomial(Operation):
    """The sum over k of c_k T_k(t), with t the interval mapped to [-1, 1], elementwise.

    coefficients: [*channels, degree + 1], the channels aligned with the last axes.
    """

    coefficients: PlainArray
    interval: tuple[float, float]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear, by Clenshaw's recurrence."""
        (value,) = values
        low, high = self.interval
        t = (2 * value - (high + low)) / (high - low)
        table = np.asarray(self.coefficients.array, np.float64)
        last, before = np.zeros(self.shape), np.zeros(self.shape)
        for k in range(table.shape[-1] - 1, 0, -1):
            last, before = 2 * t * last - before + table[..., k], last
        return t * last - before + table[..., 0]


def polynomial(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive of `fhejax.approx.Polynomial`.

    Raises:
        ValueError: when the coefficients are encrypted.
    """
    x, coefficients = operands
    if isinstance(coefficients, Tensor):
        raise ValueError("a polynomial with encrypted coefficients; its coefficients must be plain")
    low, high = map(float, params["interval"])
    return builder.append(Polynomial((x.number,), x.shape, builder.label, coefficients, (low, high)))
