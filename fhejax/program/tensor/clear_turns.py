"""The turns of a loop in the clear: what goes round, before each turn and after the last."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from fhejax.program.tensor.loops import Loop


@dataclasses.dataclass(frozen=True, eq=False)
class ClearTurns:
    """The values of a loop in the clear, by their numbers among its results.

    Attributes:
        before: what goes round, before the turn that reads each slice, [slice, ...].
        last: the same after the last turn.
        stacked: the stacked results, [slice, ...].
    """

    before: dict[int, Any]
    last: dict[int, Any]
    stacked: dict[int, Any]


def clear_turns(
    loop: Loop, values: Mapping[int, Any], carries: Sequence[int], stacked: Sequence[int] = ()
) -> ClearTurns:
    """The values of some of what a loop makes.

    Args:
        loop: whose turns are run by JAX.
        values: of the operands, by number; those are left out that nothing wanted depends on.
        carries: the numbers of what goes round and is wanted.
        stacked: the numbers of the stacked results that are wanted.
    """
    body, avals = jaxpr_as_fun(loop.body), loop.body.in_avals
    typed = {number: as_type(value, avals[number].dtype) for number, value in values.items()}
    slices = {number: value for number, value in typed.items() if loop.is_sliced(number)}

    def turn(carry: dict, slices: dict) -> tuple[dict, tuple[dict, dict]]:
        """One turn, with zeros for what is left out."""
        known = typed | {loop.shared + c: value for c, value in carry.items()} | slices
        read = [known[n] if n in known else jnp.zeros(a.shape, a.dtype) for n, a in enumerate(avals)]
        found = body(*read)
        return {c: found[c] for c in carry}, (carry, {n: found[n] for n in stacked})

    first = {c: typed[loop.shared + c] for c in carries}
    last, (before, results) = jax.lax.scan(turn, first, slices, loop.length, loop.reverse)
    return ClearTurns(*(jax.tree.map(_on_host, found) for found in (before, last, results)))


def as_type(value: Any, dtype: Any) -> Any:
    """A value of JAX in a type; keys of randomness as they are.

    Args:
        value: an array, or a tracer.
        dtype: of the result.
    """
    return value if jnp.issubdtype(dtype, jax.dtypes.extended) else jnp.asarray(value, dtype)


def _on_host(value: Any) -> Any:
    """The numbers as an array of NumPy; keys of randomness as they are."""
    return value if jnp.issubdtype(value.dtype, jax.dtypes.extended) else np.asarray(value)
