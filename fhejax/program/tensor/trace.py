"""Pass 1: trace a JAX function to a graph of contractions and products of encrypted values.

What depends on plain values alone is computed in the clear, once. What is not polynomial is collected, all
of it, and refused in one error before any key exists.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.nodes import Input
from fhejax.program.circuit.views import Builder, View
from fhejax.program.tensor.primitive_rules import RULES, substitute

_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_CALLS = frozenset(
    (
        *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
        *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
    )
)
_PACKAGE = pathlib.Path(__file__).resolve().parents[2].as_posix() + "/"


class NotPolynomialError(ValueError):
    """An error that lists the operations that no circuit of additions and multiplications computes."""


@dataclasses.dataclass(frozen=True)
class _Refusal:
    operation: str
    where: str
    reason: str


class _Refused:
    """The stand-in for a result of unknown layout, so that the trace goes on."""


def trace(
    function: Callable,
    arguments: Sequence[Encrypted | Plain],
    inputs: Any,
    batch: int,
    plain: Sequence[np.ndarray],
) -> Graph:
    """The graph of a function on described arguments, given flat, nested as `inputs` says.

    Args:
        plain: the values of the plain arguments, in order.

    Raises:
        NotPolynomialError: with every operation that cannot be encrypted, its line and a substitute.
        ValueError: a module in training mode, or a function that does not trace.
    """
    shapes = [_shape_of(argument) for argument in arguments]
    closed, results = _jaxpr(function, jax.tree.unflatten(inputs, shapes))
    builder = Builder()
    known = iter(plain)
    values = [
        next(known) if isinstance(argument, Plain) else _enter(builder, i, argument, batch)
        for i, argument in enumerate(arguments)
    ]
    interpreter = _Interpreter(builder)
    outputs = interpreter.run(closed.jaxpr, closed.consts, values, "the traced function")
    if interpreter.refusals:
        raise NotPolynomialError(_sentence(interpreter.refusals))
    described = tuple(
        Output(v, tuple(aval.shape), aval.dtype) for v, aval in zip(outputs, closed.out_avals, strict=True)
    )
    return Graph(
        tuple(builder.nodes), described, tuple(arguments), inputs, jax.tree.structure(results), batch
    )


def _shape_of(argument: Encrypted | Plain) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(argument.shape), argument.dtype)


def _jaxpr(function: Callable, shapes: Any) -> tuple[Any, Any]:
    try:
        return jax.make_jaxpr(function, return_shape=True)(*shapes)
    except Exception as error:
        if type(error).__name__ == "TraceContextError":
            raise ValueError(
                "the model changes its own state when called, so it is in training mode; compile its "
                "inference view: flax.nnx.view(model, use_running_average=True, deterministic=True)."
            ) from error
        raise


def _enter(builder: Builder, number: int, argument: Encrypted, batch: int) -> View:
    axis = argument.batch_axis
    shape = tuple(s for d, s in enumerate(argument.shape) if d != axis)
    size = int(np.prod(shape, dtype=np.int64))
    low, high = map(float, argument.range)
    builder.append(Input(number, size, low, high, f"argument {number}", axis is None))
    entries = np.arange(size, dtype=np.int64).reshape(shape)
    node = len(builder.nodes) - 1
    return View(node, entries, np.ones(shape), np.zeros(shape), axis, batch)


class _Interpreter:
    """The interpreter of a jaxpr on encrypted views and plain arrays."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.refusals: list[_Refusal] = []

    def run(self, jaxpr: Any, consts: Sequence, values: Sequence, where: str) -> list:
        """The results of a jaxpr; `where` is the line that called it.

        JAX keeps the jaxpr of a library's function with the lines that called it first, so that only
        those of the user's own functions are believed.
        """
        borrowed = _is_library(_source_of(jaxpr))
        known: dict[Any, Any] = {}

        def read(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else known[atom]

        known.update(zip(jaxpr.constvars, consts, strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))
        for equation in _used(jaxpr):
            line = where if borrowed else _source_line(equation) or where
            results = self._equation(equation, [read(atom) for atom in equation.invars], line)
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, operands: list, line: str) -> list:
        if any(isinstance(operand, _Refused) for operand in operands):
            return [_Refused() for _ in equation.outvars]
        if equation.primitive.name in _CALLS:
            inner = next(equation.params[k] for k in _INNER if k in equation.params)
            jaxpr, consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            return self.run(jaxpr, consts, operands, line)
        if any(isinstance(operand, View) for operand in operands):
            return self._apply(equation, operands, line)
        return _evaluate(equation, operands)

    def _apply(self, equation: Any, operands: list, line: str) -> list:
        name = equation.primitive.name
        self.builder.label = f"{name} ({line})"
        rule = RULES.get(name)
        reason = substitute(name)
        if rule is not None:
            try:
                result = rule(self.builder, operands, equation.params)
                return result if isinstance(result, list) else [result]
            except ValueError as error:
                reason = str(error)
        self.refusals.append(_Refusal(name, line, reason))
        encrypted = next(o for o in operands if isinstance(o, View))
        return [self._stand_in(variable.aval.shape, encrypted) for variable in equation.outvars]

    def _stand_in(self, shape: tuple[int, ...], operand: View) -> View | _Refused:
        """The value that a refused operation might have given, so that what follows is looked at too."""
        axis = operand.batch_axis
        if axis is not None and shape[axis : axis + 1] != (operand.batch,):
            if operand.batch not in shape:
                return _Refused()
            axis = shape.index(operand.batch)
        kept = tuple(s for d, s in enumerate(shape) if d != axis)
        node = Input(-1, int(np.prod(kept, dtype=np.int64)), -1.0, 1.0, self.builder.label)
        return self.builder.fresh(node, dataclasses.replace(operand, batch_axis=axis), kept)


def _used(jaxpr: Any) -> list:
    """The equations that some result depends on: jax.grad leaves the value that it differentiates."""
    wanted, used = set(map(id, jaxpr.outvars)), []
    for equation in reversed(jaxpr.eqns):
        if any(id(variable) in wanted for variable in equation.outvars):
            used.append(equation)
            wanted.update(map(id, equation.invars))
    return used[::-1]


def _evaluate(equation: Any, operands: list) -> list:
    """The results of plain arithmetic in the clear; broadcasts stay views, so that no bias is copied."""
    if equation.primitive.name == "broadcast_in_dim" and len(operands) == 1:
        return [_broadcast_plain(np.asarray(operands[0]), equation.params)]
    results = equation.primitive.bind(*operands, **equation.params)
    return list(results) if equation.primitive.multiple_results else [results]


def _broadcast_plain(array: np.ndarray, params: dict) -> np.ndarray:
    shape = [1] * len(params["shape"])
    for size, axis in zip(array.shape, params["broadcast_dimensions"], strict=True):
        shape[axis] = size
    return np.broadcast_to(array.reshape(shape), params["shape"])


def _source_line(equation: Any) -> str:
    """The place, file:line, of the innermost frame of the user's own code."""
    traceback = getattr(equation.source_info, "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        if not _is_library(frame.file_name):
            return f"{pathlib.PurePath(frame.file_name).name}:{frame.line_num}"
    return ""


def _is_library(path: str) -> bool:
    path = path.replace("\\", "/")
    if path.startswith(_PACKAGE + "nn/"):
        return False  # networks are what a person looks for in a report
    installed = any(part in path for part in ("/site-packages/", "/dist-packages/", "importlib"))
    return installed or path.startswith((_PACKAGE, "<frozen"))


def _source_of(jaxpr: Any) -> str:
    """The file of the function that a jaxpr was traced from, or nothing."""
    described = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None) or ""
    return described.rpartition(" at ")[2]


def _sentence(refusals: list[_Refusal]) -> str:
    unique = list(dict.fromkeys(refusals))
    lines = [f"  {r.where}: {r.operation}: {r.reason}" for r in itertools.islice(unique, 50)]
    count = "one operation" if len(unique) == 1 else f"{len(unique)} operations"
    return (
        f"the function has {count} that cannot be computed on encrypted values, which know only "
        f"addition and multiplication. Replace:\n" + "\n".join(lines)
    )
