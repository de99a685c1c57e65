"""Scatters: entries set, added or multiplied at positions that are written in the function.

They are gathers of what is new, masks of what stays, and sums or products of both: no operation of its own.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operations.affine import affine
from fhejax.program.tensor.operations.product import multiplication
from fhejax.program.tensor.operations.rearrangements.gather import fixed_positions, gathered, named_entries
from fhejax.program.tensor.operations.reduction import Reduction
from fhejax.program.tensor.operations.sum import addition, subtraction
from fhejax.program.tensor.plain_program import PlainArray


def scatter(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive scatter, which sets entries; of several updates of one entry the last stays.

    Raises:
        ValueError: positions that are encrypted or a plain argument.
    """
    x, _, updates = operands
    return overwritten(builder, x, updates, _places(operands, params))


def dynamic_update_slice(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive dynamic_update_slice, where the start is written in the function.

    Raises:
        ValueError: a start that is encrypted or a plain argument.
    """
    x, updates, *starts = operands
    starts = [fixed_positions(start) for start in starts]
    numbers = np.arange(np.prod(x.shape, dtype=np.int64)).reshape(x.shape)
    index = [
        slice(first := int(np.clip(start, 0, size - width)), first + width)
        for start, size, width in zip(starts, x.shape, updates.shape, strict=True)
    ]
    return overwritten(builder, x, updates, numbers[tuple(index)])


def scatter_add(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive scatter-add; updates of one entry add up.

    Raises:
        ValueError: positions that are encrypted or a plain argument.
    """
    return addition(builder, [operands[0], _arriving(builder, operands, params)], {})


def scatter_sub(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive scatter-sub; updates of one entry add up.

    Raises:
        ValueError: positions that are encrypted or a plain argument.
    """
    return subtraction(builder, [operands[0], _arriving(builder, operands, params)], {})


def scatter_mul(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive scatter-mul.

    Raises:
        ValueError: several encrypted factors of one entry; positions that are encrypted or an argument.
    """
    x, _, updates = operands
    entries = _updates_of_entries(_places(operands, params), x.shape)
    if isinstance(updates, PlainArray):
        (factor,) = builder.plain(functools.partial(_plain_products, entries), updates)
    elif entries.shape[-1] > 1:
        raise ValueError("several encrypted factors of one entry; multiply them with each other first")
    else:
        ones = PlainArray((entries[..., 0] < 0).astype(np.float64))
        factor = affine(builder, gathered(builder, updates, entries[..., 0]), term=ones)
    return multiplication(builder, [x, factor], {})


def overwritten(builder: Builder, x: Operand, updates: Operand, places: np.ndarray) -> Operand:
    """The array x in which updates stand in given places.

    Args:
        builder: that collects operations.
        x: what they are put into.
        updates: of which at least one operand is encrypted.
        places: for each update the number of an entry of `x`, or -1 for none.
    """
    entries = _updates_of_entries(places, x.shape)
    last = entries.max(-1)
    kept = PlainArray((last < 0).astype(np.float64))
    if isinstance(x, Tensor):
        rest: Operand = affine(builder, x, kept)
    else:
        rest = builder.map(_masked, x, kept)
    return addition(builder, [rest, _sum_of_updates(builder, updates, last[..., None])], {})


def _places(operands: list[Any], params: dict[str, Any]) -> np.ndarray:
    """The number of the entry that each update goes to, or -1: what the transposed scatter reads."""
    x, positions, updates = operands
    positions = fixed_positions(positions)
    with jax.enable_x64(True):  # numbers of entries are exact

        def put(values: jax.Array) -> jax.Array:
            return lax.scatter_add(
                jnp.zeros(x.shape, jnp.float64),
                positions,
                values,
                params["dimension_numbers"],
                mode=params["mode"],
            )

        numbers = jnp.arange(1, np.prod(x.shape, dtype=np.int64) + 1, dtype=jnp.float64).reshape(x.shape)
        (places,) = jax.linear_transpose(put, jax.ShapeDtypeStruct(updates.shape, jnp.float64))(numbers)
        return np.asarray(places).astype(np.int64) - 1


def _updates_of_entries(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers of the updates of each entry, ascending, int [*shape, most], -1 where there are fewer."""
    flat = places.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[flat[order] >= 0]
    targets, starts, counts = np.unique(flat[order], return_index=True, return_counts=True)
    ranks = np.arange(len(order)) - np.repeat(starts, counts)
    entries = np.full((int(np.prod(shape, dtype=np.int64)), int(counts.max(initial=1))), -1)
    entries[np.repeat(targets, counts), ranks] = order
    return entries.reshape(*shape, -1)


def _arriving(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The sums of the updates of each entry."""
    x, _, updates = operands
    return _sum_of_updates(builder, updates, _updates_of_entries(_places(operands, params), x.shape))


def _sum_of_updates(builder: Builder, updates: Operand, entries: np.ndarray) -> Operand:
    """The sum over the last axis of the updates that entries name."""
    if isinstance(updates, PlainArray):
        (total,) = builder.plain(functools.partial(_plain_sums, entries), updates)
        return total
    if entries.shape[-1] == 1:
        return gathered(builder, updates, entries[..., 0])
    wide = gathered(builder, updates, entries)
    axes = (entries.ndim - 1,)
    return builder.append(Reduction((wide.number,), entries.shape[:-1], builder.label, axes))


def _plain_sums(entries: np.ndarray, updates: Any) -> list[np.ndarray]:
    return [named_entries(np.asarray(updates, np.float64), entries, 0.0).sum(-1)]


def _plain_products(entries: np.ndarray, updates: Any) -> list[np.ndarray]:
    return [named_entries(np.asarray(updates, np.float64), entries, 1.0).prod(-1)]


def _masked(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask > 0, values, 0.0)
