"""Loops of fixed length that encrypted values go through: what `trace` makes of `lax.scan`, turn by turn."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.program.tensor.builder import Operand
from fhejax.program.tensor.plain_program import PlainArray

Run = Callable[[Any, Sequence[Operand], Sequence[Operand], str], list[Operand]]


def unrolled(run: Run, equation: Any, operands: Sequence[Operand], line: str) -> list[Operand]:
    """The results of a `scan`: what goes round after the last turn, and the stacked results of all turns.

    Args:
        run: the interpreter: of a jaxpr, its constants, its arguments and the line that called it.
        equation: of the primitive `scan`, which a `fori_loop` between whole numbers is too.
        operands: what every turn reads, what goes round, and what each turn reads a slice of.
        line: of the function that is traced.
    """
    body, length, count = (equation.params[name] for name in ("jaxpr", "length", "num_carry"))
    first = equation.params["num_consts"]
    shared, carry, sliced = operands[:first], operands[first : first + count], operands[first + count :]
    avals = [variable.aval for variable in equation.invars[first + count :]]
    constants = [PlainArray(constant) for constant in body.consts]
    turns: list[list[Operand]] = [[] for _ in range(length)]
    for turn in reversed(range(length)) if equation.params["reverse"] else range(length):
        slices = _computed(run, _Slices(turn), sliced, avals, line)
        results = run(body.jaxpr, constants, [*shared, *carry, *slices], line)
        carry, turns[turn] = results[:count], results[count:]
    stacked = [variable.aval for variable in equation.outvars[count:]]
    if not length:
        return [*carry, *(PlainArray(np.zeros(aval.shape, aval.dtype)) for aval in stacked)]
    parts = [jax.ShapeDtypeStruct(aval.shape[1:], aval.dtype) for aval in stacked]
    flat = [result for results in turns for result in results]
    return [*carry, *_computed(run, _Stacks(len(stacked)), flat, parts * length, line)]


def _computed(run: Run, function: Callable, operands: Sequence[Operand], avals: Any, line: str) -> list:
    """The results of a function of JAX on operands of these shapes and types."""
    if not operands:
        return []
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    closed = jax.make_jaxpr(function)(*shapes)
    return run(closed.jaxpr, [PlainArray(constant) for constant in closed.consts], operands, line)


class _Slices:
    """The function from arrays to one slice of each along their first axis."""

    def __init__(self, turn: int) -> None:
        self.turn = turn

    def __call__(self, *arrays: jax.Array) -> list[jax.Array]:
        """The slices of this turn."""
        return [jax.lax.index_in_dim(array, self.turn, keepdims=False) for array in arrays]


class _Stacks:
    """The function from the results of all turns, one turn after the other, to stacks of equal results."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, *arrays: jax.Array) -> list[jax.Array]:
        """The stacks, one for each result of a turn."""
        return [jnp.stack(arrays[number :: self.count]) for number in range(self.count)]
