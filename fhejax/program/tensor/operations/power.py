"""Powers of an encrypted array with a whole exponent."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Power(Operation):
    """The power x^exponent of an encrypted array for a whole exponent of 1 or more, elementwise."""

    exponent: int

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return value**self.exponent


def power(builder: Builder, x: Tensor, exponent: int) -> Operand:
    """The power of a tensor; that with exponent 0 is plain ones, as JAX has it.

    Raises:
        ValueError: a negative exponent.
    """
    if exponent < 0:
        raise ValueError(
            "a negative power of an encrypted value is no polynomial; use fhejax.approx to fit 1/x"
        )
    if exponent == 0:
        return PlainArray(np.broadcast_to(np.float64(1.0), x.shape))
    return builder.append(Power((x.number,), x.shape, builder.label, exponent))


def whole_power(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive integer_pow."""
    (x,) = operands
    return power(builder, x, int(params["y"]))


def any_power(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive pow, where the exponent is one whole number written in the function.

    Raises:
        ValueError: an exponent that is encrypted, an argument, several numbers, or no whole number.
    """
    x, exponent = operands
    if not isinstance(x, Tensor) or isinstance(exponent, Tensor):
        raise ValueError("a power with an encrypted exponent; fit it with fhejax.approx")
    if exponent.number is not None:
        raise ValueError("a power whose exponent is a plain argument; write x**n with a number n")
    numbers = np.unique(np.asarray(exponent.array, np.float64))
    if len(numbers) != 1:
        raise ValueError("a power with several exponents; write one x**n for each part")
    if not float(numbers[0]).is_integer():
        raise ValueError("a power that is not a whole number; use x**n with a Python integer n")
    return power(builder, x, int(numbers[0]))
