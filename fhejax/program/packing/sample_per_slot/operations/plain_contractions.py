"""Contractions of an encrypted array with plain weights, as a node `Linear`."""

import numpy as np

from fhejax.program.circuit.views import Builder, View, axis_in_view, entry_count
from fhejax.program.packing.sample_per_slot.batch_axis import constant_along, single_sample
from fhejax.program.packing.sample_per_slot.batch_sums import slot_sum
from fhejax.program.packing.sample_per_slot.plain_products import linear


def dot_general_by_plain(
    builder: Builder,
    tensor: View,
    plain: np.ndarray,
    numbers: tuple,
    encrypted_first: bool,
    varies: bool = False,
) -> View:
    """The contraction lax.dot_general of an encrypted and a plain operand.

    Args:
        builder: that collects nodes.
        tensor: the encrypted operand.
        plain: the other one.
        numbers: dot_general's dimension numbers.
        encrypted_first: whether the encrypted operand is the first.
        varies: whether plain arguments decide the plain operand.

    Raises:
        ValueError: when a batch dimension runs over the samples, or the plain operand of a contraction
            over the samples differs between them.
    """
    (first_sum, second_sum), (first_batch, second_batch) = numbers
    own, other = (first_sum, second_sum) if encrypted_first else (second_sum, first_sum)
    own_batch, other_batch = (first_batch, second_batch) if encrypted_first else (second_batch, first_batch)
    if tensor.batch == 1 and tensor.batch_axis is not None:
        tensor = single_sample(tensor)
    if tensor.batch_axis is not None and tensor.batch_axis in own_batch:
        raise ValueError(
            "a matrix product with other weights for each sample of the batch; use the same weights for "
            "all samples, or encrypt them and write products and sums"
        )
    axis = tensor.batch_axis
    if axis is not None and axis in own:
        return _contraction_over_batch(builder, tensor, axis, plain, numbers, encrypted_first, varies)
    rank = tensor.entries.ndim + (tensor.batch_axis is not None)
    free = [d for d in range(rank) if d not in own and d not in own_batch]
    reduced = [d for d in free if d != tensor.batch_axis]
    strip = axis_in_view(tensor.batch_axis)
    order = [strip(d) for d in (*own_batch, *own, *reduced)]
    shape = tensor.entries.shape
    groups, length, positions = ([shape[strip(d)] for d in axes] for axes in (own_batch, own, reduced))
    patches = tensor.view(
        lambda a: a.transpose(order).reshape(entry_count(groups), entry_count(length), entry_count(positions))
    )
    other_free = [d for d in range(plain.ndim) if d not in other and d not in other_batch]
    outputs = [plain.shape[d] for d in other_free]
    weights = plain.transpose(*other_batch, *other_free, *other)
    weights = weights.reshape(entry_count(groups), entry_count(outputs), entry_count(length))
    result = linear(builder, tensor, patches, weights, varies)
    result = result.view(lambda a: a.reshape((*groups, *outputs, *positions)))
    return _order_dot(result, tensor, free, groups, outputs, positions, encrypted_first)


def _contraction_over_batch(
    builder: Builder,
    tensor: View,
    axis: int,
    plain: np.ndarray,
    numbers: tuple,
    encrypted_first: bool,
    varies: bool = False,
) -> View:
    """The same contraction over the batch axis: a sum of slots, and the other axes after it."""
    own, other = numbers[0] if encrypted_first else numbers[0][::-1]
    own_batch, other_batch = numbers[1] if encrypted_first else numbers[1][::-1]
    place = own.index(axis)
    weights = constant_along(plain, other[place])

    def without(axes: tuple[int, ...], removed: int) -> tuple[int, ...]:
        return tuple(d - (d > removed) for d in axes if d != removed)

    inner = (without(own, axis), without(other, other[place]))
    grouped = (without(own_batch, axis), without(other_batch, other[place]))
    total = slot_sum(builder, tensor)
    pairs = (inner, grouped) if encrypted_first else (inner[::-1], grouped[::-1])
    return dot_general_by_plain(builder, total, weights, pairs, encrypted_first, varies)


def _order_dot(
    result: View,
    tensor: View,
    free: list[int],
    groups: list[int],
    outputs: list[int],
    positions: list[int],
    encrypted_first: bool,
) -> View:
    """The result [groups, outputs, positions] in dot_general's order, the batch axis where it belongs."""
    g, o, p = len(groups), len(outputs), len(positions)
    if encrypted_first:
        axes = [*range(g), *range(g + o, g + o + p), *range(g, g + o)]
        result = result.view(lambda a: a.transpose(axes))
    if tensor.batch_axis is None:
        return result
    axis = g + free.index(tensor.batch_axis) + (0 if encrypted_first else o)
    return result.view(lambda a: a, batch_axis=axis)
