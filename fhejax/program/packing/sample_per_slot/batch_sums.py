"""Sums over the batch: rotations add up all slots, and every slot then holds the total."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import (
    Gather,
    SlotSum,
    Summand,
)
from fhejax.program.circuit.views import Builder, View, in_node_order
from fhejax.program.packing.sample_per_slot.operations.product import normalised


def slot_sum(builder: Builder, tensor: View) -> View:
    """The sum over the batch axis, a value that all samples share.

    Slots without a sample must be zero. They are where the client's zeros went only through products;
    else a product with 0 and 1 makes them so, unless the batch fills them all (a power of two does, for
    slots hold it periodically).
    """
    if tensor.batch == 1:
        return tensor.view(lambda a: a, batch_axis=None)
    zero = not tensor.offset.any() and is_zero_without_sample(builder.nodes, tensor.node)
    masked = not zero and tensor.batch & (tensor.batch - 1) != 0
    shift = None
    if masked and tensor.offset.any():
        tensor = normalised(builder, tensor) if tensor.varies else tensor
        tensor, _ = builder.arranged(tensor)
        shift = in_node_order(tensor, tensor.offset / tensor.multiplier)
    else:
        tensor = _distinct(builder, tensor)
    size = builder.nodes[tensor.node].size
    whole = not zero and not masked
    summand = builder.append(Summand(tensor.node, shift, masked, whole, size, builder.label))
    total = builder.append(SlotSum(summand, size, builder.label))
    offset = np.zeros(tensor.offset.shape) if masked else tensor.offset * tensor.batch
    return dataclasses.replace(tensor, node=total, offset=offset, batch_axis=None)


def _distinct(builder: Builder, tensor: View) -> View:
    """The view over a node that holds what the view reads and nothing else, once each."""
    used = np.unique(tensor.entries[(tensor.entries >= 0) & ((tensor.multiplier != 0) | tensor.varies)])
    size = builder.nodes[tensor.node].size
    if len(used) == size:
        return tensor
    if not len(used):  # a constant: any ciphertext will do, and none is read
        used = np.zeros(1, np.int64)
    node = builder.append(Gather(tensor.node, used.astype(np.int32), len(used), builder.label))
    places = np.full(size + 1, -1)  # the last for entries of -1
    places[used] = np.arange(len(used))
    return dataclasses.replace(tensor, node=node, entries=places[tensor.entries])


def is_zero_without_sample(nodes: Sequence[Node], number: int) -> bool:
    """Whether a node is zero in slots without a sample, where the client's ciphertexts hold zeros.

    Args:
        nodes: of the circuit, each after those it reads.
        number: the node in question.
    """
    wanted = {number}
    for before in range(number, -1, -1):
        if before in wanted:
            wanted.update(nodes[before].sources)
    zero: dict[int, bool] = {}
    for before in sorted(wanted):
        zero[before] = _is_zero(nodes[before], zero)
    return zero[number]


def _is_zero(node: Node, known: dict[int, bool]) -> bool:
    def zero(source: int, shift: np.ndarray | None) -> bool:
        return known[source] and (shift is None or not shift.any())

    return node.is_zero_without_sample(zero)
