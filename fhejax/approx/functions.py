"""The functions that a fit knows by name, and their values on the host in float64."""

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.approx.checks import is_traced, shown

Function = Callable[[Any], Any]


def _step(x: jax.Array) -> jax.Array:
    return (1 + jnp.sign(x)) / 2


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "abs": jnp.abs,
        "cos": jnp.cos,
        "elu": jax.nn.elu,
        "erf": jax.lax.erf,
        "exp": jnp.exp,
        "gelu": functools.partial(jax.nn.gelu, approximate=False),
        "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
        "hard_sigmoid": jax.nn.hard_sigmoid,
        "hard_tanh": jax.nn.hard_tanh,
        "identity": jax.nn.identity,
        "leaky_relu": jax.nn.leaky_relu,
        "log": jnp.log,
        "log_sigmoid": jax.nn.log_sigmoid,
        "mish": jax.nn.mish,
        "reciprocal": jnp.reciprocal,
        "relu": jax.nn.relu,
        "relu6": jax.nn.relu6,
        "rsqrt": jax.lax.rsqrt,
        "selu": jax.nn.selu,
        "sigmoid": jax.nn.sigmoid,
        "sign": jnp.sign,
        "silu": jax.nn.silu,
        "sin": jnp.sin,
        "softplus": jax.nn.softplus,
        "softsign": jax.nn.soft_sign,
        "sqrt": jnp.sqrt,
        "square": jnp.square,
        "step": _step,
        "tanh": jnp.tanh,
    }
)


def resolve(function: str | Function) -> Function:
    """The function itself, or the one of that name.

    Args:
        function: a callable, or a key of `FUNCTIONS`: "gelu" is the exact one, "gelu_tanh" the common
            approximation of it.

    Raises:
        ValueError: an unknown name.
        TypeError: neither a name nor callable.
    """
    if callable(function):
        return function
    if not isinstance(function, str):
        raise TypeError(
            "a function to approximate is a JAX function or a name, but "
            f"{shown(function)} of type {type(function).__name__} was given; pass for example jax.nn.silu."
        )
    if function not in FUNCTIONS:
        near = difflib.get_close_matches(function, FUNCTIONS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"there is no function named {shown(function)}; {hint}The names are "
            f"{', '.join(sorted(FUNCTIONS))}; any other function is passed as a callable."
        )
    return FUNCTIONS[function]


def values(function: str | Function, points: np.ndarray) -> np.ndarray:
    """The values of a function at float64 points, as float64 of the same shape.

    They are computed at once and in double precision, whatever jax_enable_x64 says and also while a jit is
    being traced.

    Args:
        function: a name or an elementwise JAX function.
        points: an array of float64 of any shape.

    Raises:
        TypeError: the function cannot be applied to an array, or depends on traced values.
        ValueError: values that are not real or not finite, or of another shape than the points.
    """
    name = name_of(function)
    padded = _padded(points)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        result = _apply(resolve(function), name, padded)
    if result.shape == padded.shape:
        result = result[: points.size].reshape(points.shape)
    if result.shape not in ((), points.shape) or result.dtype.kind not in "iufb":
        raise ValueError(
            f"the function {name} is to map each real number to a real number, but at {points.size}"
            f" points it returned shape {result.shape} and dtype {result.dtype}; pass a function "
            "that works elementwise."
        )
    result = np.broadcast_to(result, points.shape).astype(np.float64)
    if not np.all(np.isfinite(result)):
        where = points[~np.isfinite(result)].flat[0]
        raise ValueError(
            f"the function {name} is not finite at {where:.9g}, which lies in the interval; choose an"
            " interval on which it is bounded."
        )
    return result


def bound(function: Any, parameters: Sequence[Any]) -> Any:
    """The function of x alone, its parameters given as float64; None stays None."""
    if function is None or not parameters:
        return function

    def fixed(x: jax.Array) -> jax.Array:
        return resolve(function)(x, *(jnp.asarray(value, jnp.float64) for value in parameters))

    fixed.__name__ = name_of(function)
    return fixed


def derivative_of(function: str | Function) -> Function:
    """The derivative of a function, as JAX computes it: a function of x again."""

    def slope(x: jax.Array) -> jax.Array:
        return jax.jvp(lambda at: resolve(function)(at) + 0 * at, (x,), (jnp.ones_like(x),))[1]

    slope.__name__ = f"derivative of {name_of(function)}"
    return slope


def name_of(function: str | Function) -> str:
    """The name by which messages call the function."""
    return function if isinstance(function, str) else getattr(function, "__name__", "function")


def _padded(points: np.ndarray) -> np.ndarray:
    # JAX compiles once for each shape: powers of two keep these few.
    size = 1 << max(points.size - 1, 127).bit_length()
    return np.pad(points.ravel(), (0, size - points.size), mode="edge")


def _apply(function: Function, name: str, points: np.ndarray) -> np.ndarray:
    try:
        result = function(jnp.asarray(points))
        if is_traced(result):
            raise TypeError("its result is traced")
        return np.asarray(result)
    except Exception as error:
        # Whatever a user's function raises: the sentence says whose fault it is.
        raise TypeError(
            f"the function {name} could not be applied to a float64 array of {points.size} points "
            f"({type(error).__name__}: {first_line(error)}); pass an elementwise JAX function that does not "
            "depend on traced values; `minimax` and `c1` take those."
        ) from error


def first_line(error: Exception) -> str:
    """The first line of an exception's own message, for use in a sentence."""
    return (str(error).splitlines() or [""])[0].rstrip(".")
