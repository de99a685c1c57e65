"""Concatenations along an axis other than the batch; of several nodes they are one node."""

import numpy as np

from fhejax.program.circuit.nodes import Concatenate
from fhejax.program.circuit.views import Builder, View, axis_in_view
from fhejax.program.packing.sample_per_slot.batch_axis import as_batch, constant_like, single_sample
from fhejax.program.tensor.operations.rearrangements.concatenation import Concatenation


def concatenation(builder: Builder, operation: Concatenation, sources: list[View]) -> View:
    """The view of encrypted and plain parts one after the other.

    Raises:
        ValueError: when it runs along the batch, or the batch axes differ.
    """
    first = next((s for s in sources if s.batch_axis is not None), sources[0])
    if first.batch == 1 and first.batch_axis == operation.axis:
        first, sources = single_sample(first), [single_sample(s) for s in sources]
    axis = first.batch_axis
    if axis == operation.axis:
        raise ValueError("a concatenation extends the batch axis, whose samples lie in the slots")
    encrypted = iter(sources)
    tensors = [
        as_batch(next(encrypted), first) if part is None else constant_like(part.array, first)
        for part in operation.parts
    ]
    if any(t.batch_axis != axis for t in tensors):
        raise ValueError("a concatenation joins arrays whose samples lie along different axes")
    place = axis_in_view(axis)(operation.axis)
    node, shifts = _common_node(builder, tensors)
    entries = [np.where(t.entries < 0, -1, t.entries + s) for t, s in zip(tensors, shifts, strict=True)]
    return View(
        node,
        np.concatenate(entries, place),
        np.concatenate([t.multiplier for t in tensors], place),
        np.concatenate([t.offset for t in tensors], place),
        axis,
        first.batch,
        any(t.varies for t in tensors),
    )


def _common_node(builder: Builder, tensors: list[View]) -> tuple[int, list[int]]:
    """The node that holds all entries, and where each tensor's begin."""
    nodes = list(dict.fromkeys(t.node for t in tensors))
    if len(nodes) == 1:
        return nodes[0], [0] * len(tensors)
    sizes = [builder.nodes[n].size for n in nodes]
    starts = dict(zip(nodes, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    node = builder.append(Concatenate(tuple(nodes), sum(sizes), builder.label))
    return node, [starts[t.node] for t in tensors]
