"""Arguments: one ciphertext for each entry of a sample."""

import numpy as np

from fhejax.program.arguments import Encrypted, filler, normalisation
from fhejax.program.circuit.nodes import Input
from fhejax.program.circuit.views import Builder, View, entry_count


def argument(builder: Builder, number: int, described: Encrypted, batch: int) -> View:
    """The view of an encrypted argument, whose node holds normalised numbers.

    Args:
        builder: that collects nodes.
        number: the argument's.
        described: its description.
        batch: the samples that all slots have room for.
    """
    axis = described.batch_axis
    shape = tuple(s for d, s in enumerate(described.shape) if d != axis)
    size = entry_count(shape)
    held = normalisation(described)
    low, high = (float(held.normalised(np.float64(end))) for end in described.range)
    fields = number, size, low, high, builder.label, axis is None, filler(described)
    node = builder.append(Input(*fields, public_key=described.public_key))
    entries = np.arange(size, dtype=np.int64).reshape(shape)
    return View(node, entries, np.full(shape, held.unit), np.full(shape, held.centre), axis, batch)
