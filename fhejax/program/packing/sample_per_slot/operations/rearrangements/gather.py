"""Gathers along axes other than the batch: the same entries of every sample."""

import dataclasses

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample
from fhejax.program.tensor.operations.rearrangements.gather import Gather, named_entries


def gather(builder: Builder, operation: Gather, sources: list[View]) -> View:
    """The view of the named entries, zero where none is named.

    Raises:
        ValueError: when a sample's entries are not taken from that sample, or differ between samples.
    """
    (tensor,), entries = sources, operation.entries
    if tensor.batch == 1:
        tensor = single_sample(tensor)
    axis = None
    if tensor.batch_axis is not None:
        entries, axis = _entries_of_a_sample(tensor, entries)
    return dataclasses.replace(
        tensor,
        entries=named_entries(tensor.entries, entries, -1),
        multiplier=named_entries(tensor.multiplier, entries, 0.0),
        offset=named_entries(tensor.offset, entries, 0.0),
        batch_axis=axis,
    )


def _entries_of_a_sample(tensor: View, entries: np.ndarray) -> tuple[np.ndarray, int]:
    """The entries that every sample takes of its own, and the axis of the result that is the batch's."""
    assert tensor.batch_axis is not None
    inner = int(np.prod(tensor.shape[tensor.batch_axis + 1 :], dtype=np.int64))
    before, within = np.divmod(entries, inner)
    outer, sample = np.divmod(before, tensor.batch)
    reduced = np.where(entries < 0, -1, outer * inner + within)
    for axis in (d for d, size in enumerate(entries.shape) if size == tensor.batch):
        samples = np.arange(tensor.batch).reshape([-1 if d == axis else 1 for d in range(entries.ndim)])
        first = reduced.take([0], axis)
        if (reduced == first).all() and ((sample == samples) | (entries < 0)).all():
            return first.squeeze(axis), axis
    raise ValueError(
        "indexing along the batch axis, whose samples lie in the slots, or with other positions for each "
        "sample; index the other axes, with the same positions for all samples"
    )
