"""What is asked of a jaxpr: how it is made, the one that a call runs, which equations matter, their lines."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax

_INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_CALLS = frozenset(
    (
        *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
        *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
    )
)
_PACKAGE = pathlib.Path(__file__).resolve().parents[2].as_posix() + "/"


def jaxpr_of(function: Callable, shapes: Any) -> tuple[Any, Any]:
    """The closed jaxpr of a function on arguments of some shapes, and the shapes of its results, nested.

    Raises:
        ValueError: a module in training mode; or what JAX raises for a function that does not trace.
    """
    try:
        return jax.make_jaxpr(function, return_shape=True)(*shapes)
    except Exception as error:
        if type(error).__name__ == "TraceContextError":
            raise ValueError(
                "the model changes its own state when called, so it is in training mode; compile its "
                "inference view: flax.nnx.view(model, use_running_average=True, deterministic=True)."
            ) from error
        raise


def called(equation: Any) -> tuple[Any, Any] | None:
    """The jaxpr that a call runs on the equation's operands, and its constants; None for other equations."""
    if equation.primitive.name not in _CALLS:
        return None
    inner = next(equation.params[k] for k in _INNER if k in equation.params)
    return getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())


def used_equations(jaxpr: Any) -> list:
    """The equations that some result depends on: jax.grad leaves the value that it differentiates."""
    wanted, used = set(map(id, jaxpr.outvars)), []
    for equation in reversed(jaxpr.eqns):
        if any(id(variable) in wanted for variable in equation.outvars):
            used.append(equation)
            wanted.update(map(id, equation.invars))
    return used[::-1]


def dependencies(jaxpr: Any) -> list[frozenset[int]]:
    """The arguments, by number, that each result of a jaxpr depends on; calls are looked into."""
    nothing: frozenset[int] = frozenset()
    known = {variable: frozenset((number,)) for number, variable in enumerate(jaxpr.invars)}

    def of(atom: Any) -> frozenset[int]:
        return nothing if hasattr(atom, "val") else known.get(atom, nothing)

    for equation in jaxpr.eqns:
        read = [of(atom) for atom in equation.invars]
        inner = called(equation)
        if inner is None:
            found = [nothing.union(*read)] * len(equation.outvars)
        else:
            found = [nothing.union(*(read[n] for n in numbers)) for numbers in dependencies(inner[0])]
        known.update(zip(equation.outvars, found, strict=True))
    return [of(atom) for atom in jaxpr.outvars]


def scope_of(equation: Any) -> str:
    """The names of `jax.named_scope` around an equation, joined by slashes."""
    stack = getattr(equation.source_info.name_stack, "stack", ())
    return "/".join(entry.name for entry in stack if type(entry).__name__ == "Scope")


def source_line(equation: Any) -> str:
    """The place, file:line, of the innermost frame of the user's own code."""
    traceback = getattr(equation.source_info, "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        if not _is_library(frame.file_name):
            return f"{pathlib.PurePath(frame.file_name).name}:{frame.line_num}"
    return ""


def is_borrowed(jaxpr: Any) -> bool:
    """Whether a jaxpr was traced from a function of a library, whose lines are those that called it first."""
    described = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None) or ""
    return _is_library(described.rpartition(" at ")[2])


def _is_library(path: str) -> bool:
    path = path.replace("\\", "/")
    if path.startswith(_PACKAGE + "nn/"):
        return False  # networks are what a person looks for in a report
    installed = any(part in path for part in ("/site-packages/", "/dist-packages/", "importlib"))
    return installed or path.startswith((_PACKAGE, "<frozen"))
