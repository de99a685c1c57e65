"""The trace of a JAX function to a tensor graph, the first pass.

What depends on plain values alone is computed in the clear, once. What is not polynomial is collected, all
of it, and refused in one error before any key exists.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.graph import TensorGraph, TensorOutput
from fhejax.program.tensor.jaxprs import called, is_borrowed, jaxpr_of, scope_of, source_line, used_equations
from fhejax.program.tensor.operation import Label
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.rearrangements.broadcast import broadcast_array
from fhejax.program.tensor.plain_program import PlainArray, PlainProgram, compacted
from fhejax.program.tensor.primitives import PRIMITIVES, substitute
from fhejax.program.tensor.refusals import Refusal, refuse
from fhejax.program.tensor.unrolling import unrolled


def trace(
    function: Callable,
    arguments: Sequence[Encrypted | Plain],
    inputs: Any,
    batch: int,
    plain: Sequence[np.ndarray],
) -> TensorGraph:
    """The tensor graph of a function on described arguments, given flat, nested as `inputs` says.

    Args:
        function: any JAX function of arrays.
        arguments: their descriptions.
        inputs: the nesting of the arguments.
        batch: the samples of each argument that has a batch axis.
        plain: the values of the plain arguments, in order; others can be given later (`with_plain`).

    Raises:
        NotPolynomialError: with every operation that cannot be encrypted, its line and a substitute.
        ValueError: a module in training mode, or a function that does not trace.
    """
    shapes = [_shape_of(argument) for argument in arguments]
    closed, results = jaxpr_of(function, jax.tree.unflatten(inputs, shapes))
    builder = Builder()
    known = iter(plain)
    values = [
        builder.plain_argument(next(known)) if isinstance(a, Plain) else _enter(builder, i, a)
        for i, a in enumerate(arguments)
    ]
    interpreter = _Interpreter(builder)
    consts = [PlainArray(const) for const in closed.consts]
    outputs = interpreter.run(closed.jaxpr, consts, values, "the traced function")
    refuse(interpreter.refusals)
    described = tuple(
        TensorOutput(v.number if isinstance(v, Tensor) else v, tuple(aval.shape), aval.dtype)
        for v, aval in zip(outputs, closed.out_avals, strict=True)
    )
    return TensorGraph(
        tuple(builder.operations),
        described,
        tuple(arguments),
        inputs,
        jax.tree.structure(results),
        batch,
        PlainProgram(len(plain), tuple(builder.steps)),
    )


def _shape_of(argument: Encrypted | Plain) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(argument.shape), argument.dtype)


def _enter(builder: Builder, number: int, argument: Encrypted) -> Tensor:
    label = Label(f"argument {number}", "")
    return builder.append(Argument((), tuple(argument.shape), label, number))


class _Interpreter:
    """The interpreter of a jaxpr on encrypted tensors and plain arrays."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.refusals: list[Refusal] = []
        self.scope = ""

    def run(
        self, jaxpr: Any, consts: Sequence[Operand], values: Sequence[Operand], where: str
    ) -> list[Operand]:
        """The results of a jaxpr; `where` is the line that called it.

        JAX keeps the jaxpr of a library's function with the lines that called it first, so that only
        those of the user's own functions are believed.
        """
        borrowed = is_borrowed(jaxpr)
        known: dict[Any, Operand] = {}

        def read(atom: Any) -> Operand:
            return PlainArray(atom.val) if hasattr(atom, "val") else known[atom]

        known.update(zip(jaxpr.constvars, consts, strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))
        for equation in used_equations(jaxpr):
            line = where if borrowed else source_line(equation) or where
            around, self.scope = self.scope, "/".join(filter(None, (self.scope, scope_of(equation))))
            results = self._equation(equation, [read(atom) for atom in equation.invars], line)
            self.scope = around
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, operands: list[Operand], line: str) -> list[Operand]:
        inner = called(equation)
        if inner is not None:
            jaxpr, consts = inner
            return self.run(jaxpr, [PlainArray(const) for const in consts], operands, line)
        branch = _chosen_branch(equation, operands)
        if branch is not None:
            return self.run(branch.jaxpr, [PlainArray(const) for const in branch.consts], operands[1:], line)
        if equation.primitive.name == "scan" and any(isinstance(o, Tensor) for o in operands):
            return unrolled(self.run, equation, operands, line)
        self.builder.label = Label(equation.primitive.name, line, self.scope)
        plain = [operand for operand in operands if isinstance(operand, PlainArray)]
        if len(plain) < len(operands):
            return self._apply(equation, operands)
        evaluation = functools.partial(evaluated, equation.primitive, equation.params)
        return list(self.builder.plain(evaluation, *plain))

    def _apply(self, equation: Any, operands: list[Operand]) -> list[Operand]:
        """The results on encrypted operands; an array without entries is plain, for nothing is encrypted."""
        avals = [variable.aval for variable in equation.outvars]
        stand_ins: list[Operand] = [Tensor(-1, tuple(aval.shape)) for aval in avals]
        if all(0 in aval.shape for aval in avals):
            return [PlainArray(np.zeros(aval.shape, aval.dtype)) for aval in avals]
        if any(_is_complex(atom.aval) for atom in equation.invars):
            return stand_ins  # refused where it became complex
        try:
            results = _results(self.builder, equation, operands)
        except ValueError as error:
            self.refusals.append(Refusal(self.builder.label, str(error)))
            return stand_ins  # so that what follows is looked at too
        return [_typed(result, aval.dtype) for result, aval in zip(results, avals, strict=True)]


def _chosen_branch(equation: Any, operands: list[Operand]) -> Any:
    """The branch that is taken, where that is known while the function is traced."""
    if equation.primitive.name != "cond":
        return None
    number, branches = operands[0], equation.params["branches"]
    if isinstance(number, Tensor) or number.number is not None:
        return None
    return branches[int(np.clip(number.array, 0, len(branches) - 1))]


def _results(builder: Builder, equation: Any, operands: list[Operand]) -> list[Operand]:
    """The results of a primitive on encrypted operands.

    Raises:
        ValueError: with the reason, where it cannot be computed.
    """
    name = equation.primitive.name
    if any(_is_complex(variable.aval) for variable in equation.outvars):
        raise ValueError("complex numbers; compute real and imaginary parts as arrays of their own")
    if name not in PRIMITIVES:
        raise ValueError(substitute(name))
    results = PRIMITIVES[name](builder, operands, equation.params)
    return results if isinstance(results, list) else [results]


def _is_complex(aval: Any) -> bool:
    return jnp.issubdtype(aval.dtype, jnp.complexfloating)


def _typed(result: Operand, dtype: Any) -> Operand:
    """The result, of the type that JAX gives it if it is plain and no argument decides it."""
    if isinstance(result, Tensor) or result.number is not None:
        return result
    return PlainArray(np.broadcast_to(compacted(result.array).astype(dtype), result.shape))


def evaluated(primitive: Any, params: dict[str, Any], *operands: Any) -> list:
    """The results of plain arithmetic in the clear; broadcasts stay views, so that no bias is copied."""
    if primitive.name == "broadcast_in_dim" and len(operands) == 1:
        array = np.asarray(operands[0])
        return [broadcast_array(array, params["shape"], params["broadcast_dimensions"])]
    results = primitive.bind(*operands, **params)
    return list(results) if primitive.multiple_results else [results]
