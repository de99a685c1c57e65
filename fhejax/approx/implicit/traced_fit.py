"""Fits of what JAX traces: from the public arguments to `optimum` and back to polynomials."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.approx.checks import check_degree, is_traced
from fhejax.approx.functions import Function, name_of, resolve
from fhejax.approx.implicit.optimum import Optimum, Problem, solve
from fhejax.approx.intervals import check_interval, check_intervals
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.polynomials.polynomial import Polynomial, depth_of_degree

UNIT = (-1.0, 1.0)
LARGEST_DEGREE = 127
BEYOND = np.linspace(1.0, 1.05, 17)


def is_needed(function: Any, interval: Any, parameters: Sequence[Any], weight: Any = None) -> bool:
    """Whether the ends, a parameter, or a value that one of the functions closes over is traced."""
    if any(is_traced(leaf) for leaf in [*_leaves(interval), *jax.tree.leaves(tuple(parameters))]):
        return True
    return any(callable(f) and _closes_over_traced(f, parameters) for f in (function, weight))


def traced_fit(
    function: str | Function,
    degree: int,
    interval: Any,
    parameters: Sequence[Any],
    weight: str | Function | None = None,
    slope_weight: float | None = None,
) -> Any:
    """The polynomial of a traced problem, on its static interval, or after the map of traced ends.

    Args:
        function: a name, or an elementwise JAX function of x and the parameters.
        degree: an integer from 0 to 127.
        interval: a pair (a, b), or several disjoint ones in increasing order; traced or not.
        parameters: the function's further arguments, arrays of floats, traced or not.
        weight: a function like `function` by which errors are multiplied; 1 by default.
        slope_weight: what errors of slopes are multiplied by; they do not count by default.

    Returns:
        A `Polynomial`; where ends are traced a `Composite` of the affine map to [-1, 1] and a polynomial.

    Raises:
        ValueError: as `check_degree` and `check_intervals`.
        TypeError: ends that are no scalars, or a function that cannot be applied to an array.
    """
    degree = check_degree(degree, LARGEST_DEGREE)
    ends, static = _ends(interval)
    functions, closed = _without_closure((function, weight), parameters)
    problem = Problem(functions[0], degree, functions[1], slope_weight)
    optimum = solve(problem, ends, (tuple(parameters), closed))
    hull = UNIT if static is None else (static[0][0], static[-1][1])
    certificate = dataclasses.replace(_certificate(optimum, degree), intervals=static)
    polynomial = Polynomial(optimum.coefficients, hull, certificate)
    if static is not None:
        return polynomial
    first, last = (jnp.asarray(end, optimum.error.dtype) for end in (ends[0][0], ends[-1][1]))
    affine = jnp.stack([-(first + last), jnp.full_like(first, 2.0)]) / (last - first)
    return Composite((Polynomial(affine, UNIT), polynomial), certificate=polynomial.certificate)


def _leaves(interval: Any) -> list[Any]:
    # What is no sequence is refused by name when the interval is checked.
    return jax.tree.leaves(interval) if isinstance(interval, tuple | list) else [interval]


def _ends(interval: Any) -> tuple[Any, Any]:
    """The ends as nested pairs for the solver, and the checked intervals if they are known."""
    if not any(is_traced(leaf) for leaf in _leaves(interval)):
        static = check_intervals(interval)
        return static, static
    pieces = tuple(interval)
    pieces = (
        tuple(map(tuple, pieces)) if all(isinstance(piece, tuple | list) for piece in pieces) else (pieces,)
    )
    for piece in pieces:
        if len(piece) != 2 or any(np.shape(end) != () for end in piece):
            raise TypeError(
                f"an interval is a pair (a, b) of real numbers, but {piece!r} was given; fit several "
                "intervals at once with jax.vmap."
            )
        if not any(is_traced(end) for end in piece):
            check_interval(piece)
    return pieces, None


def _certificate(optimum: Optimum, degree: int) -> Certificate:
    unit = Polynomial(optimum.coefficients, UNIT)
    inside = jnp.max(jnp.abs(unit(jnp.cos(jnp.linspace(0.0, np.pi, 16 * (degree + 1) + 1)))))
    beyond = jnp.max(jnp.abs(unit(np.concatenate([-BEYOND, BEYOND]))))
    growth = jnp.maximum(1.0, beyond / inside)
    return Certificate(optimum.error, optimum.ratio, growth, degree, depth_of_degree(degree))


def _closes_over_traced(function: Function, parameters: Sequence[Any]) -> bool:
    # In float64 strict promotion may refuse what is closed over; in the default dtype it may not.
    return any(_returns_traced(function, parameters, double) for double in (True, False))


def _returns_traced(function: Function, parameters: Sequence[Any], double: bool) -> bool:
    try:
        with jax.ensure_compile_time_eval(), jax.enable_x64(double):
            return is_traced(function(jnp.ones(1), *map(jnp.asarray, parameters)))
    except Exception:
        # Whatever is wrong with the function, its evaluation says so in a sentence.
        return False


def _as_doubles(parameters: Sequence[Any]) -> list[jax.Array]:
    return [jnp.asarray(parameter, jnp.float64) for parameter in parameters]


class _Explicit(NamedTuple):
    """A function of (x, parameters, closed); equal to another of the same function, so that jit knows it."""

    function: Function
    position: int
    dtypes: tuple[Any, ...]

    def __call__(self, x: jax.Array, parameters: Any, closed: Any) -> jax.Array:
        if not self.dtypes:
            return self.function(x, *parameters)
        own = [value.astype(dtype) for value, dtype in zip(closed[self.position], self.dtypes, strict=True)]
        return jax.vmap(lambda one: self.function(one, *parameters, *own))(x)


def _without_closure(functions: Sequence[Any], parameters: Sequence[Any]) -> tuple[list[Any], Any]:
    """The functions with explicit arguments, and the traced values that each closed over."""
    explicit, closed = [], []
    for position, function in enumerate(functions):
        if function is None:
            explicit.append(None)
            closed.append([])
            continue
        convert, hoisted = _hoisted(resolve(function), parameters)
        closed.append([jnp.asarray(value) for value in hoisted])
        explicit.append(_Explicit(convert, position, tuple(value.dtype for value in closed[-1])))
    return explicit, closed


def _hoisted(function: Function, parameters: Sequence[Any]) -> tuple[Function, list[Any]]:
    """The function on one number, with what it closes over as further arguments, and these values."""
    with jax.enable_x64(True):
        try:
            convert, hoisted = jax.closure_convert(function, jnp.ones(()), *_as_doubles(parameters))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"the function {name_of(function)} could not be applied to a float64 array "
                f"({type(error).__name__}: {error}); pass an elementwise JAX function, and what it "
                "depends on through `parameters`, which are converted to float64."
            ) from error
    return (convert if hoisted else function), hoisted
