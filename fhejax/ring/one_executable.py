"""Many kernels in one executable: for devices on which launching takes time of its own.

A function that calls kernels one after another is traced, and what it closes over (the twiddles of its
primes, permutations) becomes arguments of the executable beside its own: as constants they would be copied
into it, gigabytes of them in large rings. Its integers are those that the kernels give one by one.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from fhejax.ring.compile_ahead import shape_of, uncollected
from fhejax.ring.wide import kernel


@dataclasses.dataclass(frozen=True)
class _Executable:
    """A function of arrays, compiled for arguments of some shapes.

    Attributes:
        call: of the arrays that it closes over and those of its arguments.
        closed_over: the former.
        structure: of its result.
    """

    call: Callable[[Sequence[jax.Array], Sequence[Any]], list[jax.Array]]
    closed_over: Sequence[jax.Array]
    structure: Any


def in_one_executable(function: Callable[..., Any], arguments: tuple, static: tuple = ()) -> Any:
    """The result of `function(*arguments, *static)`, whose kernels are one executable.

    Compiled once for arguments of one structure and shape. Counted as one kernel by `compile_ahead`.

    Args:
        function: pure, of a module: it is what the executable is found by.
        arguments: pytrees of arrays.
        static: further arguments, hashable.
    """
    leaves, structure = jax.tree.flatten(arguments)
    made = _executable(function, static, structure, tuple(map(shape_of, leaves)))
    return jax.tree.unflatten(made.structure, made.call(made.closed_over, leaves))


@functools.lru_cache(maxsize=512)
def _executable(
    function: Callable[..., Any], static: tuple, structure: Any, shapes: tuple[jax.ShapeDtypeStruct, ...]
) -> _Executable:
    def flat(*leaves: Any) -> Any:
        """The function of the leaves of its arguments."""
        return function(*jax.tree.unflatten(structure, leaves), *static)

    with uncollected():
        traced, result = jax.make_jaxpr(flat, return_shape=True)(*shapes)
    constants = zip(traced.consts, traced.jaxpr.constvars, strict=True)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        closed_over = [jnp.asarray(value, variable.aval.dtype) for value, variable in constants]

    def evaluated(closed_over: Sequence[jax.Array], leaves: Sequence[Any]) -> list[jax.Array]:
        """The same with what it closes over as arguments."""
        return jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, closed_over))(*leaves)

    return _Executable(kernel(evaluated), closed_over, jax.tree.structure(result))
